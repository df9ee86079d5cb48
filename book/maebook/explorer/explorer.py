"""A hierarchy to play with: mask pixels on the page and see A, c, s_m and s_mc move, with no server behind it.

Theorem 1 is worked out here, for every mask, and the page only looks results up. What becomes of a node depends on the
pixels below it alone, so each node carries a table over the masks of those: exact for any graph, and 22 kB for a tree
of 16 pixels where a list of all 65,536 masks would take 500. The graph is drawn here too, so that without scripts the
picture of the first mask stands, with a table of the others.
"""

import base64
import json
from collections.abc import Hashable, Iterable, Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import ArrayLike

from mae_lib.theory import (
    LatentHierarchy,
    locate_shared_information,
    locate_shared_information_batch,
)
from maebook.bundles import FIGURE, emit
from maebook.explorer.drawing import graph_svg, names, set_list, told
from maebook.explorer.page import SCRIPT, STYLE
from maebook.figures import PALETTE

LARGEST = 16  # observables
_MOST_ROWS = 1 << 18  # of all nodes' tables together, 64 kB
_STATES = ("s_mc", "s_m", "split", "c")  # two bits
_DRAWS = 8  # orders in which the slider masks units


def node_tables(hierarchy: LatentHierarchy) -> tuple[list[list[int]], list[int], bytes]:
    """(below, first row, table): what each node is under every mask of the observables below it.

    `below[v]`: positions of those observables. The state of node v stands in row first[v] + Σ 2^i [below[v][i] is
    masked]: two bits, four rows a byte, lowest bits first; 0 s_mc, 1 s_m, 2 A without c, 3 c. A node above no
    observable has no state. Raises ValueError for more than 16 observables, or for more than 2^18 rows (more than three
    nodes above all of 16).
    """
    count = len(hierarchy.observables)
    if count > LARGEST:
        raise ValueError(f"{count} observables are too many to explore: {LARGEST} at most")
    position = {x: i for i, x in enumerate(hierarchy.observables)}
    below = [[position[x] for x in hierarchy.descendant_observables(v)] for v in hierarchy.nodes]
    sizes = [2 ** len(pixels) if pixels else 0 for pixels in below]
    if sum(sizes) > _MOST_ROWS:
        raise ValueError(
            f"{sum(sizes)} rows are too many to put in a page: {_MOST_ROWS} at most, 2^k for k pixels below"
        )
    rows = np.zeros(-(-sum(sizes) // 4) * 4, dtype=np.uint8)
    first = np.cumsum([0, *sizes])
    for pixels in {tuple(pixels) for pixels in below if pixels}:
        states = _states(hierarchy, pixels)
        for v in (v for v, own in enumerate(below) if tuple(own) == pixels):
            rows[first[v] : first[v + 1]] = states[:, v]
    packed = np.bitwise_or.reduce(rows.reshape(-1, 4) << np.array([0, 2, 4, 6], dtype=np.uint8), axis=1)
    return below, first[:-1].tolist(), packed.tobytes()


def _states(hierarchy: LatentHierarchy, pixels: Sequence[int]) -> np.ndarray:
    """The state of every node under every mask of `pixels`: uint8 (2^k, nodes)."""
    masks = np.zeros((2 ** len(pixels), len(hierarchy.observables)), dtype=bool)
    masks[:, list(pixels)] = np.arange(len(masks))[:, None] >> np.arange(len(pixels)) & 1
    batch = locate_shared_information_batch(hierarchy, masks)
    states = batch.s_m.astype(np.uint8)
    states[:, : len(hierarchy.latents)] += 2 * batch.split.astype(np.uint8) + batch.c
    return states


def _unit_orders(units: Mapping[str, ArrayLike], count: int, seed: int) -> dict[str, list[list[list[int]]]]:
    """For each kind of unit, several shuffled orders of its units, each a list of pixels."""
    orders = {}
    for name, unit_of in units.items():
        unit_of = np.asarray(unit_of)
        if unit_of.shape != (count,):
            raise ValueError(f"units {name!r} has shape {unit_of.shape}: give each of the {count} pixels its unit")
        members = [np.flatnonzero(unit_of == unit).tolist() for unit in np.unique(unit_of)]
        rng = np.random.default_rng(seed)
        orders[name] = [[members[i] for i in rng.permutation(len(members))] for _ in range(_DRAWS)]
    return orders


def _bits(hierarchy: LatentHierarchy, masked: frozenset) -> str:
    return "".join(str(int(x in masked)) for x in hierarchy.observables)


def _buttons(hierarchy: LatentHierarchy, presets: Mapping[str, frozenset]) -> str:
    """The masks by name, nothing, and the exchange of the two sides."""
    masks = presets | {"nothing masked": frozenset()}
    named = (
        f'<button type="button" data-mask="{_bits(hierarchy, mask)}">{escape(name)}</button>'
        for name, mask in masks.items()
    )
    swap = '<button type="button" class="swap">swap masked and visible</button>'
    return f'<div class="bar live" hidden>{"".join(named)}{swap}</div>'


def _slider(draws: Mapping[str, list], ratio: float) -> str:
    if not draws:
        return ""
    options = "".join(f"<option>{escape(name)}</option>" for name in draws)
    most = len(next(iter(draws.values()))[0])
    start = f'min="0" max="{most}" step="1" value="{round(ratio * most)}"'
    return (
        f'<div class="bar live" hidden><label>unit <select>{options}</select></label>'
        f'<label>ratio <input type="range" {start}><output></output></label>'
        '<button type="button" class="again">another draw</button></div>'
    )


def _table(hierarchy: LatentHierarchy, masks: Mapping[str, frozenset]) -> str:
    """What stands in where scripts do not run: the sets of each named mask."""
    head = "".join(
        f'<th scope="col">{text}</th>' for text in ("mask", "masked", "c", "A", "sₘ: noise of", "sₘᶜ: noise of")
    )
    rows = []
    for name, mask in masks.items():
        shared = locate_shared_information(hierarchy, mask)
        sets = (mask, shared.c, shared.split, shared.s_m, shared.s_mc)
        cells = "".join(f"<td>{names(hierarchy, nodes, told)}</td>" for nodes in sets)
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="still mae-scroll">{table}</div>'


def explorer_html(
    hierarchy: LatentHierarchy,
    masked: Iterable[Hashable] = (),
    caption: str = "",
    presets: Mapping[str, Iterable[Hashable]] | None = None,
    units: Mapping[str, ArrayLike] | None = None,
    seed: int = 0,
) -> str:
    """The explorer as HTML, the same bytes every time; see `show_explorer`."""
    if not caption.strip():
        raise ValueError("caption is empty: say in a sentence what there is to explore")
    masked = frozenset(masked)
    shared = locate_shared_information(hierarchy, masked)
    presets = {name: frozenset(mask) for name, mask in (presets or {}).items()}
    draws = _unit_orders(units or {}, len(hierarchy.observables), seed)
    below, rows, table = node_tables(hierarchy)
    model = {"names": list(map(str, hierarchy.nodes)), "below": below, "rows": rows, "draws": draws}
    model["told"] = [told(name) for name in model["names"]]
    model["start_mask"] = _bits(hierarchy, masked)
    data = {"model": escape(json.dumps(model, separators=(",", ":"))), "table": base64.b64encode(table).decode()}
    attributes = " ".join(f'data-{name}="{value}"' for name, value in data.items())
    colours = ";".join(f"--x-{name}:{colour}" for name, colour in zip(("c", "m", "mc"), PALETTE))
    parts = (
        _buttons(hierarchy, presets),
        _slider(draws, len(masked) / len(hierarchy.observables)),
        graph_svg(hierarchy, masked, shared),
        set_list(hierarchy, shared),
        _table(hierarchy, presets or {"first": masked}),
    )
    element = f'<mae-explorer style="{colours}" {attributes}>{"".join(parts)}</mae-explorer>'
    about = f"<figcaption>{escape(caption)}</figcaption>"
    return f'<figure class="mae-figure"><style>{STYLE}</style>{element}{about}<script>{SCRIPT}</script></figure>'


def show_explorer(
    hierarchy: LatentHierarchy,
    masked: Iterable[Hashable] = (),
    caption: str = "",
    presets: Mapping[str, Iterable[Hashable]] | None = None,
    units: Mapping[str, ArrayLike] | None = None,
    seed: int = 0,
) -> None:
    """Display a hierarchy whose pixels the reader can mask, by pointer or keyboard, starting from `masked`.

    presets: masks by name, one button each. units: kinds of mask unit by name, each the unit of every observable, int
    (observables,); with them come a slider for the ratio and random draws, shuffled by `seed`.

    Raises ValueError without a caption, for a mask that names no observable, for units that do not fit, and for a
    hierarchy that is too large (see `node_tables`).
    """
    emit(FIGURE, {}, explorer_html(hierarchy, masked, caption, presets, units, seed))
