"""The paper's two series of pretraining runs: every mask ratio at one unit, and every mask unit at ratio 0.75."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mae_lib.folders import runs_folder
from mae_lib.presets import SERIES_RATIO, load_scale, parse_yaml, series
from mae_lib.training.config import PretrainConfig
from mae_lib.training.hardware import Hardware
from mae_lib.training.pretrain import pretrain
from mae_lib.training.run import Run, find
from mae_lib.worlds import World

if TYPE_CHECKING:
    import pandas as pd

Mask = tuple[float, int, int]  # ratio, unit in pixels, seed


@dataclass(frozen=True)
class Series:
    """The pretrainings of one preset: `configs` by (ratio, unit, seed), and the preset's `scale` with overrides in."""

    configs: dict[Mask, PretrainConfig]
    scale: dict[str, Any]

    @classmethod
    def of(
        cls,
        preset: str | Path,
        mask_ratios: list[float] | str,
        units: list[int] | str,
        seeds: list[int] | str,
        scale: dict[str, Any] | str | None = None,
    ) -> "Series":
        """From a notebook's parameters, all checked before anything is trained.

        `scale` overrides entries of the preset's. Lists may be text, `"[0.1, 0.9]"`, as from papermill's `-p`. Raises
        ValueError for an empty list or anything but a list, an unknown entry of `scale`, or an impossible mask.
        """
        changes = parse_yaml(scale, "scale") if isinstance(scale, str) else scale
        if changes is not None and not isinstance(changes, dict):
            raise ValueError(f"scale is {changes!r}: it must be a mapping, such as {{width: 96}}")
        whole = load_scale(preset, changes)
        return cls.from_parameters({"mask_ratios": mask_ratios, "units": units, "seeds": seeds, "scale": whole})

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> "Series":
        """From a whole preset's parameters. Raises ValueError as `of` does."""
        lists = {name: listed(name, parameters[name]) for name in ("mask_ratios", "units", "seeds")}
        scale = parameters["scale"]
        masks = series({**lists, "scale": scale})
        made = {(r, u, s): PretrainConfig.from_scale(scale, mask_ratio=r, unit=u, seed=s) for r, u, s in masks}
        return cls(made, scale)

    @property
    def seeds(self) -> list[int]:
        """The seeds of its runs, ascending."""
        return sorted({seed for _, _, seed in self.configs})

    @property
    def world(self) -> World:
        """The world that every run of the series is trained on."""
        return next(iter(self.configs.values())).make_world()

    @property
    def cache(self) -> Path:
        """Where the images that its runs and evaluations share are kept."""
        return runs_folder() / "images"

    def train(self, device: str | None = None) -> dict[Mask, Run]:
        """The run of each config: read if it has been trained before, else trained, one after another."""
        missing = [mask for mask, config in self.configs.items() if find(config) is None]
        for number, (ratio, unit, seed) in enumerate(missing, 1):
            print(f"pretraining {number} of {len(missing)}: ratio {ratio}, unit {unit} px, seed {seed}")
            pretrain(self.configs[ratio, unit, seed], hardware=Hardware(device))
        return {mask: find(config) for mask, config in self.configs.items()}

    def varied(self, **settings: Any) -> "Series":
        """The same masks, scale and seeds with other settings of `PretrainConfig`, which may raise ValueError."""
        return Series({mask: replace(config, **settings) for mask, config in self.configs.items()}, self.scale)

    def by(self, variable: str) -> list[Mask]:
        """The masks of one series: "ratio" (at the scale's unit) or "unit" (at ratio 0.75)."""
        if variable == "ratio":
            return [mask for mask in self.configs if mask[1] == self.scale["unit"]]
        if variable == "unit":
            return [mask for mask in self.configs if mask[0] == SERIES_RATIO]
        raise ValueError(f"there is no series by {variable!r}: choose ratio or unit")

    def tidy(self, variable: str, values: dict[Mask, dict[str, Any]]) -> "pd.DataFrame":
        """One series as a tidy table: columns `variable`, seed, metric, image and value.

        `values` has the metrics of each mask, each with one number per image; or a single number for all images, as in
        published results: then there is no column image.
        """
        import pandas as pd  # training also runs without it

        each = [(mask, metric, np.atleast_1d(of)) for mask in self.by(variable) for metric, of in values[mask].items()]
        masks, metrics, numbers = zip(*each, strict=True)
        lengths = [len(of) for of in numbers]
        per_image = any(np.ndim(of) > 0 for mask in masks for of in values[mask].values())
        columns = {
            variable: np.repeat([mask[variable == "unit"] for mask in masks], lengths),
            "seed": np.repeat([mask[2] for mask in masks], lengths),
            "metric": np.repeat(metrics, lengths),
            **({"image": np.concatenate([np.arange(length) for length in lengths])} if per_image else {}),
            "value": np.concatenate(numbers),
        }
        return pd.DataFrame(columns)


def listed(name: str, value: Any) -> list:
    """A preset's list, `mask_ratios`, `units` or `seeds`, also as text. Raises ValueError for anything else."""
    value = parse_yaml(value, name) if isinstance(value, str) else value
    if not isinstance(value, list) or not value:
        example = {"mask_ratios": [0.1, 0.9], "units": [4, 8]}.get(name, [0, 1])
        raise ValueError(f"{name} is {value!r}: it must be a list with at least one entry, such as {example}")
    kind, called = (int | float, "a number") if name == "mask_ratios" else (int, "a whole number")
    for entry in value:
        if not isinstance(entry, kind) or isinstance(entry, bool) or entry != entry:
            raise ValueError(f"{name} holds {entry!r}: each must be {called}")
    return value
