"""`mae_lib.theory` runs where only numpy and networkx are installed."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys

ALLOWED = set(sys.stdlib_module_names) | {"mae_lib", "numpy", "networkx"}

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in ALLOWED:
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Blocked())
try:
    import torch
except ModuleNotFoundError:
    print("blocked")

import numpy as np
from mae_lib.theory import *

hierarchy = LatentHierarchy.figure_4()
print(sorted(locate_shared_information(hierarchy, ["x1"]).c))
print(locate_shared_information_batch(hierarchy, np.eye(7, dtype=bool)).c.sum())
print(len(LinearGaussian(hierarchy).admissible_sets(["x1"])))
print(monte_carlo(hierarchy, IndependentUnits(0.5), 10, 0)[1].value.shape)
print(hierarchy.graph.number_of_nodes(), LatentHierarchy.quadtree(4).graph.number_of_edges())
print({name.split(".")[0] for name in sys.modules} & {"torch", "scipy", "timm", "pandas", "matplotlib", "sklearn"})
"""


def test_theory_needs_numpy_and_networkx_only():
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run([sys.executable, "-c", PROGRAM], cwd=root, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == ["blocked", "['z3']", "7", "2", "(5,)", "12 20", "set()"]
