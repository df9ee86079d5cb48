"""The claims of `results/claims.yaml`, the paper's own numbers, and the parts of a verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import yaml

from mae_lib.claims.guards import Guard
from mae_lib.claims.orderings import Basis, Finding
from mae_lib.claims.pages import SECTION_OF
from mae_lib.claims.rules import COUNTS, check_rule
from mae_lib.folders import checkout

OF_RUNS = ("ratio", "unit", "encoder")  # the variables of a series of runs
SERIES = (*OF_RUNS, "images", "boundary", "masks", "mask", "condition", "none")
REPEATED = {"seeds": "seed", "processes": "process"}  # what a column `seed` distinguishes, plural and singular
Word = Literal["supported", "contradicted", "mixed", "undecided", "not run"]
Lean = Literal["supported", "against"]
ICONS: dict[Word, str] = {"supported": "✔", "contradicted": "✘", "mixed": "◐", "undecided": "○", "not run": "–"}


@dataclass(frozen=True)
class Claim:
    """One claim of the paper and the rule that decides it; `results/claims.yaml` explains the fields."""

    id: str
    section: str
    claim: str
    notebook: str
    metrics: tuple[str, ...]
    series: str
    rule: dict[str, Any]
    confidence: float
    since: str
    over: str = "seeds"
    ours: bool = False
    also: tuple[str, ...] = ()
    guards: tuple[Guard, ...] = ()
    figure: str | None = None
    paper_table: str | None = None
    paper_contradicts_itself: str | None = None

    @property
    def measured(self) -> str | None:
        """The section whose scores decide the claim, on any run that has them; None if its page computes them."""
        return SECTION_OF.get(self.notebook) if self.series in OF_RUNS else None

    @property
    def reads(self) -> set[str]:
        """Every metric that decides the claim: its own and those that guards read."""
        guarded = {guard.reads.format(metric=metric) for guard in self.guards for metric in guard.metrics}
        return {*self.metrics, *guarded}

    def __post_init__(self) -> None:
        try:
            check_rule(self.rule)
            for guard in self.guards:
                check_rule(guard.rule)
            if self.series not in SERIES or (self.series == "none") != (self.rule["kind"] in COUNTS):
                fits = f"it is `none` for {' and '.join(f'`{name}`' for name in COUNTS)}, else one of {SERIES}"
                raise ValueError(f"series {self.series!r} does not fit: {fits}")
            if self.over not in REPEATED:
                raise ValueError(f"over {self.over!r} is unknown: choose one of {tuple(REPEATED)}")
            if not 0 < self.confidence < 1:
                raise ValueError(f"confidence {self.confidence!r} must lie between 0 and 1")
            if not self.metrics:
                raise ValueError("metrics is empty: name what is measured")
            if datetime.fromisoformat(self.since).tzinfo is None:
                raise ValueError(f"since {self.since!r} has no time zone: write it as 2026-11-23T13:24Z")
        except ValueError as error:
            raise ValueError(f"claim {self.id!r}: {error}") from None


@dataclass(frozen=True)
class Verdict:
    """The outcome of a claim: the word, the reasons in a few sentences, what the intervals are over, and every number.

    `seeds` is the number of runs per point, 0 for exact numbers; `lean` is the direction that one seed suggests.
    """

    claim: str
    verdict: Word
    why: str
    basis: Basis | None = None
    findings: tuple[Finding, ...] = ()
    seeds: int = 0
    lean: Lean | None = None

    @property
    def one_seed(self) -> bool:
        """Whether the verdict rests on one run per point, so that another seed might change it."""
        return self.basis in ("images", "one seed")

    def as_json(self) -> dict[str, Any]:
        """All of it, for JSON: a number that is not finite is `null`."""
        held = asdict(self) | {"one_seed": self.one_seed}
        for finding in held["findings"]:
            finding["numbers"] = {k: v if math.isfinite(v) else None for k, v in finding["numbers"].items()}
        return held

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> "Verdict":
        """The verdict from the output of `as_json`, ignoring other keys; `null` is read as `NaN`."""
        findings = [
            Finding(**one | {"numbers": {k: math.nan if v is None else v for k, v in one["numbers"].items()}})
            for one in held["findings"]
        ]
        return cls(**{one.name: held[one.name] for one in fields(cls)} | {"findings": tuple(findings)})


def _results(name: str) -> dict[str, Any]:
    folder = (checkout() or Path(__file__).resolve().parents[1]) / "results"
    return yaml.safe_load((folder / name).read_text(encoding="utf-8"))


@cache
def load_paper() -> dict[str, Any]:
    """Every number of the paper's Tables 1 to 3, as in `results/paper.yaml`: table -> columns and series."""
    return _results("paper.yaml")


def paper_table(name: str, series: str) -> pd.DataFrame:
    """One series of one of the paper's tables, tidy: columns "ratio" or "unit", `metric` and `value`; exact numbers.

    The paper prints one run's numbers without an error. They are taken as exact: a rule applied to them assumes that
    another run, and other images, would give the same.

    Raises ValueError for a table or a series that the paper does not have.
    """
    tables = load_paper()
    if name not in tables or series not in tables[name]["series"]:
        known = [f"{table} ({', '.join(content['series'])})" for table, content in tables.items()]
        raise ValueError(f"the paper has no {name!r} by {series!r}: choose one of {', '.join(known)}")
    table = tables[name]
    points = table["series"][series].items()
    rows = [(point, metric, value) for point, values in points for metric, value in zip(table["columns"], values)]
    return pd.DataFrame(rows, columns=[series, "metric", "value"])


@cache
def load_claims() -> dict[str, Claim]:
    """The claims of `results/claims.yaml` by id, in the order of the paper.

    Raises ValueError naming the claim for an unknown field, rule or series, or an id that is given twice.
    """
    content = _results("claims.yaml")
    shared = [Guard(**entry) for entry in content["guards"]]
    claims: dict[str, Claim] = {}
    for entry in content["claims"]:
        if entry.get("id") in claims:
            raise ValueError(f"claim {entry['id']!r} is given twice")
        claims[entry.get("id")] = _claim(content["defaults"] | entry, shared)
    return claims


def _claim(entry: dict[str, Any], shared: Sequence[Guard]) -> Claim:
    lists = {name: tuple(entry.get(name, ())) for name in ("metrics", "also")}
    try:
        own = [Guard(metrics=lists["metrics"], **given) for given in entry.get("guards", ())]
        swept = entry["series"] in ("ratio", "unit")  # of the masks compared, one must have learned something
        common = [guard for guard in shared if swept and set(guard.metrics) & set(lists["metrics"])]
        return Claim(**entry | lists | {"guards": (*own, *common)})
    except TypeError as error:
        raise ValueError(f"claim {entry.get('id')!r}: {error}") from None


def place(section: str) -> str:
    """A section in words: "Section 3.1", or "Abstract"."""
    return section.capitalize() if section.isalpha() else f"Section {section}"
