"""Guards against comparisons that test nothing, because every encoder guesses or none learned the property in question.

Of two numbers at chance level, the higher is itself chance. A guard is a rule that must hold before a metric counts.
Where it does not, the metric's orderings are "no test": they neither hold nor are reversed, and the claim is undecided
at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mae_lib.claims.orderings import Measured, MissingData, basis_of, holm
from mae_lib.claims.rules import apply_rule


@dataclass(frozen=True)
class Guard:
    """A rule on a metric's reference, and the message if it does not hold.

    `metrics` are those that it guards. `reads` is the metric that the rule reads, with `"{metric}"` for the guarded
    one. Where `reads` was not measured, as in the paper's tables, the guard passes.
    """

    metrics: Sequence[str]
    rule: dict[str, Any]
    otherwise: str
    reads: str = "{metric}"

    def passes(self, table: pd.DataFrame, series: str, metric: str, confidence: float) -> bool:
        """Whether the rule holds for a claim's tidy table; with one seed, whether it leans that way."""
        rows = rows_of(table, self.reads.format(metric=metric))
        if rows.empty:
            return True
        basis = basis_of(rows)
        measured = Measured.from_table(rows, series, metric, basis)
        rule = self.rule | ({"points": list(measured.points)} if self.rule.get("points") == "all" else {})
        try:
            orderings = apply_rule(rule, measured)
        except MissingData:
            return True
        enough = {"holds", "leans"} if basis in ("images", "one seed") else {"holds"}
        return all(finding.outcome in enough for finding in holm(orderings, confidence))


def rows_of(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of one metric; all rows if the table has no metrics."""
    return table[table["metric"] == metric] if "metric" in table else table
