"""Published results and executed pages that nothing has run, for tests of what reads them."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat
import pandas as pd

from mae_lib.claims.claims import Verdict
from mae_lib.presets import load_scale
from mae_lib.studies.better_masking import BOUNDARIES, MASKS
from mae_lib.studies.low_level import TASKS
from mae_lib.training.checkpoints import read_json, write_json
from maebook.bundles import FIGURE, RUN, VERDICT
from maebook.sphinx.executed import Page

ROOTS = {"patches": 0.4, "squares": 0.5, "blocks": 0.7, "subtrees": 0.6, "discovered": 0.6, "untrained": 0.2}
READ = {
    "boundary": ("class probe", "parts probe", "corners probe", "texture probe", "shape bias"),
    "masks": ("root probe", "nodes probe", "leaves probe"),
    "extremes": tuple(TASKS),
}
RATIOS = (0.1, 0.25, 0.5, 0.75, 0.9)  # what is read of extremes is the ratio


def fake_page(
    name: str,
    verdicts: Sequence[Verdict] = (),
    figures: Sequence[Mapping] = (),
    run: Mapping | None = None,
    code: str = "",
) -> Page:
    """A page that hands over verdicts, then figures, then its run, each beside HTML that says what it is."""
    handed = [(VERDICT, one.as_json(), "verdict") for one in verdicts]
    handed += [(FIGURE, one, "<figure></figure>") for one in figures] + [(RUN, run, "card")] * (run is not None)
    cell = nbformat.v4.new_code_cell(code)
    cell.outputs = [nbformat.v4.new_output("display_data", {k: data, "text/html": html}) for k, data, html in handed]
    return Page(name, nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A title\ntext"), cell]))


def fake_suggestions(folder: Path, wall_seconds: float | None = 1.0, scale: dict | None = None) -> Path:
    """Section 3.6 as `python -m mae_lib table` publishes it, of two seeds; roots are `ROOTS` + seed / 100."""
    arms = {"boundary": BOUNDARIES, "masks": (*MASKS, "untrained"), "extremes": (*RATIOS, "untrained")}
    parameters = {"preset": "smoke", "seeds": [0, 1], "scale": scale or load_scale("smoke")}
    folder.mkdir(parents=True, exist_ok=True)
    for name, metrics in READ.items():
        rows = [
            (arm, seed, metric, _read(name, arm, metric) + seed / 100, 24)
            for arm, seed, metric in itertools.product(arms[name], (0, 1), metrics)
        ]
        columns = ["arm", "seed", "metric", "value", "count"]
        pd.DataFrame(rows, columns=columns).to_csv(folder / f"{name}.csv", index=False)
        write_json(folder / f"{name}.json", {"parameters": parameters, "seeds": [0, 1], "wall_seconds": wall_seconds})
    return folder


def _read(name: str, arm: int | float | str, metric: str) -> float:
    if metric == "root probe":
        return ROOTS[arm]
    return arm if name == "extremes" and arm in RATIOS else 0.5


def fake_detection(folder: Path, scale: dict) -> None:
    """Section 3.5 beside a published series, as `python -m mae_lib detect` writes it: every reader alike."""
    scores = pd.read_csv(folder / "scores.csv")
    readers = scores[scores["reader"].isin(["trained", "untrained"])].drop_duplicates(
        ["reader", "ratio", "unit", "seed"]
    )
    rows = [
        readers.assign(section="detection", metric=metric, value=value, count=16)
        for metric, value in {"AP box": 30.0, "AP mask": 20.0, "AP50 box": 50.0, "AP50 mask": 40.0}.items()
    ]
    pd.concat(rows).to_csv(folder / "detection.csv", index=False)
    write_json(folder / "detection.json", read_json(folder / "provenance.json") | {"parameters": {"scale": scale}})
