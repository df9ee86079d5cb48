"""The hero of the front page: a figurine, its tree, and a mask that two sliders move; A and c are Algorithm 1's.

`book/_static/hero.js` runs the algorithm in the page. What it looks up is worked out here: shuffled orders in which
units are hidden, and the bits of every ratio and unit, exact. Before a script has run, and without one, the first mask
stands as a still picture with its words.
"""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from itertools import product

import numpy as np

from mae_lib.theory import LatentHierarchy, SharedInformation, locate_shared_information
from mae_lib.theory.grammars import code_grammar
from mae_lib.theory.information import expected_bits
from mae_lib.theory.mask_levels import FixedCount, square_units

SIDE = 8  # patches along a side: a corner is 2 x 2 of them, a part 4 x 4
UNITS = {"patch": 1, "corner": 2, "part": 4}  # of a mask, in patches a side
PERCENT = range(5, 100, 5)  # of the patches, hidden
LEVELS = (("class", "classes"), ("part", "parts"), ("corner", "corners"))  # of latents, the root first
_START = ("corner", 75)
_DRAWS = 12
_FIGURINE, _PIXELS = 20, 256  # an image of the test split, and its side
_LEFT, _WIDE, _ROWS, _RADII = 52.0, 360.0, (18.0, 66.0, 116.0, 152.0), (11.0, 8.5, 6.0)  # of the tree, in px


def hierarchy() -> LatentHierarchy:
    """Class, 2 x 2 parts, 4 x 4 corners, 8 x 8 patches: nodes level by level, each in raster order."""
    return LatentHierarchy.quadtree(SIDE)


