"""The whole ledger, gathered from what the pages recorded."""

from mae_lib.reporting.ledger import Verdict, load_claims, record, verdicts_file
from mae_lib.reporting.ledger_page import PAPER, counts, gather, ledger_html, of_paper


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
    mark = '◐<span class="mae-word"> partly (one seed)</span>'
    assert f'<a href="{claim.notebook}.html#claim-figure-4">{mark}</a>' in html
    assert '<span class="mae-badge mae-partly">◐ 1 partly</span>' in html
    assert "because of &quot;&lt;b&gt;&quot;" in html and "<b>" not in html
    assert html.count("<tr>") == len(entries) + html.count("<thead>")


def test_every_published_scale_and_the_papers_own_table_have_a_column(only_tiny):
    entries = {entry.claim.id: entry for entry in gather("tiny")}
    assert all(list(entry.elsewhere) == ["tiny", PAPER] for entry in entries.values())
    assert entries["figure-4"].elsewhere == {"tiny": None, PAPER: None}
    peak = entries["extreme-ratio-hurts-probe"]
    assert peak.elsewhere["tiny"].basis == "seeds" and peak.elsewhere[PAPER].verdict == "reproduced"
    html = ledger_html(list(entries.values()))
    assert '<th scope="col">tiny</th><th scope="col">the paper</th>' in html


def test_the_papers_own_table_can_contradict_its_sentence():
    contradicted = load_claims()["extreme-unit-hurts-probe"]
    assert of_paper(contradicted).verdict == "not reproduced" and of_paper(contradicted).basis == "exact"
    assert of_paper(load_claims()["ratio-raises-structure"]) is None  # a figure without numbers
