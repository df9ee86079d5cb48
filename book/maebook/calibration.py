"""How difficult the image sets are for baselines that know nothing of masks: `results/calibration/*-search.json`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mae_lib.folders import shipped_folder


@dataclass(frozen=True)
class ImageSet:
    """A frozen setting of a world: its name and options, why it was taken, and the accuracy of each baseline."""

    world: str
    name: str
    options: dict[str, Any]
    why: str
    chance: float
    accuracy: dict[str, float]  # by baseline, the untried ones missing
    window: dict[str, str]  # what was wanted beforehand, by baseline; empty where nothing was written down

    @property
    def blind(self) -> tuple[str, float]:
        """The best baseline that nothing has trained but a linear reader, and its accuracy."""
        tried = {name: share for name, share in self.accuracy.items() if name != "supervised"}
        return max(tried.items(), key=lambda one: one[1])

    @property
    def suited(self) -> bool:
        """Whether a supervised encoder reads at least twice what the blind baselines do: room for pretraining."""
        return self.accuracy.get("supervised", 0.0) >= 2 * self.blind[1]


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
        world, taken = search["world"], (search["chosen"], search["why"], search["chance"], last["accuracy"])
        found.append(ImageSet(world, name, *taken, window))
        for other in search.get("beside", []):
            kept = (other[key] for key in ("name", "world_options", "why", "chance", "accuracy"))
            found.append(ImageSet(world, *kept, window={}))
    return found


def baselines_table(sets: list[ImageSet]) -> pd.DataFrame:
    """Accuracy by image set and baseline, chance first; what was not measured is missing."""
    return pd.DataFrame({one.name: {"chance": one.chance, **one.accuracy} for one in sets}).T


def window_table(one: ImageSet) -> pd.DataFrame:
    """What was wanted of each baseline before the search, beside what came out."""
    rows = [
        {"baseline": name, "wanted": wanted, "found": f"{one.accuracy[name]:.3f}" if name in one.accuracy else "-"}
        for name, wanted in one.window.items()
    ]
    return pd.DataFrame(rows)
