"""What this book found, each as one picture and one sentence; every number is worked out when the book is built.

The theory's are counted here in a second each, without a model. Those of trained encoders come from the strongest
published run of each world, and are left out where nothing is published.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mae_lib.claims.claims import load_claims, paper_table
from mae_lib.studies.results import Results, published
from mae_lib.theory import LatentHierarchy, two_readings
from mae_lib.theory.discrete_tree import DiscreteTree
from mae_lib.theory.grammars import code_grammar
from mae_lib.theory.graph_from_masks import descendant_dims, gromov_products, shared_dimension, tree_from_products
from mae_lib.theory.information import expected_bits
from mae_lib.theory.mask_levels import IndependentUnits, expected_sinks, mean_level
from maebook import bits_beside
from maebook.figures import DASHES, INK, MARKERS, PALETTE, figure, ratio_curve, summarise
from maebook.strongest import results
from maebook.verdict_box import in_words

_RATIOS = np.round(np.linspace(0.02, 0.98, 49), 2)
_MIRROR = 0.75  # the paper's best ratio, and 1 - 0.75
_PAPER_RATIOS = (0.1, 0.25, 0.5, 0.75, 0.9)
_SIZES = ("font.size", "axes.labelsize", "axes.titlesize", "legend.fontsize", "xtick.labelsize", "ytick.labelsize")


@dataclass(frozen=True)
class Discovery:
    """One sentence, the picture that shows it, and where it is worked out: pages and claims, the first that exists."""

    says: str
    drawing: Figure
    alt: str
    pages: tuple[str, ...]
    claim: str = ""
    chip: bool = True  # whether the claim's verdict stands beside it; the sentence may say that of its own run


def discoveries() -> Iterator[Discovery]:
    """All of them, in the order of the front page."""
    with matplotlib.rc_context(dict.fromkeys(_SIZES, 9.5)):
        yield inverted_u()
        yield mirror()
        yield unit_sets_the_level()
        yield missing_word()
        yield rise_called_a_drop()
        yield tree_from_masks()
        yield from trained()
        yield from transferred()


def _canvas(rows: int = 1, height: float = 2.1, **options) -> tuple[Figure, Axes]:
    """Smaller than a figure of a notebook, so that its text is as large on a phone."""
    drawing, axes = figure(rows, height=height, **options)
    drawing.set_size_inches(3.3, height)
    return drawing, axes


def _above_bits(bits: Mapping[str, pd.DataFrame] | None, label: str) -> tuple[Figure, Axes]:
    """A canvas for a curve over the ratio, with the bits of the top level under the same masks below it."""
    drawing, (axis, below) = _canvas(2, 2.7, height_ratios=(2, 1), sharex="col")
    bits_beside.bits_panel(below, bits, "ratio")
    below.set_ylabel("bits,\ntheory")
    axis.set_ylabel(label)
    return drawing, axis


def _bits(tree: DiscreteTree, ratios: Sequence[float] = _RATIOS) -> np.ndarray:
    """Bits of each level, the lowest first: (ratios, levels)."""
    return expected_bits(tree, [IndependentUnits(r) for r in ratios]).by_level


def _lines(axis: Axes, curves: dict[str, np.ndarray], ncols: int) -> None:
    """A line for each curve over the ratio, its marker at the peak."""
    for (label, values), marker, dash, colour in zip(curves.items(), MARKERS, DASHES, PALETTE):
        best = int(np.argmax(values))
        axis.plot(_RATIOS, values, ls=dash, color=colour, lw=1.8)
        axis.plot(_RATIOS[best], values[best], marker, ls=dash, color=colour, label=label)
    axis.set(xlabel="mask ratio", xticks=_PAPER_RATIOS)
    axis.legend(ncols=ncols, loc="lower center", bbox_to_anchor=(0.5, 1.0), handlelength=1.8, columnspacing=1.0)


def inverted_u() -> Discovery:
    """Bits of each level of a tree over 8 x 8 patches."""
    found = _bits(code_grammar(8, 2, (4, 4, 4)))
    best = _RATIOS[found.argmax(0)]
    drawing, axis = _canvas()
    _lines(axis, {f"level {k}": column / column.max() for k, column in enumerate(found.T, 1)}, 3)
    axis.set(ylabel="bits / maximum")
    order = ", higher levels at higher ratios" if (np.diff(best) > 0).all() else ""
    return Discovery(
        "Over a tree of 8 × 8 patches each level has its own inverted U: bits about hidden patches peak at ratios of "
        f"{_listed(best)}{order}. Exact; no model is trained.",
        drawing,
        "Three curves over the mask ratio, each rising to a peak and falling; higher levels peak further right.",
        ("2_3_bits_per_level", "2_3_mask_levels"),
        "higher-levels-peak-at-higher-ratios",
    )


def mirror() -> Discovery:
    """The size of c against the bits that the class tells about hidden corners, on the figurines' grammar."""
    bits = _bits(code_grammar())[:, -1]
    sinks = np.array([expected_sinks((4, 4), IndependentUnits(r)).sum() for r in _RATIOS])
    drawing, axis = _canvas()
    _lines(axis, {"latents in c": sinks / sinks.max(), "bits from the class": bits / bits.max()}, 2)
    axis.set(ylabel="value / maximum")
    pair = _bits(code_grammar(), (_MIRROR, 1 - _MIRROR))[:, -1]
    imagenet = paper_table("table_1", "ratio").query("metric == 'IN1K'").set_index("ratio")["value"]
    return Discovery(
        "The shared set c has the same law at r and 1\u00a0−\u00a0r; what the class tells about a figurine's hidden "
        f"corners differs: {pair[0]:.2f} bits at ratio {_MIRROR:g}, {pair[1]:.2f} bits at {1 - _MIRROR:g}. So does the "
        "paper's probe accuracy: "
        f"{imagenet[_MIRROR]:.0f}% and {imagenet[1 - _MIRROR]:.0f}%.",
        drawing,
        "Two curves over the mask ratio: the number of latents in c is symmetric about one half, the bits are not.",
        ("2_3_bits_per_level", "2_3_mask_levels"),
        "bits-are-not-symmetric",
    )


