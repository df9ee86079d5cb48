"""The whole ledger, gathered from what the pages recorded."""

from mae_lib.reporting.ledger import Verdict, load_claims, record, verdicts_file
from mae_lib.reporting.ledger_page import counts, gather, ledger_html


def test_recorded_verdicts_are_gathered_and_the_rest_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path))
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
    assert f'<a href="{claim.notebook}.html#claim-figure-4">◐ partly (one seed)</a>' in html
    assert "because of &quot;&lt;b&gt;&quot;" in html and "<b>" not in html
    assert html.count("<tr>") == len(entries) + html.count("<thead>")
