"""What a score's name implies: the bounds of its mean, and whether it counts right answers."""

import re

EVERYWHERE = (-float("inf"), float("inf"))
_CONTROL = re.compile(r"^(another image|photographs): ")
_STRENGTH = re.compile(r" (at [\d.]+|\(.*\))$")
_DIFFERENCES = re.compile(r" (over \w+|gained)$|^lead of ")
_PERCENT = re.compile(r"^AP\d* ")
# One answer an image, right or wrong.
_HITS = re.compile(
    r"^(IN1K|IN-v2|OJN|IN-R|IN-A|IN-S|(class|digits) (probe( accuracy)?|by neighbours)|(class|texture) read"
    r"|(shape|texture) accuracy)$"
)
_SHARES = re.compile(
    r"^(SSIM|FSIM|class token on the object|overlap with the object|share .*|part token (on|off) .*|purity of .*"
    r"|(parts|corners|texture) probe|shape bias|.*lower R² of both.*)$"
)
_APART = re.compile(r" set apart by ")  # |area under the curve - 1/2|


def is_hits(metric: str) -> bool:
    """Whether each image scores 0 or 1, so that the variance over images follows from the mean."""
    return bool(_HITS.match(_plain(metric)))


def bounds(metric: str) -> tuple[float, float]:
    """The bounds of a score's mean: (0, 1) for shares and right answers; infinite where unknown."""
    plain = _plain(metric)
    if _DIFFERENCES.search(plain):
        return EVERYWHERE
    if _APART.search(plain):
        return (0.0, 0.5)
    if _HITS.match(plain) or _SHARES.match(plain):
        return (0.0, 1.0)
    return (0.0, 100.0) if _PERCENT.match(plain) else EVERYWHERE


def _plain(metric: str) -> str:
    return _STRENGTH.sub("", _CONTROL.sub("", metric))
