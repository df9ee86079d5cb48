"""A study shows what a run holds, and leaves out what it lacks."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mae_lib.claims.claims import Verdict, load_claims
from maebook.published_runs import readers_table
from maebook.strongest import Result
from maebook.study import (
    counted,
    images_here,
    open_study,
    outcome,
    panels,
    small_panels,
    strongest_verdict,
)
from maebook.verdict_box import in_words


@pytest.fixture
def study(only_tiny):
    return open_study("attention", only_tiny, [], [], [])


def test_what_was_not_measured_is_left_out(study):
    asked = {"class token on the object": "area", "class token tells object and background apart": "apart"}
    assert study.measured(asked) == {"class token on the object": "area"}
    assert study.table("ratio", "no such metric").empty and study.means("unit", "no such metric").empty


@pytest.mark.parametrize("draw", [panels, small_panels])
def test_a_figure_of_nothing_measured_is_refused_with_what_was_asked(study, draw):
    with pytest.raises(ValueError, match=r"tiny, .*: none of 'no such metric' was measured; preset smoke"):
        draw(study, {"no such metric": "nothing"})


def test_a_control_is_a_line_of_the_same_metric_under_another_name(study):
    drawing = panels(study, {"overlap with the object": "overlap"}, controls={"another image: ": "another"})
    line = next(line for line in drawing.axes[0].lines if line.get_label() == "another")
    means = study.means("ratio", "another image: overlap with the object")
    assert list(line.get_xdata()) == list(means.index) == [0.5, 0.75, 0.9]
    assert list(line.get_ydata()) == list(means)
    assert [text.get_text() for text in drawing.legends[0].get_texts()] == ["figurines", "a seed", "another"]


def test_each_of_several_seeds_is_a_dot_and_one_seed_needs_no_legend(study):
    drawing = panels(study, {"overlap with the object": "overlap"})
    dots = next(line for line in drawing.axes[0].lines if line.get_label() == "a seed")
    assert len(dots.get_xdata()) == len(study.series.by("ratio"))
    assert [text.get_text() for text in drawing.legends[0].get_texts()] == ["figurines", "a seed"]
    first = {mask: config for mask, config in study.series.configs.items() if mask[2] == 0}
    one = replace(study, results=replace(study.results, series=replace(study.series, configs=first)))
    assert not panels(one, {"overlap with the object": "overlap"}).legends


def test_another_run_is_a_line_of_means_beside_the_first(study):
    axis = panels(study, {"overlap with the object": "overlap"}, others=[study]).axes[0]
    other = next(line for line in axis.lines if line.get_label() == "figurines")
    assert list(other.get_ydata()) == list(study.means("ratio", "overlap with the object"))
    assert other.get_marker() != axis.containers[0].lines[0].get_marker()


def test_an_answer_says_what_the_strongest_run_says_where_that_is_another(study, monkeypatch):
    claim = "moderate-ratio-grasps-the-object"
    own = study.verdict(load_claims()[claim])
    best = Result("far", "results/far, 5 seeds", replace(own, verdict="mixed", lean=None, seeds=5))
    monkeypatch.setattr("maebook.study.strongest", lambda claim: best)
    assert outcome(study, claim) == f"{in_words(own)} in this run, **mixed** in the strongest (far, 5 seeds)"
    assert strongest_verdict(study, claim).verdict == "mixed"
    monkeypatch.setattr("maebook.study.strongest", lambda claim: None)
    assert outcome(study, claim) == in_words(own) and strongest_verdict(study, claim) == own


def test_the_verdicts_of_a_page_are_counted_by_their_word(study):
    assert {verdict.claim for verdict in study.verdicts("3_2_attention").values()} == set(
        study.verdicts("3_2_attention")
    )
    said = [Verdict("a", "mixed", "", "seeds"), Verdict("b", "undecided", "", "images", lean="against")]
    assert counted([said[1], *said]) == "2 undecided (one seed), 1 mixed"


def test_means_are_over_seeds_and_images(study):
    table = study.table("ratio", "overlap with the object")
    assert isinstance(table, pd.DataFrame) and table["seed"].nunique() == 2
    assert study.means("ratio", "overlap with the object")[0.75] == pytest.approx(
        table[table["ratio"] == 0.75]["value"].mean()
    )


def test_where_no_image_can_be_made_a_sentence_stands_for_the_figure(study, drawn_tiny, monkeypatch, tmp_path, capsys):
    assert images_here(study, "t-sne") and not capsys.readouterr().out
    monkeypatch.setenv("MAE_LIB_DRAWINGS", str(tmp_path / "no pack"))
    handed = []
    monkeypatch.setattr("maebook.study.display", lambda shown: handed.append(shown.data))
    drawn = open_study("attention", drawn_tiny / "drawn", [], [], [])
    assert not images_here(drawn, "t-sne") and not images_here(drawn)
    assert drawn.chance == "100 classes, so chance is 0.01"  # said without the pack
    assert handed[0].startswith('<p id="t-sne">') and handed[1].startswith(
        '<p><em class="mae-missing">No pictures here'
    )
    assert "python -m mae_lib drawings" in handed[0]


def test_a_table_holds_every_run_that_reads_the_class(longer):
    table = readers_table()
    runs = {f"{one.directory.parent.name}/{one.name}": one for one in longer}
    shown = [runs.pop(about.split(",")[0].split(": ")[1]) for about in table]
    seen = [(bool(one.superseded), -one.series.scale["images"]) for one in shown]
    assert not runs and seen == sorted(seen)  # the longest first, superseded ones last
    for (_, column), one in zip(table.items(), shown):
        scores, unit = one.scores("separability"), one.series.scale["unit"]
        ratios = {ratio for ratio, own, _ in one.series.configs if own == unit}
        assert {name for name, cell in column.items() if cell != "-" and "=" in name} == {f"r = {r:g}" for r in ratios}
        for ratio in ratios:
            values = [of["class probe"] for reader, of in scores.items() if reader[:2] == (ratio, unit)]
            told = f"{np.mean(values):.2f}"
            assert column[f"r = {ratio:g}"].split()[0] == told and ("-" in column[f"r = {ratio:g}"]) == (
                len(values) > 1
            )
        assert column["mean colours of patches"] == f"{scores['pixels',]['class probe']:.2f}"
