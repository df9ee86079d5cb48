"""The paper's Table 1 beside ours, by rank: a row for each mask, which `maebook.linked` can bring forward."""

from collections.abc import Sequence

import pandas as pd

from maebook.study import Study

NAMES = {"ratio": "r = {:g}", "unit": "{:g} px"}


def rank_table(study: Study, metrics: Sequence[str]) -> str:
    """HTML: our means in percent, each with its rank among ours, and the rank of the paper's value among its own.

    The last row of either series holds the rank correlations of the two. Units are paired by their order.
    """
    head = "".join(f'<th scope="col">{metric}</th>' for metric in metrics)
    body = "".join(_rows(study, metrics, x) for x in NAMES)
    return (
        '<div class="mae-scroll" tabindex="0"><table class="mae-ranks">'
        f'<thead><tr><th scope="col">mask</th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _rows(study: Study, metrics: Sequence[str], x: str) -> str:
    columns = {metric: _cells(study, metric, x) for metric in metrics}
    lines = [
        f'<tr data-mae-mask="{x} {point:g}"><th scope="row">{NAMES[x].format(point)}</th>{"".join(row)}</tr>'
        for point, row in pd.DataFrame(columns).iterrows()
    ]
    agreement = (study.agreement(x, metric) for metric in metrics)
    last = "".join(f"<td>{'' if pd.isna(rho) else f'{rho:+.1f}'}</td>" for rho in agreement)
    return "".join(lines) + f'<tr><th scope="row">rank correlation</th>{last}</tr>'


def _cells(study: Study, metric: str, x: str) -> pd.Series:
    ours, theirs = study.means(x, metric), study.printed(x, metric)
    ranks = [one.rank(ascending=False).map("{:g}".format) for one in (ours, theirs) if one is not None]
    beside = ranks[0] if len(ranks) == 1 else ranks[0] + " · " + ranks[1]
    return "<td>" + (100 * ours).map("{:.1f}".format) + " <small>(" + beside + ")</small></td>"
