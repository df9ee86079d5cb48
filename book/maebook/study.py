"""One section of the paper on one run: its models and scores, made here or published, and how a page shows them.

    study = open_study("reconstruction", preset, mask_ratios, units, seeds, scale)
    show(panels(study, {"SSIM": "structure (SSIM)"}), caption=..., alt=...)
    show_verdicts(study, {"The ratio": ["ratio-raises-structure"]})

Preset `book` opens the strongest published run that holds the section, a folder such as `results/cpu` opens that one,
and any other preset trains and measures what is missing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import HTML, display
from matplotlib.figure import Figure

from mae_lib.claims.claims import Claim, Verdict, load_claims, load_paper, paper_table
from mae_lib.claims.verdicts import decide
from mae_lib.data.files import DataError
from mae_lib.presets import load_preset
from mae_lib.studies import Reader, Section
from mae_lib.studies.on_drawings import CONCEPTS
from mae_lib.studies.published_files import CURVES
from mae_lib.studies.results import Results, strongest_run
from mae_lib.studies.series import Mask, Series
from mae_lib.training import MAE
from maebook import bits_beside
from maebook.answer import show_answer as show_answer
from maebook.bundles import VERDICT, emit
from maebook.figures import AXES, DASHES, INK, MARKERS, PALETTE, figure, ratio_curve, remember
from maebook.strongest import short, strongest
from maebook.verdict_box import in_words, verdict_html

PAPER = "the paper, rescaled"
# Each baseline's line, the same on all pages.
BASELINES = dict(zip(("untrained", "supervised", "pixels", "uniform"), DASHES[2:], strict=True))


@dataclass(frozen=True)
class Study:
    """A section's images, models and scores on one run, `made` by this build or opened."""

    results: Results
    section: Section

    @property
    def series(self) -> Series:
        """The run's masks and scale."""
        return self.results.series

    @property
    def name(self) -> str:
        """The run in a word: "desk", or "this build"."""
        return "this build" if self.results.made else self.results.name

    @property
    def about(self) -> str:
        """What the run saw: "drawings, 300,000 images a run, 3 seeds"."""
        seeds, images = len(self.series.seeds), self.series.scale["images"]
        return f"{self.series.world.name}, {images:,} images a run, {seeds} seed{'s' * (seeds > 1)}"

    @property
    def words(self) -> str:
        """The run in words, with where it is: "results/desk, drawings, 300,000 images a run, 3 seeds"."""
        if self.results.made:
            return f"{self.name}, {self.about}"
        folder = self.results.directory
        return f"{folder.parent.name}/{self.name}, {self.about}"  # the name alone may be taken for a preset's

    @property
    def chance(self) -> str:
        """What guessing the class is worth: "100 classes, so chance is 0.01"."""
        world = self.series.world  # drawings count theirs in a pack, which may not be here
        classes = self.series.scale.get("probe_concepts", CONCEPTS) if world.name == "drawings" else world.classes
        return f"{classes} classes, so chance is {1 / classes:.2g}"

    @cached_property
    def scores(self) -> dict[Reader, dict[str, Any]]:
        """By mask or baseline, and metric: a number for each image, or their mean where the run is published."""
        return self.results.scores(self.section)

    @cached_property
    def models(self) -> dict[Mask, MAE]:
        """The masked autoencoders of one seed, those that a published run ships: by (ratio, unit, seed)."""
        runs = self.results.runs()
        first = min(seed for _, _, seed in runs)
        return {mask: run.load() for mask, run in runs.items() if mask[2] == first}

    def masks(self, x: str) -> list[Mask]:
        """The masks of `models` along "ratio" or "unit"."""
        return [mask for mask in self.series.by(x) if mask in self.models]

    def table(self, x: str, metric: str | None = None) -> pd.DataFrame:
        """The scores along "ratio" or "unit", tidy: columns x, seed, metric, image where there are some, value."""
        kept = {
            reader: {m: value for m, value in self.scores.get(reader, {}).items() if metric in (None, m)}
            for reader in self.series.by(x)
        }
        if not any(kept.values()):
            return pd.DataFrame(columns=[x, "seed", "metric", "value"])
        return self.series.tidy(x, kept)

    def measured(self, metrics: Mapping[str, str]) -> dict[str, str]:
        """Of some metrics (metric -> label) those that this run has: drawings have no parts, figurines no mosaic."""
        return {m: label for m, label in metrics.items() if self.table("ratio", m)["value"].notna().any()}

    def means(self, x: str, metric: str) -> pd.Series:
        """The mean of a metric at each ratio or unit, over seeds and images."""
        return self.table(x, metric).groupby(x)["value"].mean()

    def baseline(self, who: str, metric: str) -> float:
        """The mean score of "untrained", "pixels", "supervised" or "uniform" over its seeds; NaN where not measured."""
        found = [pd.Series(one[metric]).mean() for r, one in self.scores.items() if r[0] == who and metric in one]
        return float(pd.Series(found, dtype=float).mean())

    def printed(self, x: str, metric: str) -> pd.Series | None:
        """The paper's own values at our ratios, or at our units by their order: small, medium, large.

        None where it prints none of the metric, or not for as many units or for these ratios.
        """
        ours, theirs = self.means(x, metric), _printed(metric, x)
        if theirs is None or len(ours) != len(theirs) or (x == "ratio" and set(ours.index) != set(theirs.index)):
            return None
        return pd.Series(theirs.sort_index().to_numpy(), ours.index)

    def agreement(self, x: str, metric: str) -> float:
        """Rank correlation of a metric's means with the paper's values; NaN where they cannot be paired."""
        theirs = self.printed(x, metric)
        return float("nan") if theirs is None else float(theirs.rank().corr(self.means(x, metric).rank()))

    def other(self, section: str) -> "Study | None":
        """Another section of the same run; None where it was not measured, or the images that it needs are not here."""
        results = self.results if self.results.made else Results.open(self.results.directory).holding(section)
        if results is None:
            return None
        found = Study(results, results.section(section))
        try:
            return found if found.scores else None
        except DataError:
            return None

    @property
    def on_the_way(self) -> pd.DataFrame:
        """Scores of models that were kept in training: columns ratio, unit, seed, images, metric, value; often none."""
        if self.results.made or not (path := self.results.directory / "curves.csv").is_file():
            return pd.DataFrame(columns=CURVES)
        return pd.read_csv(path).query("seed in @self.series.seeds")

    def verdicts(self, page: str) -> dict[str, Verdict]:
        """What becomes of every claim of a page ("3_2_attention") that a run decides, by claim."""
        claims = [claim for claim in load_claims().values() if claim.notebook == page and claim.measured]
        return {claim.id: self.verdict(claim) for claim in claims}

    def verdict(self, claim: Claim) -> Verdict:
        """What the claim's rule says of this run."""
        return decide(claim, self.results.evidence(claim, self.section))


