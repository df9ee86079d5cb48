"""How hard the image sets are to readers that know nothing of masks: `results/calibration/*-search.json`.

And how well three of them read the class in each published run.
"""

import json
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import HTML, display

from mae_lib.studies.results import encoder_table, published, shipped_folder
from maebook.figures import summarise
from maebook.published_runs import described
from maebook.switch import switch

_READERS = {"pixels": "raw pixels", "untrained": "an untrained encoder", "trained": "the pretrained encoder"}


@dataclass(frozen=True)
class ImageSet:
    """A frozen setting of a world: its name and options, why it was taken, and what each reader made of its classes."""

    name: str
    options: dict[str, Any]
    why: str
    chance: float
    accuracy: dict[str, float]  # by reader, the untried ones missing
    window: dict[str, str]  # what was wanted beforehand, by reader; empty where nothing was written down


def image_sets(folder: Path | None = None) -> list[ImageSet]:
    """The settings that were frozen, the last trial of each search, and those that a search holds beside them.

    Raises ValueError for a file whose last trial is of another setting than the one it says was chosen.
    """
    found = []
    for path in sorted((folder or shipped_folder() / "calibration").glob("*-search.json")):
        search = json.loads(path.read_text())
        last = search["search"]["trials"][-1]
        if not search["chosen"].items() <= last["world_options"].items():
            raise ValueError(f"{path}: the last trial is of {last['world_options']}: it must be of the chosen setting")
        name, window = search.get("name", search["world"]), search.get("window", {}).get("readers", {})
        found.append(ImageSet(name, search["chosen"], search["why"], search["chance"], last["accuracy"], window))
        for other in search.get("beside", []):
            kept = (other[key] for key in ("name", "world_options", "why", "chance", "accuracy"))
            found.append(ImageSet(*kept, window={}))
    return found


def readers_table(sets: list[ImageSet]) -> pd.DataFrame:
    """Accuracy by image set and reader, chance first; what was not measured is missing."""
    return pd.DataFrame({one.name: {"chance": one.chance, **one.accuracy} for one in sets}).T


def window_table(one: ImageSet) -> pd.DataFrame:
    """What was wanted of each reader before the search, beside what came out."""
    rows = [
        {"reader": reader, "wanted": wanted, "found": f"{one.accuracy[reader]:.3f}" if reader in one.accuracy else "-"}
        for reader, wanted in one.window.items()
    ]
    return pd.DataFrame(rows)


def published_readers() -> dict[str, str]:
    """By key of a published run, a table of how well the class is read there: the calibration's readers, in HTML."""
    found = {}
    for one in published("pretraining"):
        table = encoder_table(one.series, one.scores("pretraining"))
        means = summarise(table[table["metric"] == "class probe accuracy"], "encoder").set_index("encoder")
        rows = "".join(
            f'<tr><th scope="row">{words}</th><td>{means.loc[reader, "mean"]:.2f}</td></tr>'
            for reader, words in _READERS.items()
        )
        found[one.name] = f"<p>{escape(described(one))}: accuracy on the class.</p><table><tbody>{rows}</tbody></table>"
    return found


def show_published_readers() -> None:
    """Show `published_readers` in a notebook, one of them at a time; nothing where none is published."""
    tables = published_readers()
    parts = "".join(f'<div data-mae-scale="{escape(key)}">{table}</div>' for key, table in tables.items())
    if parts:
        display(HTML(f'{switch(tables, 1)}<div class="mae-measured"><div class="mae-elsewhere">{parts}</div></div>'))
