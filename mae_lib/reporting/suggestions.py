"""Section 3.6 with several seeds by one command, published in a folder and read back.

    python -m mae_lib suggestions --preset laptop --seeds "[0, 1, 2]" --out results/suggestions

Suggestion after suggestion and seed after seed; what is trained and measured lies in the runs folder and is never done
twice. The folder holds what is finished at any time: scores.csv (a row for each suggestion, arm, seed and metric) and
provenance.json, whose `wall_seconds` is null until the last seed is in.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from IPython.display import Markdown, display

from mae_lib.evaluation.scores import measure, section_of
from mae_lib.evaluation.sections import Reader, Scores
from mae_lib.evaluation.suggestions import (
    TREE_SHARE,
    TreeLevels,
    boundary_series,
    discovered_tree,
    mask_series,
    tree_series,
)
from mae_lib.presets import load_preset
from mae_lib.reporting.ledger import Verdict, decide, load_claims
from mae_lib.reporting.provenance import provenance
from mae_lib.reporting.publish import csv_of, different
from mae_lib.reporting.published import published_folder
from mae_lib.reporting.rules import Measured, basis_of
from mae_lib.sources import source_hash
from mae_lib.theory import LatentHierarchy
from mae_lib.training import Run
from mae_lib.training.checkpoints import read_json, write_files, write_json
from mae_lib.training.series import Series

MODULES = ("mae_lib.evaluation.suggestions", "mae_lib.evaluation.sections", "mae_lib.training.pretrain")
FOLDER = "suggestions"
SUGGESTIONS = ("boundary", "masks")  # that are trained and published
COLUMNS = ("suggestion", "arm", "seed", "metric", "value", "count")
UNTRAINED = "untrained"
_SECTIONS = ("separability", "shape_bias")  # that the boundary is measured by

Row = tuple[str, Any, int, str, str, int]


def publish_suggestions(
    preset: str | Path, out: str | Path, seeds: list[int] | str | None = None, device: str | None = None
) -> Path:
    """Train and measure what is missing, and write it into `out`.

    Raises ValueError for a folder that holds results of another preset, of other seeds or code, or something else.
    """
    parameters, out = load_preset(preset), Path(out)
    if seeds is not None:
        parameters["seeds"] = yaml.safe_load(seeds) if isinstance(seeds, str) else seeds
    boundary_series(preset, parameters["seeds"])  # all is checked before any work starts
    code = source_hash(*MODULES, without="theory")
    if _is_whole(out, parameters, code):
        print(f"{out}: complete already")
        return out
    started, rows = time.time(), []
    record = provenance(parameters, MODULES, device=device) | {"code_hash": code, "wall_seconds": None}
    tree = discovered_tree(tree_series(preset, parameters["seeds"][:1]).world)
    for part in (partial(_mask_rows, tree), _boundary_rows):
        for seed in parameters["seeds"]:
            rows += part(preset, seed, device)
            write_files({out / "scores.csv": csv_of(COLUMNS, rows)})
            write_json(out / "provenance.json", record)
    record |= {"finished": datetime.now(UTC).isoformat(timespec="seconds")}
    write_json(out / "provenance.json", record | {"wall_seconds": round(time.time() - started, 1)})
    return out


def _is_whole(out: Path, parameters: dict[str, Any], code: str) -> bool:
    """Whether the folder holds all of this. Raises ValueError if it holds anything else."""
    if not out.exists() or not any(out.iterdir()):
        return False
    if not (out / "provenance.json").is_file():
        raise ValueError(f"{out} is not empty and holds no published suggestions: give another folder")
    held = read_json(out / "provenance.json")
    before, now = ({k: v for k, v in one.items() if k != "seeds"} for one in (held["parameters"], parameters))
    if before != now or held.get("code_hash") != code or not set(held["seeds"]) <= set(parameters["seeds"]):
        raise ValueError(f"{out} holds results of another preset, of other seeds or of other code: remove it first")
    return held["wall_seconds"] is not None and held["seeds"] == parameters["seeds"]


def _boundary_rows(preset: str | Path, seed: int, device: str | None) -> Iterator[Row]:
    for width, series in boundary_series(preset, [seed]).items():
        runs = _trained(series, f"boundary {width}, seed {seed}", device)
        for mask, run in runs.items():
            for name in _SECTIONS:
                yield from _rows("boundary", width, seed, measure(section_of(name, series), series, mask, device))
            yield from _rows("boundary", width, seed, _took(run))


def _mask_rows(tree: LatentHierarchy, preset: str | Path, seed: int, device: str | None) -> Iterator[Row]:
    plain = tree_series(preset, [seed])
    section, untrained = TreeLevels(plain.world, plain.scale, plain.cache), (UNTRAINED, seed)
    yield from _rows("masks", UNTRAINED, seed, measure(section, plain, untrained, device))
    for name, series in mask_series(plain, tree).items():
        for mask, run in _trained(series, f"masks by {name}, seed {seed}", device).items():
            yield from _rows("masks", name, seed, measure(section, series, mask, device) | _took(run))


def _trained(series: Series, what: str, device: str | None) -> dict[Reader, Run]:
    print(what, flush=True)
    return series.train(device)


def _took(run: Run) -> Scores:
    return {"training seconds": np.array([run.done["seconds"]])}


def _rows(suggestion: str, arm: Any, seed: int, scores: Scores) -> list[Row]:
    return [(suggestion, arm, seed, metric, f"{v.mean():.10g}", len(v)) for metric, v in scores.items()]


# Reading it back


def published_suggestion(name: str) -> pd.DataFrame:
    """What is published of "boundary" or "masks", tidy: the arms in a column of that name, seed, metric and value.

    An empty table where nothing is.
    """
    file = published_folder() / FOLDER / "scores.csv"
    table = pd.read_csv(file) if file.is_file() else pd.DataFrame(columns=COLUMNS)
    rows = table[table["suggestion"] == name]
    arms = rows["arm"].astype(int) if name == "boundary" and len(rows) else rows["arm"]
    return rows.assign(**{name: arms})[[name, "seed", "metric", "value"]].reset_index(drop=True)


def published_provenance() -> dict[str, Any] | None:
    """Where these numbers come from; None where nothing is published."""
    file = published_folder() / FOLDER / "provenance.json"
    return read_json(file) if file.is_file() else None


def published_arms(
    name: str, scale: Mapping[str, Any], seeds: Sequence[int], arms: Sequence[Any], share: float = TREE_SHARE
) -> pd.DataFrame:
    """`published_suggestion` for a page that trains nothing: these arms, with every seed that was published.

    `scale` is the preset's that was asked for, `share` the tree's. Raises ValueError, which names what differs, where
    these settings or seeds were not published.
    """
    about, table = published_provenance(), published_suggestion(name)
    if about is None or table.empty:
        raise ValueError(f"{published_folder() / FOLDER} holds no {name}: set use_published to False to train here")
    held = about["parameters"]["scale"]
    apart = different({"scale": {k: v for k, v in scale.items() if k in held}}, {"scale": held})
    apart += [f"tree_share is {TREE_SHARE} there, not {share}"] * (share != TREE_SHARE)
    apart += [f"{name} {arm!r} is missing" for arm in arms if arm not in set(table[name])]
    apart += [f"seed {seed} is missing" for seed in seeds if seed not in set(table["seed"])]
    if apart:
        raise ValueError(f"these settings are not published in {published_folder() / FOLDER}: {'; '.join(apart)}")
    return table[table[name].isin(arms)].reset_index(drop=True)


def verdicts() -> dict[str, Verdict]:
    """What becomes of the claims about boundaries and masks over published seeds, by id; none before the last one."""
    if not (published_provenance() or {}).get("wall_seconds"):
        return {}
    claims = [claim for claim in load_claims().values() if claim.series in ("boundary", "masks")]
    return {claim.id: decide(claim, _of(published_suggestion(claim.series), claim.metrics)) for claim in claims}


def _of(table: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    return table[table["metric"].isin(metrics)]


# On a page


def tidy(name: str, scores: Mapping[tuple[Any, int], Scores]) -> pd.DataFrame:
    """Scores by (arm, seed) as one table: the arms in a column `name`, seed, metric, image and value."""
    tables = [
        pd.DataFrame({name: arm, "seed": seed, "metric": metric, "image": np.arange(len(values)), "value": values})
        for (arm, seed), found in scores.items()
        for metric, values in found.items()
    ]
    return pd.concat(tables, ignore_index=True)


def more_seeds_of(name: str, draw: Callable[[pd.DataFrame, str, str], None], claims: Sequence[str]) -> None:
    """Show what is published of a suggestion: `draw(table, what, bars)`, then the verdicts on these claims.

    `what` says in words which runs they are, `bars` what the bars are. One sentence where nothing is published.
    """
    about, table = published_provenance(), published_suggestion(name)
    if about is None or table.empty:
        return display(Markdown("None are published yet; `python -m mae_lib suggestions` makes them."))
    number = table["seed"].nunique()
    bars = "Bars are 95% intervals over seeds." if number > 1 else "One seed has no bars."
    state = "" if about["wall_seconds"] else " (not finished)"
    draw(table, f"published, preset {about['parameters']['preset']}, seeds: {number}{state}", bars)
    lines = []
    for claim in map(load_claims().get, claims):
        said = decide(claim, _of(table, claim.metrics))
        lines.append(f"* {claim.claim} **{said.verdict}**: {said.why}")
    display(Markdown("\n".join(lines)))


def ordered_pairs(table: pd.DataFrame, predicted: Mapping[str, float], apart: float = 0.1) -> pd.DataFrame:
    """Whether, of two ways of masking, the one with the higher predicted level has the better read root.

    A row for each pair whose predictions differ by more than `apart`: the difference of the roots (`table` as `tidy`
    gives it, by "masks") with its paired 95% interval, and `successes` of `trials` for the rule `always`. A pair whose
    interval holds 0 is no trial. With one seed its number stands beside, so that the verdict is marked.
    """
    roots = table[table["metric"] == "root probe"]
    measured, seeds = Measured(roots, "masks", "root probe", basis_of(roots), 0.95), roots["seed"].unique()
    rows = []
    for low, high in ((a, b) for a in predicted for b in predicted if predicted[b] > predicted[a] + apart):
        numbers = measured.above(high, low).numbers
        sure = numbers["low"] > 0 or numbers["high"] < 0
        about = {"higher": high, "lower": low} | {name: numbers[name] for name in ("difference", "low", "high")}
        rows.append(about | {"successes": int(numbers["low"] > 0), "trials": int(sure)})
    return pd.DataFrame(rows).assign(**({"seed": seeds[0]} if len(seeds) == 1 else {}))