def open_study(
    section: str,
    preset: str | Path,
    mask_ratios: list[float],
    units: list[int],
    seeds: list[int],
    scale: dict[str, Any] | None = None,
    **options: Any,
) -> Study:
    """The study of "reconstruction", "attention", "separability", "shape_bias", "pretraining" or "detection".

    `options` are those of the section. Raises ValueError for parameters that no run can have, and where a published
    run that was asked for does not hold the section.
    """
    if (Path(preset) / "preset.yaml").is_file():
        results = Results.open(preset).holding(section)
        if results is None:
            raise ValueError(f"{preset} holds nothing of {section}: choose another folder of results")
    elif load_preset(preset).get("published"):
        results = strongest_run(section)
    else:
        results = Results(Series.of(preset, mask_ratios, units, seeds, scale))
        results.runs()
    return Study(results, results.section(section, **options))


def panels(
    study: Study,
    metrics: Mapping[str, str],
    paper: bool = True,
    baselines: Mapping[str, str] | None = None,
    bits: Mapping[str, pd.DataFrame] | None = None,
    controls: Mapping[str, str] | None = None,
    others: Sequence[Study] = (),
) -> Figure:
    """Two plots for each metric (metric -> label), against the ratio and the unit.

    With `paper` the paper's own values are drawn where its tables print the metric, scaled to the run's range, since
    only their order can be compared. `baselines` (name -> label) are horizontal lines, `bits` a row of `top_bits`.
    `controls` (prefix -> label) are lines of the same metric under another name: "mosaic: ", "another image: ".
    `others` are runs on other images, a line each. Raises ValueError where there is nothing to draw.
    """
    metrics = study.measured(metrics) if bits else _held(study, metrics)
    count = len(metrics) + bool(bits)
    drawing, axes = figure(count, 2, height=1.5 * count + 0.7, sharex="col", sharey="row", squeeze=False)
    for pair, (metric, label) in zip(axes, metrics.items()):
        for axis, x in zip(pair, ("ratio", "unit")):
            table = study.table(x, metric)
            _curve(axis, table, x)
            for number, other in enumerate(others, 2):
                _means(axis, other, x, metric, number)
            for number, (prefix, words) in enumerate((controls or {}).items(), 1):
                mean = study.means(x, prefix + metric)
                axis.plot(mean.index, mean, MARKERS[number], ls=DASHES[number], color=INK, alpha=0.7, label=words)
            printed = study.printed(x, metric) if paper else None
            if printed is not None:
                _beside(axis, printed, study.means(x, metric))
            for who, words in (baselines or {}).items():
                if pd.notna(level := study.baseline(who, metric)):
                    axis.axhline(level, color=INK, lw=1, ls=BASELINES[who], alpha=0.7, label=words)
            axis.set_xlabel(AXES[x] if metric == list(metrics)[-1] else "")
        pair[0].set_title(label, loc="left")
    if bits:
        bits_beside.bits_row(axes, bits)
        for number, other in enumerate(others, 2):
            bits_beside.add_bits_row(axes, bits_beside.top_bits(other.series), PALETTE[number])
    _legend(drawing, study.series.world.name)
    return drawing