def units(unit: str) -> int:
    """How many units of this kind an image has."""
    return (SIDE // UNITS[unit]) ** 2


def hidden_units(unit: str, percent: int) -> int:
    """How many of them are hidden at this ratio: never none, never all."""
    return min(max(round(percent * units(unit) / 100), 1), units(unit) - 1)


@cache
def orders(seed: int = 0) -> Mapping[str, list[list[int]]]:
    """Shuffled orders of the units of each kind: the first ones are hidden."""
    rng = np.random.default_rng(seed)
    return {unit: [rng.permutation(units(unit)).tolist() for _ in range(_DRAWS)] for unit in UNITS}


def mask(unit: str, percent: int, order: Sequence[int]) -> np.ndarray:
    """bool (64,), True = hidden, patches in raster order."""
    return np.isin(square_units(SIDE, UNITS[unit]), order[: hidden_units(unit, percent)])


@cache
def bits() -> Mapping[str, list[list[float]]]:
    """What class, parts and corners tell of the hidden patches, by unit and ratio: bits, a mean over images and masks.

    On the grammar of the figurines, where four patches show each corner; `expected_bits` has the definition.
    """
    tree, found = code_grammar(copies=4), {}
    for unit, side in UNITS.items():
        counts = [hidden_units(unit, percent) for percent in PERCENT]
        laws = {count: FixedCount(count, units(unit)) for count in counts}
        exact = expected_bits(tree, list(laws.values()), np.arange(SIDE**2) // side**2).by_level[:, ::-1]
        rows = dict(zip(laws, np.abs(exact.round(2)).tolist(), strict=True))
        found[unit] = [rows[count] for count in counts]
    return found


def counted(hidden: np.ndarray) -> str:
    """How many patches a mask hides, and their share, rounded half up as a script does it."""
    return f"{hidden.sum()} of {hidden.size} patches hidden ({np.floor(100 * hidden.mean() + 0.5) / 100:.2f})"


def located(hidden: np.ndarray) -> SharedInformation:
    """Theorem 1's sets for a mask, bool (64,)."""
    tree = hierarchy()
    return locate_shared_information(tree, [x for x, masked in zip(tree.observables, hidden, strict=True) if masked])


def states(shared: SharedInformation) -> list[str]:
    """What becomes of each node, in the order of `hierarchy().nodes`: c, split (A without c), s_m or s_mc."""
    return [next(s for s in ("c", "split", "s_m", "s_mc") if v in getattr(shared, s)) for v in hierarchy().nodes]


def told(found: Sequence[str], *wanted: str) -> str:
    """How many latents of each level have one of these states: "the class, 3 parts"."""
    said, first = [], 0
    for depth, (one, many) in enumerate(LEVELS):
        count = sum(state in wanted for state in found[first : first + 4**depth])
        said += [f"the {one}" if depth == 0 else f"{count} {many if count > 1 else one}"] if count else []
        first += 4**depth
    return ", ".join(said) or "nothing"


def hero() -> str:
    """The hero as HTML without a blank line, the same bytes every time."""
    unit, percent = _START
    hidden = mask(unit, percent, orders()[unit][0])
    found = states(located(hidden))
    model = {"orders": orders(), "bits": bits(), "units": UNITS, "levels": LEVELS, "percent": list(PERCENT)}
    data = escape(json.dumps(model, separators=(",", ":")))
    return (
        f'<figure class="mae-hero"><mae-hero data-model="{data}"><div class="mae-hero-pictures">'
        f"{_picture(found)}{_tree(found)}</div>{_controls(unit, percent)}{_readout(unit, percent, hidden, found)}"
        f"</mae-hero><figcaption>{_CAPTION}</figcaption></figure>"
    )


_CAPTION = (
    "A figurine and the tree that generated it. Blue: latents shared by hidden and visible patches (<i>A</i>); solid: "
    "the lowest of these (<i>c</i>), by Algorithm 1. Flipping the mask keeps <i>c</i> but changes the bits."
)


def _figurine() -> np.ndarray:
    """uint8 (256, 256, 3): a figurine on its grid, without noise."""
    import torch

    from mae_lib.worlds.figurines import Figurines

    world = Figurines(size=_PIXELS, jitter=0.0)
    still = {"shift": 0.0, "turn": 0.0, "scale": 0.98, "noise": 0.0}
    image = world.render(world.latents(torch.tensor([_FIGURINE]), "test", do=still)).images[0]
    return (image.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)


@cache
def _drawn() -> tuple[str, list[str]]:
    """The figurine as a data URL, and the mean colour of each patch."""
    from PIL import Image

    pixels, file = _figurine(), io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=88)
    step = _PIXELS // SIDE
    means = pixels.reshape(SIDE, step, SIDE, step, 3).mean((1, 3)).round().astype(int).reshape(-1, 3)
    colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in means.tolist()]
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}", colours


def _squares() -> list[tuple[int, int, int, int]]:
    """(depth, row, column, side in patches) of every node, in order."""
    return [
        (depth, i, j, SIDE >> depth) for depth in range(len(LEVELS) + 1) for i, j in product(range(2**depth), repeat=2)
    ]


def _picture(found: Sequence[str]) -> str:
    """The image, a cover on each patch and an outline for each latent."""
    step = _PIXELS // SIDE
    shapes = []
    for node, (depth, i, j, side) in reversed(list(enumerate(_squares()))):
        inset, length = (0, step) if depth == len(LEVELS) else (2, side * step - 4)
        kind = "cover" if depth == len(LEVELS) else "outline"
        box = f'x="{j * side * step + inset}" y="{i * side * step + inset}" width="{length}" height="{length}"'
        shapes.append(f'<rect class="{kind}" data-node="{node}" data-state="{found[node]}" {box}/>')
    alt = "A figurine under a grid of 8 by 8 patches; hidden patches are covered, squares of latents in c are outlined."
    image = f'<image href="{_drawn()[0]}" width="{_PIXELS}" height="{_PIXELS}"/>'
    return (
        f'<svg class="mae-hero-image" viewBox="0 0 {_PIXELS} {_PIXELS}" role="img" aria-label="{alt}">'
        f"{image}{''.join(shapes)}</svg>"
    )


