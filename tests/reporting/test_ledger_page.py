"""The whole ledger, gathered from what the pages recorded."""

from pathlib import Path

import nbformat
import pytest
from fakes import fake_suggestions

from mae_lib.reporting.ledger import Verdict, load_claims, record, verdicts_file
from mae_lib.reporting.ledger_page import PAPER, Entry, counts, gather, head_badges, ledger_html, of_paper

MARKS = (("claim-figure-4", "verdict"), ("figure-4", "figure"))
NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


def test_recorded_verdicts_are_gathered_and_the_rest_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path))
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    claim = load_claims()["figure-4"]
    verdict = Verdict(claim.id, "partly", 'because of "<b>"', "one seed")
    record([verdict], verdicts_file("smoke", claim.notebook), {})
    record([Verdict("unit-sets-the-level", "reproduced", "moved")], verdicts_file("smoke", "an_old_page"), {})
    entries = {entry.claim.id: entry for entry in gather("smoke")}
    assert list(entries) == list(load_claims())
    assert entries["figure-4"].verdict == "partly" and entries["figure-4"].one_seed
    assert {entry.verdict for id, entry in entries.items() if id != "figure-4"} == {"not run"}
    assert counts(list(entries.values())) == f"1 partly, {len(entries) - 1} not run"
    assert {entry.verdict for entry in gather("laptop")} == {"not run"}

    html = ledger_html(list(entries.values()))
    mark = '◐<sup class="mae-once" aria-hidden="true">1</sup><span class="mae-word"> partly (one seed)</span>'
    assert f"{mark}</td>" in html
    links = (f'<a href="{claim.notebook}.html#{mark}">{word}</a>' for mark, word in MARKS)
    assert f"<td>{' '.join(links)}</td></tr>" in html
    assert html.count('">verdict</a>') == 1  # the others have no page in this build
    assert '<span class="mae-badge mae-partly">◐ 1 partly</span>' in html
    assert "because of &quot;&lt;b&gt;&quot;" in html and "<b>" not in html
    sections = {entry.claim.section for entry in entries.values()}
    assert html.count("<table>") == 1 and html.count("<tbody>") == html.count("mae-title") == len(sections)
    assert html.count("<tr>") == 1 + len(entries) and '<tr id="section-2-3">' in html
    assert "Also: Abstract, Section 1, Section 5." in html


def test_a_row_leads_to_its_verdict_and_its_figure():
    claim = load_claims()["ratio-raises-structure"]
    html = ledger_html([Entry(claim, "partly", "", recorded=True)])
    for mark, name in ((f"claim-{claim.id}", "verdict"), ("figure-5-by-ratio", "figure")):
        assert f'<a href="3_1_reconstruction.html#{mark}">{name}</a>' in html
    assert "<a" not in ledger_html([Entry(claim, "not run", "")])


def test_the_head_of_a_page_counts_its_own_verdicts():
    html = head_badges(["reproduced", "not run"])
    assert "✔ 1 reproduced" in html and "– 1 not run" in html and 'href="ledger.html"' in html
    assert head_badges([]) == ""


@pytest.mark.parametrize("claim", [c for c in load_claims().values() if c.figure], ids=lambda c: c.id)
def test_the_figure_of_a_claim_is_on_its_page(claim):
    cells = nbformat.read(NOTEBOOKS / f"{claim.notebook}.ipynb", as_version=4).cells
    assert sum(f'name="{claim.figure}"' in cell.source for cell in cells if cell.cell_type == "code") == 1


def test_every_published_scale_and_the_papers_own_table_have_a_column(only_tiny):
    entries = {entry.claim.id: entry for entry in gather("tiny")}
    assert all(list(entry.elsewhere) == ["tiny", PAPER] for entry in entries.values())
    assert entries["figure-4"].elsewhere == {"tiny": None, PAPER: None}
    peak = entries["extreme-ratio-hurts-probe"]
    assert peak.elsewhere["tiny"].basis == "seeds" and peak.elsewhere[PAPER].verdict == "reproduced"
    html = ledger_html(list(entries.values()))
    assert '<th scope="col">tiny</th><th scope="col">the paper</th><th scope="col">see</th>' in html


def test_the_papers_own_table_can_contradict_its_sentence():
    contradicted = load_claims()["extreme-unit-hurts-probe"]
    assert of_paper(contradicted).verdict == "not reproduced" and of_paper(contradicted).basis == "exact"
    assert of_paper(load_claims()["ratio-raises-structure"]) is None  # a figure without numbers


def test_the_published_suggestions_have_a_column_once_they_are_finished(only_tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    for unfinished in (True, False):
        fake_suggestions(tmp_path / "suggestions", wall_seconds=None if unfinished else 1.0)
        entries = {entry.claim.id: entry for entry in gather("tiny")}
        columns = list(entries["figure-4"].elsewhere)
        assert columns == ([PAPER] if unfinished else ["suggestions", PAPER])
    found = {id: entry.elsewhere["suggestions"] for id, entry in entries.items() if entry.elsewhere["suggestions"]}
    pages = ("3_6_boundary", "3_6_structure", "3_6_extremes")
    assert set(found) == {
        id for id, one in entries.items() if one.claim.notebook in pages and one.claim.series != "none"
    }
    assert found["structure-masks-raise-the-level"].verdict == "reproduced"
    assert found["structure-beats-blocks-and-squares"].verdict == "partly"  # above the squares, below the blocks
    assert found["structure-masks-raise-the-level"].basis == "seeds"
    assert found["extreme-high-ratio-keeps-low-level"].verdict == "reproduced"  # what is read rises with the ratio
