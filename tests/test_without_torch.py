"""What only reads, shows or proves loads no torch: it starts in a second or two, and can run where there is none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
MODULES = ("mae_lib.theory", "mae_lib.presets", "mae_lib.provenance", "mae_lib.claims.verdicts")
PAGES = (  # of Section 2, those that train nothing
    "2_1_generating_process",
    "2_2_masked_autoencoder",
    "2_3_theorem_1",
    "2_3_mask_levels",
    "2_3_bits_per_level",
    "2_3_graph_from_masks",
)
BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "timm", "torchvision"}:
            raise ModuleNotFoundError(f"{name} was asked for")

sys.meta_path.insert(0, Blocked())
"""
RECORD = "from mae_lib.provenance import provenance\nprovenance({'seed': 0}, ['mae_lib.theory'])\n"


def run(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKED + code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def imports(page: str) -> str:
    """The imports of all cells of a page, also those in brackets over several lines."""
    import ast

    cells = json.loads((NOTEBOOKS / f"{page}.ipynb").read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    found = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Import | ast.ImportFrom)]
    return "\n".join(map(ast.unparse, found)) + "\n"


def test_a_module_that_needs_torch_is_noticed():
    with pytest.raises(AssertionError, match="torch was asked for"):
        run("import mae_lib.training.mae")


def test_modules_and_provenance_need_no_torch():
    run("".join(f"import {name}\n" for name in MODULES) + RECORD)


@pytest.mark.parametrize("page", [page for page in PAGES if (NOTEBOOKS / f"{page}.ipynb").is_file()])
def test_a_page_that_trains_nothing_needs_no_torch(page):
    run(imports(page) + RECORD)
