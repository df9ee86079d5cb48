"""The ranges of everything but a figurine's shape, by regime and variant."""

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Nuisances:
    """The ranges of the exogenous noise; lengths in units of half an image, angles as the tangent of the half angle."""

    shift: float = 0.04  # the figurine's centre, either way
    scale: tuple[float, float] = (0.84, 0.94)
    turn: tuple[float, float] = (0.0, 0.045)  # either way: up to 5 degrees
    slope: float = 0.5  # the ground's gradient
    contrast: tuple[float, float] = (0.4, 0.8)  # of the two colours of the fill
    noise: tuple[float, float] = (0.01, 0.04)  # width of the uniform pixel noise
    overhang: float | None = None  # how far a shift may take an upright figurine over the border; None: no limit
    day: bool = True  # half of the images are negatives
    clutter: "Clutter | None" = None


@dataclass(frozen=True)
class Clutter:
    """What else is in an image: a textured ground, lone parts, something in front, and uneven light over all of it."""

    distractors: int = 3  # lone parts, of uninformative styles, behind the figurine
    occlusion: tuple[float, float] = (0.1, 0.2)  # the hidden share of the figurine's pixels
    dim: tuple[float, float] = (0.3, 0.6)  # brightness of all but the figurine, against its own
    ground: float = 0.6  # contrast of the ground's two colours
    light: float = 0.2  # how much light grows across half an image, either way along x and y
    relief: float = 0.2  # how much it varies at all scales, from half an image to an eighth


CLEAN = Nuisances()
# Fixed by baselines without masks: results/calibration/figurines-search.json has the window and the trials.
CLUTTERED = Nuisances(
    shift=0.25,
    scale=(0.65, 1.0),
    turn=(0.0, 0.268),  # up to 30 degrees
    overhang=0.1,
    day=False,  # it flips figure and ground, which makes attention's sign random
    clutter=Clutter(),
)
REGIMES = {"plain": CLEAN, "cluttered": CLUTTERED}
VARIANTS: dict[str, dict[str, Any]] = {
    "clean": {},
    "cue_conflict": {},
    "sketch": {},
    "rendition": {},
    # 20 to 40 degrees, smaller, further from the centre: outside the range of training.
    "odd_pose": {"shift": 0.2, "scale": (0.60, 0.75), "turn": (0.18, 0.36), "slope": 1.0},
    "second": {
        "shift": 0.05,
        "scale": (0.80, 0.94),
        "turn": (0.0, 0.06),
        "contrast": (0.3, 0.8),
        "noise": (0.01, 0.06),
    },
}
_IN_CLUTTER: dict[str, dict[str, Any]] = {
    # 35 to 50 degrees and smaller; no larger shift is possible.
    "odd_pose": {"scale": (0.50, 0.62), "turn": (0.315, 0.466)},
    "second": {"scale": (0.6, 1.0), "turn": (0.0, 0.3), "contrast": (0.3, 0.8), "noise": (0.01, 0.06)},
}


def ranges_of(regime: str, variant: str) -> Nuisances:
    """The ranges in a regime of REGIMES and a variant of VARIANTS."""
    ranges = REGIMES[regime]
    changed = _IN_CLUTTER if ranges.clutter else VARIANTS
    return replace(ranges, **changed.get(variant, {}))
