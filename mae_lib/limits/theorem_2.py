"""Theorem 2 by training: how much of c small autoencoders find on Figure 4's graph, with assumptions met or broken.

The numbers of its page are in one table: `measured_identification` trains dozens of autoencoders (minutes on one core),
and `evidence` reshapes the table for deciding the claims.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from mae_lib.limits.identifiability import (
    Autoencoders,
    Problem,
    Scores,
    linear_estimate,
    score_autoencoders,
    train_autoencoders,
)
from mae_lib.limits.nonlinear_hierarchy import NonlinearHierarchy
from mae_lib.presets import preset_word
from mae_lib.theory import LatentHierarchy, locate_shared_information
from mae_lib.theory.linear_gaussian import LinearGaussian, rank

COLUMNS = ("part", "condition", "loss", "seed", "metric", "value")
FIGURE_MASKS = {
    "conservative": ("x1",),
    "aggressive": ("x1", "x2", "x3", "x4", "x5", "x6"),
    "ideal": ("x1", "x2", "x3"),
}
MASKS = FIGURE_MASKS | {"two of z3's": ("x1", "x2"), "all of z5's": ("x4", "x5"), "two sinks": ("x1", "x4")}
READ = {"c_from_estimate": "c from ĉ", "estimate_from_c": "ĉ from c", "private_from_estimate": "private from ĉ"}
ENERGY, SQUARED = "energy score", "squared error"
NOISE = "noise of "  # a node's, from ĉ
WIDTH, SLOPE, CORRELATION = "dimensions of ĉ", "slope", "correlation"  # what is broken
_BROKEN = {WIDTH: (1, 2, 6, 12), SLOPE: (0.0, 0.1), CORRELATION: (0.3, 0.9)}
_SIZES = {"smoke": (2, 80), "gpu": (10, 4000), "paper": (10, 4000)}  # processes, steps
_LOSSES = {"energy": ENERGY, "squared": SQUARED}


def size_of(preset: str) -> tuple[int, int]:
    """How many processes a preset averages over, and for how many steps it trains."""
    return _SIZES.get(preset_word(preset), (5, 3000))


def process(seed: int, slope: float = 0.3, **options: object) -> NonlinearHierarchy:
    """A process of the page: Figure 4's graph, z1 of two dimensions and every other noise of one."""
    return NonlinearHierarchy(LatentHierarchy.figure_4(), seed, noise_dim={"z1": 2}, slope=slope, **options)


Named = list[tuple[str, str, Problem]]  # part, condition, problem