def unit_sets_the_level() -> Discovery:
    """The mean level of c on 16 x 16 patches, by ratio and unit."""
    sides = (1, 2, 4, 8)
    levels = {
        side: np.array([mean_level(expected_sinks((4,) * 4, IndependentUnits(r), side**2)) for r in _RATIOS])
        for side in sides
    }
    drawing, axis = _canvas()
    for (side, values), dash, colour in zip(levels.items(), DASHES, PALETTE):
        axis.plot(_RATIOS, values, ls=dash, color=colour, lw=1.8)
        axis.annotate(
            f"units of {side} × {side}", (0.5, values.mean()), (0, 3), textcoords="offset points", ha="center"
        )
    axis.set(xlabel="mask ratio", ylabel="mean level of c", xticks=_PAPER_RATIOS, ylim=(0.7, len(sides) + 0.7))
    by_ratio = math.ceil(100 * max(np.ptp(values) for values in levels.values())) / 100
    by_unit = np.diff([values.mean() for values in levels.values()]).mean()
    return Discovery(
        f"The unit, not the ratio, sets the level of c: doubling its side adds {by_unit:.1f}; changing the ratio "
        f"from {_RATIOS[0]:g} to {_RATIOS[-1]:g} changes it by at most {by_ratio:.2f} (16 x 16 patches).",
        drawing,
        "Four flat lines over the mask ratio, one for each mask unit, one level apart.",
        ("2_3_mask_levels",),
        "unit-sets-the-level",
    )


def missing_word() -> Discovery:
    """The autoencoder that meets Theorem 2 as printed and keeps a private sign."""
    c, s_m, s = two_readings.draw(400)
    x_m, x_mc = two_readings.grow(c, s_m, s)
    c_hat, _ = two_readings.encode(x_mc)
    loss = float(np.square(two_readings.decode(c_hat, s_m) - x_m).mean())
    told = float((np.sign(c_hat) == np.sign(s)).mean())
    drawing, axis = _canvas()
    for sign, marker, colour in ((1, "o", PALETTE[0]), (-1, "s", PALETTE[1])):
        chosen = np.sign(s) == sign
        label = f"s {'>' if sign > 0 else '<'} 0"
        axis.plot(c[chosen], c_hat[chosen], marker, ms=2.5, ls="", color=colour, label=label, alpha=0.7)
    axis.set(xlabel="c, shared", ylabel="estimate ĉ")
    axis.legend(loc="center right", handletextpad=0.1)
    return Discovery(
        "Theorem 2 lacks one condition, an injective decoder: without it, an autoencoder with loss "
        f"{_nought(loss)} also encodes the sign of s, which the visible side alone has, in {told:.0%} of draws.",
        drawing,
        "The estimate against c: two branches, one for each sign of s, so the estimate contains more than c.",
        ("2_3_theorem_2",),
        "theorem-2-needs-an-injective-decoder",
    )