def _place(depth: int, row: int, column: int) -> tuple[float, float]:
    """Where a node of the tree stands: above the middle of its patches, which come block by block (in Z-order)."""
    turn = sum((row >> b & 1) << (2 * b + 1) | (column >> b & 1) << (2 * b) for b in range(depth))
    return _LEFT + (turn + 0.5) * (_WIDE - _LEFT - 2) / 4**depth, _ROWS[depth]


def _tree(found: Sequence[str]) -> str:
    places = [_place(depth, i, j) for depth, i, j, _ in _squares()]
    edges, nodes = [], []
    wide = (_WIDE - _LEFT - 2) / SIDE**2
    for node, (depth, i, j, _) in enumerate(_squares()):
        (x, y), mark = places[node], f'data-node="{node}" data-state="{found[node]}"'
        if depth:
            up_x, up_y = _place(depth - 1, i // 2, j // 2)
            edges.append(f'<path class="edge" {mark} d="M{up_x:.1f} {up_y:.0f}L{x:.1f} {y:.0f}"/>')
        if depth < len(LEVELS):
            circle = f'cx="{x:.1f}" cy="{y:.0f}" r="{_RADII[depth]}"'
            nodes.append(f'<circle class="ground" {circle}/><circle class="latent" {mark} {circle}/>')
        else:
            box = f'x="{x - wide / 2 + 0.4:.1f}" y="{y:.0f}" width="{wide - 0.8:.1f}" height="11"'
            nodes.append(f'<rect class="leaf" {mark} fill="{_drawn()[1][node - len(places)]}" {box}/>')
    names = [LEVELS[0][0], *(many for _, many in LEVELS[1:]), "patches"]
    rows = "".join(
        f'<text x="0" y="{y + (5 if name == "patches" else 0):.0f}">{name}</text>'
        for name, y in zip(names, _ROWS, strict=True)
    )
    alt = "Its tree: the class above four parts, 16 corners and 64 patches; shared latents are blue."
    return (
        f'<svg class="mae-hero-tree" viewBox="0 0 {_WIDE:g} 166" role="img" aria-label="{alt}">'
        f"{''.join(edges)}{''.join(nodes)}{rows}</svg>"
    )


def _controls(unit: str, percent: int) -> str:
    """Two sliders and two buttons, hidden until the script starts."""
    ratio = f'min="{PERCENT[0]}" max="{PERCENT[-1]}" step="{PERCENT.step}" value="{percent}"'
    side = f'min="0" max="{len(UNITS) - 1}" step="1" value="{list(UNITS).index(unit)}"'
    return (
        '<div class="mae-hero-controls" hidden>'
        f'<label>ratio <input type="range" name="ratio" {ratio}><b data-shown="ratio"></b></label>'
        f'<label>unit <input type="range" name="unit" {side}><b data-shown="unit"></b></label>'
        '<button type="button" name="another">new mask</button>'
        '<button type="button" name="flip">flip: r to 1\u00a0−\u00a0r</button></div>'
    )


def _readout(unit: str, percent: int, hidden: np.ndarray, found: Sequence[str]) -> str:
    most = max(max(map(max, rows)) for rows in bits().values())
    rows = []
    for (name, _), value in zip(LEVELS, bits()[unit][PERCENT.index(percent)], strict=True):
        bar = f'<i class="mae-bar"><i data-bar style="width:{100 * value / most:.1f}%"></i></i>'
        rows.append(f"<li><span>{name}</span> {bar} <b data-bits>{value:.1f} bits</b></li>")
    return (
        '<div class="mae-hero-said" role="status" aria-live="polite">'
        f'<p><span data-said="hidden">{counted(hidden)}</span>. '
        f'<i>c</i>: <b data-said="c">{told(found, "c")}</b>. <i>A</i>: <span data-said="A">{told(found, "c", "split")}'
        "</span>.</p><p>Bits from each level about hidden patches (exact; mean over such masks):</p>"
        f'<ul data-most="{most}">{"".join(rows)}</ul></div>'
    )