def measured_identification(seeds: Sequence[int], processes: int, steps: int, slope: float = 0.3) -> pd.DataFrame:
    """Train and score every autoencoder of the page: a row for each part, condition, loss, process and metric.

    seeds: each yields its own `processes` processes, numbered in the column seed. Parts: "trained" and "untrained" (by
    mask), "steps" (the ideal mask, by how long), "zero mean" (a process whose conditional mean is uninformative), and
    the three assumptions of `_BROKEN`, by degree of violation, from none.
    """
    numbers = [1000 * seed + i for seed in seeds for i in range(processes)]
    main = [one for number in numbers for one in _masked(process(number, slope))]
    trained = _scored(main, steps)
    parts = [trained, _scored([("untrained", *one[1:]) for one in main if one[2].loss == "energy"], 0)]
    for fewer in (steps // 8, steps // 4, steps // 2):
        ideal = [("steps", str(fewer), Problem(process(n, slope), FIGURE_MASKS["ideal"])) for n in numbers]
        parts.append(_scored(ideal, fewer))
    parts.append(_scored([one for n in numbers for one in _zero_mean(n, slope)], steps))
    parts.append(_scored([one for n in numbers for one in _broken(n, slope)], steps))
    width = next(one.d_c for _, condition, one in main if condition == "conservative")
    for part, condition, mask in (
        ("steps", steps, "ideal"),
        (WIDTH, width, "conservative"),
        (SLOPE, slope, "ideal"),
        (CORRELATION, 0.0, "conservative"),
    ):
        same = trained[(trained["condition"] == mask) & (trained["loss"] == ENERGY)]
        parts.append(same[same["metric"].isin(READ.values())].assign(part=part, condition=str(condition)))
    return pd.concat(parts, ignore_index=True)


def _masked(world: NonlinearHierarchy) -> Named:
    energy = [("trained", name, Problem(world, masked)) for name, masked in MASKS.items()]
    return energy + [("trained", name, Problem(world, m, loss="squared")) for name, m in FIGURE_MASKS.items()]


def _zero_mean(number: int, slope: float) -> Named:
    world = process(number, slope, mean_free=frozenset({"x1"}))
    return [("zero mean", loss, Problem(world, ("x1",), loss=loss)) for loss in _LOSSES]


def _broken(number: int, slope: float) -> Iterator[tuple[str, str, Problem]]:
    cautious, ideal = FIGURE_MASKS["conservative"], FIGURE_MASKS["ideal"]
    for width in _BROKEN[WIDTH]:
        yield WIDTH, str(width), Problem(process(number, slope), cautious, width=width)
    for value in _BROKEN[SLOPE]:
        yield SLOPE, str(value), Problem(process(number, value), ideal)
    for value in _BROKEN[CORRELATION]:
        yield CORRELATION, str(value), Problem(process(number, slope, correlation=value), cautious)


def _scored(named: Named, steps: int) -> pd.DataFrame:
    model: Autoencoders = train_autoencoders([problem for _, _, problem in named], steps)
    rows = [
        (part, condition, _LOSSES[problem.loss], problem.world.seed, metric, value)
        for (part, condition, problem), score in zip(named, score_autoencoders(model))
        for metric, value in _metrics(score, noises=part == "trained").items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _metrics(score: Scores, noises: bool) -> dict[str, float]:
    found = {metric: getattr(score, key) for key, metric in READ.items()}
    return found | ({NOISE + node: value for node, value in score.noises.items()} if noises else {})


def part_of(found: pd.DataFrame, part: str, loss: str = ENERGY) -> pd.DataFrame:
    """The three R² of one part under one loss."""
    chosen = (found["part"] == part) & (found["loss"] == loss) & found["metric"].isin(READ.values())
    return found[chosen]


def noises_read(found: pd.DataFrame) -> pd.DataFrame:
    """Mean R² of each latent's noise from ĉ, one row per mask, one column per latent and the highest of the pixels."""
    rows = found[(found["part"] == "trained") & (found["loss"] == ENERGY) & found["metric"].str.startswith(NOISE)]
    rows = rows.assign(node=rows["metric"].str.removeprefix(NOISE))
    table = rows.pivot_table("value", "condition", "node").loc[list(MASKS)]
    pixels = [node for node in table if node.startswith("x")]
    return table.drop(columns=pixels).assign(pixels=table[pixels].max(axis=1)).rename_axis(columns=None)


def evidence(found: pd.DataFrame) -> dict[str, pd.DataFrame | list[dict]]:
    """By claim, the table that decides it."""
    zero = part_of(found, "zero mean", SQUARED).assign(condition="mean of zero")
    low = found[found["metric"].isin([NOISE + z for z in ("z3", "z5", "z6")]) & (found["loss"] == ENERGY)]
    low = low[low["condition"].isin(FIGURE_MASKS)].groupby(["condition", "seed"], as_index=False)["value"].max()
    return {
        "encoder-identifies-c": _missed(part_of(found, "trained")).rename(columns={"condition": "mask"}),
        "masks-decide-what-is-learned": low.rename(columns={"condition": "mask"}),
        "squared-error-identifies-c": _missed(pd.concat([part_of(found, "trained", SQUARED), zero])),
        "identifiability-needs-its-assumptions": _lower_r2(found),
    }


def _missed(rows: pd.DataFrame) -> pd.DataFrame:
    """The shares that should be zero."""
    named = ("share of c that the estimate misses", "share of the estimate that c does not predict")
    named = dict(zip(READ.values(), (*named, "private information in the estimate")))
    private = rows["metric"] == READ["private_from_estimate"]
    value = rows["value"].where(private, 1 - rows["value"])
    return rows.assign(metric=rows["metric"].map(named), value=value)[["condition", "seed", "metric", "value"]]


def _lower_r2(found: pd.DataFrame) -> pd.DataFrame:
    """The lower of both R², by process, as stated and under each broken assumption."""
    width = Problem(process(0), FIGURE_MASKS["conservative"]).d_c
    slopes = set(found.loc[found["part"] == SLOPE, "condition"].astype(float))
    slope = max(slopes - set(_BROKEN[SLOPE]), default=max(slopes))
    stated = {
        (WIDTH, width): "as stated",
        (WIDTH, width - 1): "too narrow",
        (WIDTH, 2 * width): "too wide",
        (CORRELATION, 0.3): "correlated noises",
        (SLOPE, slope): "as stated, ideal mask",
        (SLOPE, 0.0): "not invertible",
    }
    rows = found[found["part"].isin(_BROKEN) & (found["metric"] != READ["private_from_estimate"])]
    keys = zip(rows["part"], rows["condition"].astype(float))
    rows = rows.assign(condition=[stated.get(key) for key in keys]).dropna(subset="condition")
    return rows.groupby(["condition", "seed"], sort=False, as_index=False)["value"].min()


def masks_of(graph: LatentHierarchy) -> list[tuple]:
    """Every mask that hides and shows at least one observable."""
    x = graph.observables
    return [masked for size in range(1, len(x)) for masked in combinations(x, size)]


def linear_checks(instance: LinearGaussian, masked: tuple) -> dict[str, bool]:
    """Theorems 1 and 2 for one mask of a linear process, as statements about ranks."""
    shared = locate_shared_information(instance.hierarchy, masked)
    visible = [x for x in instance.hierarchy.observables if x not in masked]
    x_m, x_mc, c = map(instance.loadings, (masked, visible, shared.c))
    correlations = instance.canonical_correlations(masked)
    ones = np.arange(len(correlations)) < len(instance.noise(shared.split))
    c_hat = linear_estimate(x_m, x_mc)
    return {
        "correlations are 0 or 1, as many 1 as c fills": np.allclose(correlations, ones, atol=1e-6),
        "c is a function of either side": rank(x_m, c) == rank(x_m) and rank(x_mc, c) == rank(x_mc),
        "the estimate is one-to-one with c": len(c_hat) == rank(c_hat) == rank(c) == rank(c, c_hat),
        "one dimension fewer loses some of c": rank(c_hat[:-1]) < rank(c),
    }