def rise_called_a_drop() -> Discovery:
    """Table 1 by mask unit, and the sentence about it."""
    table = paper_table("table_1", "unit").query("metric == 'IN1K'").sort_values("unit")
    units, values = table["unit"].to_numpy(), table["value"].to_numpy()
    drawing, axis = _canvas()
    axis.plot(range(len(units)), values, "o-", color=PALETTE[0])
    axis.set_xticks(range(len(units)), [f"{unit:g}" for unit in units])
    axis.set(xlabel="mask unit (px)", ylabel="paper, IN1K (%)", xlim=(-0.4, len(units) - 0.6))
    axis.margins(y=0.2)
    went = "rise" if values[-1] > values[-2] else "fall"
    return Discovery(
        f"The paper's “significant” drop at {units[-1]:g} px is a {went} in its own Table 1, from {values[-2]:g}% "
        f"at {units[-2]:g} px to {values[-1]:g}%.",
        drawing,
        f"Table 1's accuracy by mask unit: {', '.join(f'{v:g}% at {u:g} px' for u, v in zip(units, values))}.",
        ("inconsistencies",),
    )


def tree_from_masks() -> Discovery:
    """Gromov products of a figurine's tree, and whether they give it back."""
    tree = LatentHierarchy.tree((4, 4))
    count, asked = len(tree.observables), set()

    def shared(masked: frozenset[int]) -> int:
        asked.add(masked)
        return shared_dimension(tree, masked)

    products = gromov_products(shared, count)
    found, noise = tree_from_products(products)
    again = descendant_dims(found, noise) == descendant_dims(tree)
    drawing, axis = _canvas()
    axis.imshow(np.where(np.eye(count, dtype=bool), np.nan, products), interpolation="none")
    axis.set(xlabel="patch", ylabel="patch", xticks=[], yticks=[])
    axis.grid(False)
    return Discovery(
        f"Masks alone {'reveal' if again else 'do not reveal'} the tree: {len(asked)} of {2**count:,} masks, those of "
        f"one and two patches, {'recover' if again else 'do not recover'} all {tree.latent_count} latents above them. "
        "The brighter the cell of two patches, the more their masks share.",
        drawing,
        "A matrix over pairs of patches, by how much their masks share; its blocks are the parts of the figurine.",
        ("2_3_graph_from_masks",),
        "masks-of-two-pixels-determine-a-tree",
    )


_BITS = "Below: bits about the hidden patches that only the top level adds, in theory."
_PROBE, _TRAINED = "IN1K", ("probe-rises-to-three-quarters", "extreme-ratio-hurts-probe")


def trained() -> list[Discovery]:
    """Linear probing by ratio in the strongest published run of each world."""
    return [_probed(one) for one in _strongest("separability")]


def transferred() -> list[Discovery]:
    """Detection by ratio in the strongest published run of each world."""
    return [_detected(one) for one in _strongest("detection")]


def _strongest(section: str) -> list[Results]:
    """Of each world the strongest run that holds a section at the paper's best ratio."""
    worlds: dict[str, list[Results]] = {}
    for one in published(section):
        if any(ratio == _MIRROR for ratio, _, _ in one.series.configs) and not one.superseded:
            worlds.setdefault(one.series.scale["world"], []).append(one)
    return [max(runs, key=_strength) for runs in worlds.values()]


def _strength(one: Results) -> tuple[int, int, int]:
    return len(_seeds(one)), one.series.scale["image_size"], one.series.scale["images"]


