"""The scales: book, smoke, laptop, desk, gpu and paper, and presets that vary some of them.

A preset is a papermill parameter file in `notebooks/presets/`; an installed package carries copies beside this module.
"""

import re
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from mae_lib.typed import typed

_HERE = Path(__file__).resolve().parent
_FOLDERS = (_HERE.parent / "notebooks" / "presets", _HERE / "presets")
PRESETS = (
    *("book", "smoke", "laptop", "longer", "desk", "desk_long", "desk_figurines", "desk_grid"),
    *("gpu", "paper", "paper8"),
)
SERIES_RATIO = 0.75  # of the series by unit


def preset_file(name: str | Path) -> Path:
    """The file of a preset: by its name, the path of your own YAML file, or a folder of published results.

    Raises ValueError for a name that is none of these.
    """
    if _is_results(name):
        return Path(name) / "preset.yaml"
    for path in (Path(name), *(folder / f"{name}.yaml" for folder in _FOLDERS)):
        if path.suffix in {".yaml", ".yml"} and path.is_file():
            return path
    raise ValueError(f"preset {str(name)!r} is unknown: choose one of {', '.join(PRESETS)}, or give a .yaml file")


def _is_results(preset: str | Path) -> bool:
    return (Path(preset) / "preset.yaml").is_file()


def preset_word(preset: str | Path) -> str:
    """The name used for folders: a preset's name, that of its file without .yaml, or that of its folder of results."""
    return Path(preset).stem if Path(preset).suffix in {".yaml", ".yml"} else Path(preset).name


def parse_yaml(text: str | bytes, what: str) -> Any:
    """The value of YAML text, read as data only: tags create no objects. Raises ValueError beginning with `what`."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{what} is not YAML: {said[:100]}") from None


def load_preset(name: str | Path) -> dict[str, Any]:
    """The parameters of a preset: `preset`, `seeds`, `mask_ratios`, `units` (pixels) and `scale`.

    `scale` is a flat dict: fields of `mae_lib.training.PretrainConfig`, and the sizes of the evaluations. Only a preset
    that opens published runs instead of training has the key `published`.
    """
    path = preset_file(name)
    return deepcopy(_checked(path.read_bytes(), str(path)))


@lru_cache  # the book asks some hundred times
def _checked(content: bytes, path: str) -> dict[str, Any]:
    values = parse_yaml(content, path)
    wanted = {"preset", "seeds", "mask_ratios", "units", "scale"}
    if not isinstance(values, dict) or set(values) - {"published"} != wanted or not isinstance(values["scale"], dict):
        raise ValueError(
            f"{path} is not a preset: it needs exactly the keys {', '.join(sorted(wanted))}, scale a mapping"
        )
    if not isinstance(values["preset"], str) or not re.fullmatch(r"\w[\w.-]*", values["preset"]):
        raise ValueError(f"{path} calls its preset {values['preset']!r}: it must be a word, for it names folders")
    if not isinstance(values["scale"].get("unit"), int):
        raise ValueError(f"{path} is not a preset: its scale needs a unit, in whole pixels")
    for name, kind in (("seeds", list[int]), ("mask_ratios", list[float]), ("units", list[int])):
        values[name] = typed(f"{name} of {path}", values[name], kind)
    return values


def opens_published(preset: str | Path) -> bool:
    """Whether Section 3 opens published runs instead of training: at the preset `book`, or a folder of results."""
    return _is_results(preset) or load_preset(preset).get("published", False)


def load_scale(preset: str | Path, overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """The `scale` of a preset with `overrides` in place.

    Raises ValueError for an override that the preset does not know.
    """
    scale = load_preset(preset)["scale"]
    for name in overrides or {}:
        if name not in scale:
            raise ValueError(f"scale has no entry {name!r}: choose among {', '.join(scale)}")
    return scale | (overrides or {})


def series(parameters: dict[str, Any]) -> list[tuple[float, int, int]]:
    """The masks of the paper's two series, as (ratio, unit in pixels, seed).

    Every ratio at the scale's own unit, then every unit at ratio 0.75 (Section 3, Pretraining overview); each once.
    """
    unit = parameters["scale"]["unit"]
    masks = {(ratio, unit) for ratio in parameters["mask_ratios"]}
    masks |= {(SERIES_RATIO, other) for other in parameters["units"]}
    return [(ratio, unit, seed) for seed in parameters["seeds"] for ratio, unit in sorted(masks)]