def small_panels(
    study: Study,
    metrics: Mapping[str, str],
    x: str = "ratio",
    columns: int = 3,
    bits: Mapping[str, pd.DataFrame] | None = None,
) -> Figure:
    """A small plot for each metric (metric -> title) against "ratio" or "unit", with the paper's values as `panels`.

    The last one is of `bits`, if given.
    """
    metrics = _held(study, metrics)
    count = len(metrics) + bool(bits)
    rows = -(-count // columns)
    drawing, axes = figure(rows, columns, height=1.65 * rows + 0.3, squeeze=False)
    for axis, (metric, title) in zip(axes.flat, metrics.items()):
        _curve(axis, study.table(x, metric), x)
        printed = study.printed(x, metric)
        if printed is not None:
            _beside(axis, printed, study.means(x, metric))
        axis.set_title(title)
    if bits:
        bits_beside.bits_panel(axes.flat[count - 1], bits, x)
        axes.flat[count - 1].set_title("bits (theory)")
    for axis in axes.flat[count:]:
        axis.set_axis_off()
    for number, axis in enumerate(axes.flat[:count]):
        points = axis.get_xticks()
        axis.set_xticks(points, [f"{point:g}" if n % 2 == 0 else "" for n, point in enumerate(points)])  # room for half
        axis.set_xlabel(AXES[x] if number + columns >= count else "")
    _legend(drawing, study.series.world.name)
    return drawing


def _curve(axis: Any, table: pd.DataFrame, x: str) -> None:
    """`ratio_curve` with a dot for each of several seeds, and paler bars: those of three seeds may span the plot."""
    ratio_curve(axis, table, x)
    if table["seed"].nunique() < 2:
        return
    _, caps, bars = axis.containers[0]
    for part in (*caps, *bars):
        part.set_alpha(0.6)
    _dots(axis, table, x, PALETTE[1], label="a seed")


def _means(axis: Any, study: Study, x: str, metric: str, number: int) -> None:
    """Means of a run beside another, a dot for each seed; no bars, which for two seeds would fill the plot."""
    table = study.table(x, metric)
    if table[x].nunique() < 2:
        return
    look = {"color": PALETTE[number], "ls": DASHES[number], "marker": MARKERS[number], "lw": 1.6}
    mean, label = study.means(x, metric), study.series.world.name
    axis.plot(mean.index, mean, label=label, **look)
    remember(axis, mean.rename("value").reset_index().assign(run=label))
    _dots(axis, table, x, PALETTE[number])


def _dots(axis: Any, table: pd.DataFrame, x: str, colour: str, label: str | None = None) -> None:
    """Each seed's mean."""
    seeds = table.groupby([x, "seed"])["value"].mean().reset_index()
    axis.plot(seeds[x], seeds["value"], "o", ms=3.5, mec="none", color=colour, zorder=3, label=label)


def _held(study: Study, metrics: Mapping[str, str]) -> dict[str, str]:
    """`study.measured(metrics)`, of which there must be some."""
    if held := study.measured(metrics):
        return held
    asked = ", ".join(map(repr, metrics))
    raise ValueError(f"{study.words}: none of {asked} was measured; preset smoke measures what published runs lack")


def _legend(drawing: Figure, ours: str) -> None:
    """What each kind of line is, once for all plots; none where there is one kind. `ours` names the first."""
    found = {text: line for axis in drawing.axes for line, text in zip(*axis.get_legend_handles_labels())}
    if found:
        first = drawing.axes[0].containers[0]
        drawing.legend([first, *found.values()], [ours, *found], loc="outside upper center", ncols=3)


def _printed(metric: str, x: str) -> pd.Series | None:
    """The paper's own values of a metric along a series."""
    for name, content in load_paper().items():
        if metric in content["columns"] and x in content["series"]:
            table = paper_table(name, x)
            return table[table["metric"] == metric].set_index(x)["value"]
    return None


def _beside(axis: Any, printed: pd.Series, ours: pd.Series) -> None:
    """The paper's values on our axis: its points in order at our points, its range as ours."""
    low, high = ours.min(), ours.max()
    scaled = low + (printed - printed.min()) / (printed.max() - printed.min()) * (high - low)
    axis.plot(ours.index, scaled, MARKERS[1], ls=":", color=INK, alpha=0.55, mfc="none", lw=1.2, label=PAPER)
    remember(axis, printed.rename(PAPER).reset_index())


def outcome(study: Study, claim: str) -> str:
    """The word of a claim in this run, "undecided, leans against", and in the strongest where that says another."""
    own, best = in_words(study.verdict(load_claims()[claim])), in_words(strongest_verdict(study, claim))
    return own if own == best else f"{own} in this run, **{best}** in the strongest ({short(strongest(claim))})"


def strongest_verdict(study: Study, claim: str) -> Verdict:
    """The verdict of the strongest run that has a claim, as the page's chips show it; this run's where none has."""
    return found.verdict if (found := strongest(claim)) else study.verdict(load_claims()[claim])


def counted_claims(study: Study, page: str) -> str:
    """`counted` over a page's claims, each by the strongest run."""
    return counted(strongest_verdict(study, claim) for claim in study.verdicts(page))


def images_here(study: Study, figure: str = "") -> bool:
    """Whether the images of a study can be made here; where not, a sentence says what is missing.

    It then stands for the `figure` of that name, so that links to it lead somewhere.
    """
    try:
        return bool(study.series.world.address())
    except FileNotFoundError:
        needs = "they need the drawings, which <code>python -m mae_lib drawings</code> builds."
        name = f' id="{escape(figure)}"' if figure else ""
        display(HTML(f'<p{name}><em class="mae-missing">No pictures here: {needs}</em></p>'))
        return False


def counted(verdicts: Iterable[Verdict]) -> str:
    """How many verdicts of each word: "2 supported, 1 mixed, 5 undecided (one seed)"."""
    found = Counter(in_words(replace(verdict, lean=None)) for verdict in verdicts)
    return ", ".join(f"{number} {words}" for words, number in found.most_common())


def show_verdicts(study: Study, groups: Mapping[str, Sequence[str]]) -> None:
    """A line for each claim, in groups (heading -> claims), its numbers folded; the runner records the verdicts."""
    for heading, claims in groups.items():
        display(HTML(f'<p class="mae-heading">{escape(heading)}</p>'))
        for claim in map(load_claims().get, claims):
            verdict = study.verdict(claim)
            emit(VERDICT, verdict.as_json() | {"run": study.words}, verdict_html(claim, verdict, study.words))