def _seeds(one: Results) -> set[int]:
    return {seed for _, _, seed in one.series.configs}


def _word(run: str, claim: str) -> str:
    """What a run says of a claim; it may lack the ratios that the claim compares."""
    result = results().get(run, {}).get(claim)
    return in_words(result.verdict) if result else "not run"


def _probed(one: Results) -> Discovery:
    evidence = one.evidence(load_claims()[_TRAINED[0]])
    table = evidence[evidence["metric"] == _PROBE]
    means = summarise(table, "ratio").set_index("ratio")["mean"]
    paper = paper_table("table_1", "ratio").query("metric == @_PROBE").set_index("ratio")["value"]
    rises, worse = (_word(one.name, claim) for claim in _TRAINED)
    seeds, world = len(_seeds(one)), one.series.scale["world"]
    there = "" if means.idxmax() == _MIRROR else f"; {means[_MIRROR]:.0%} at {_MIRROR:g}"
    bits = bits_beside.top_bits(one.series)
    drawing, axis = _above_bits(bits, "linear probe")
    ratio_curve(axis, table, "ratio")
    axis.set_xlabel("")
    return Discovery(
        f"Trained on {world} ({one.size[1]:,} images, {seeds} seed{'s' * (seeds > 1)}), encoders probe best at "
        f"{means.idxmax():g} ({means.max():.0%}{there}); in the paper, at {paper.idxmax():g}. "
        f"Accuracy rises up to {_MIRROR:g}: {rises}. It drops at {max(means.index):g}: {worse}.{_peak_of(bits, world)}",
        drawing,
        f"Accuracy of a linear probe by mask ratio on {world}: "
        + ", ".join(f"{value:.2f} at {ratio:g}" for ratio, value in means.items())
        + f". {_BITS}",
        ("3_3_separability",),
        _TRAINED[0],
        chip=False,
    )


def _peak_of(bits: Mapping[str, pd.DataFrame] | None, world: str) -> str:
    if not bits:
        return ""
    tree = "its grammar" if world == "figurines" else "an assumed quadtree"
    peak = bits["ratio"].set_index("ratio")["value"].idxmax()
    return f" In theory, the bits of the top level of {tree} peak at {peak:g}."


_AP, _BEST_START = "AP box", "three-quarters-transfers-best"


def _detected(one: Results) -> Discovery:
    evidence = one.evidence(load_claims()[_BEST_START])
    table = evidence[evidence["metric"] == _AP]
    means = summarise(table, "ratio").set_index("ratio")["mean"]
    found: dict[str, list[float]] = {}
    for reader, scores in one.scores("detection").items():
        found.setdefault(str(reader[0]), []).append(scores[_AP].mean())
    fresh = np.mean(found["untrained"])
    labels = (
        f"; weights trained with labels give {np.mean(found['supervised']) - fresh:+.1f}".replace("-", "−")
        if "supervised" in found
        else ""
    )
    seeds, world = len(_seeds(one)), one.series.scale["world"]
    drawing, axis = _above_bits(bits_beside.top_bits(one.series), "box AP")
    ratio_curve(axis, table, "ratio")
    axis.axhline(fresh, color=INK, lw=1, ls=":")
    axis.set_xlabel("")
    return Discovery(
        f"Detectors on scenes of {world} ({seeds} seed{'s' * (seeds > 1)}) gain most from ratio {means.idxmax():g}: "
        f"{means.max() - fresh:+.1f} box AP over fresh weights (dotted){labels}. "
        f"Ratio {_MIRROR:g} gives the best start: {_word(one.name, _BEST_START)}.",
        drawing,
        f"Box AP by mask ratio on scenes of {world}: "
        + ", ".join(f"{value:.1f} at {ratio:g}" for ratio, value in means.items())
        + f"; from fresh weights {fresh:.1f}, a dotted line. {_BITS}",
        ("3_5_transfer",),
        _BEST_START,
        chip=False,
    )


def _listed(values: Sequence[float]) -> str:
    *most, last = (f"{value:g}" for value in values)
    return f"{', '.join(most)} and {last}"


def _nought(value: float) -> str:
    """What is left of rounding is 0."""
    return "0" if value < 1e-20 else f"{value:.1g}"
