"""What runs are called on a page, and a verdict in a table."""

from mae_lib.claims.claims import ICONS, Verdict
from mae_lib.studies.results import Results
from maebook.verdict_box import in_words

PAPER, HERE = "the paper", "this build"


def described(one: Results) -> str:
    """A published run in words: "desk, 300,000 images a run, 3 seeds"."""
    seeds = len({seed for _, _, seed in one.series.configs})
    return f"{one.name}, {one.series.scale['images']:,} images a run, {seeds} seed{'s' * (seeds > 1)}"


def verdict_cell(verdict: Verdict | None) -> str:
    """A verdict in a table: icon and word, None for what has not been run. A narrow screen shows the icon alone."""
    verdict = verdict or Verdict("", "not run", "")
    mark = '<sup class="mae-once" aria-hidden="true">1</sup>' if verdict.one_seed else ""
    return f'{ICONS[verdict.verdict]}{mark}<span class="mae-word"> {in_words(verdict)}</span>'
