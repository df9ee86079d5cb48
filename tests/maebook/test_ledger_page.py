"""The whole ledger, gathered from what the pages recorded."""

from collections import Counter
from pathlib import Path

import nbformat
import pytest
from fakes import fake_page, fake_suggestions

from mae_lib.claims.claims import ICONS, Verdict, load_claims
from mae_lib.claims.verdicts import record, verdicts_file
from maebook.ledger_page import LATE, Entry, counts, gather, head_badges, ledger_html, outcome
from maebook.published_runs import HERE, PAPER
from maebook.sphinx import executed, front, tables
from maebook.sphinx.annotate import box
from maebook.strongest import Result, of_paper, own_result, results, standing
from maebook.verdict_box import kind

MARKS = (("claim-figure-4", "verdict"), ("figure-4", "figure"))
NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


@pytest.fixture(autouse=True)
def fresh():
    """What is published is read anew."""
    results.cache_clear()
    yield
    results.cache_clear()


def stands(claim, word: str, **about) -> Result:
    return Result(HERE, HERE, Verdict(claim.id, word, ""), **about)


def test_recorded_verdicts_are_gathered_and_the_rest_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path))
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    claim = load_claims()["figure-4"]
    verdict = Verdict(claim.id, "undecided", 'because of "<b>"', "one seed", seeds=1, lean="against")
    record([verdict], verdicts_file("smoke", claim.notebook), {})
    record([Verdict("unit-sets-the-level", "supported", "moved")], verdicts_file("smoke", "an_old_page"), {})
    entries = {entry.claim.id: entry for entry in gather("smoke")}
    assert list(entries) == list(load_claims())
    assert entries["figure-4"].verdict == "undecided" and entries["figure-4"].own.one_seed
    assert entries["figure-4"].stands.key == HERE
    assert {entry.verdict for id, entry in entries.items() if id != "figure-4"} == {"not run"}
    assert counts(list(entries.values())) == f"1 undecided, {len(entries) - 1} not run"
    assert {entry.verdict for entry in gather("laptop")} == {"not run"}

    html = ledger_html(list(entries.values()))
    word = '<span class="mae-word"> undecided, leans against (one seed)</span>'
    mark = f'○<sup class="mae-once" aria-hidden="true">1</sup>{word}'
    assert f"{mark}</td>" in html and f'<strong>{mark}</strong> <span class="mae-run">this build, 1 seed</span>' in html
    links = (f'<a href="{claim.notebook}.html#{mark}">{word}</a>' for mark, word in MARKS)
    assert f"<td>{' '.join(links)}</td></tr>" in html
    assert html.count('">verdict</a>') == 1  # the others have no page in this build
    assert '<span class="mae-badge mae-undecided">○ 1 undecided</span>' in html
    assert "because of &quot;&lt;b&gt;&quot;" in html and "<b>" not in html
    sections = {entry.claim.section for entry in entries.values()}
    assert html.count("<table>") == 1 and html.count("<tbody>") == html.count("mae-title") == len(sections)
    assert html.count("<tr>") == 1 + len(entries) and '<tr id="section-2-3">' in html
    assert "Also: Abstract, Section 1, Section 5." in html


def test_a_row_leads_to_its_verdict_and_its_figure():
    claim = load_claims()["ratio-raises-structure"]
    own = Verdict(claim.id, "mixed", "")
    html = ledger_html([Entry(claim, stands(claim, "mixed"), own)])
    for mark, name in ((f"claim-{claim.id}", "verdict"), ("figure-5", "figure")):
        assert f'<a href="3_1_reconstruction.html#{mark}">{name}</a>' in html
    assert "<a" not in ledger_html([Entry(claim, stands(claim, "not run"))])


def test_what_came_out_is_counted_and_the_papers_first_decided_claims_are_named():
    claims = [claim for claim in load_claims().values() if not claim.ours][:5]
    words = ("supported", "supported", "undecided", "supported", "contradicted")
    said = outcome([Entry(claim, stands(claim, word)) for claim, word in zip(claims, words)])
    assert said.startswith("**5 claims**: 3 supported, 1 contradicted, 1 undecided.")
    named = [claim.claim in said for claim in claims]
    assert named == [True, True, False, False, True]


def test_the_head_of_a_page_counts_its_own_verdicts():
    html = head_badges(["supported", "not run"])
    assert "✔ 1 supported" in html and "– 1 not run" in html and 'href="ledger.html"' in html
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
    assert peak.elsewhere["tiny"].basis == "seeds and images" and peak.elsewhere[PAPER].verdict == "supported"
    html = ledger_html(list(entries.values()))
    assert '<th scope="col">tiny</th><th scope="col">the paper</th><th scope="col">see</th>' in html


def test_the_papers_own_table_can_contradict_its_sentence():
    contradicted = load_claims()["extreme-unit-hurts-probe"]
    assert of_paper(contradicted).verdict == "contradicted" and of_paper(contradicted).basis == "exact"
    assert of_paper(load_claims()["ratio-raises-structure"]) is None  # a figure without numbers


def test_the_published_suggestions_have_a_column_once_they_are_finished(only_tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    for unfinished in (True, False):
        fake_suggestions(tmp_path / "suggestions", wall_seconds=None if unfinished else 1.0)
        results.cache_clear()
        entries = {entry.claim.id: entry for entry in gather("tiny")}
        columns = list(entries["figure-4"].elsewhere)
        assert columns == ([PAPER] if unfinished else ["suggestions", PAPER])
    found = {id: entry.elsewhere["suggestions"] for id, entry in entries.items() if entry.elsewhere["suggestions"]}
    page = [one.claim for one in entries.values() if one.claim.notebook == "3_6_suggestions"]
    assert set(found) == {claim.id for claim in page if claim.series != "none"}
    assert found["structure-masks-raise-the-level"].verdict == "supported"
    assert found["structure-beats-blocks-and-squares"].verdict == "mixed"  # above the squares, below the blocks
    assert found["structure-masks-raise-the-level"].basis == "seeds"
    assert found["extreme-high-ratio-matches-low-ratio"].verdict == "supported"  # what is read rises with the ratio


CLAIM = load_claims()["extreme-ratio-hurts-probe"]


def published_as(monkeypatch, *some: Result) -> None:
    monkeypatch.setattr("maebook.strongest.results", lambda: {one.key: {CLAIM.id: one} for one in some})


def run(key: str, word: str, seeds: int, size: tuple[int, int] = (32, 100), **about) -> Result:
    return Result(key, key, Verdict(CLAIM.id, word, "", seeds=seeds), size, **about)


def test_most_seeds_then_the_largest_scale_decide_whoever_ran_them(monkeypatch):
    five, three, large = run("five", "mixed", 5), run("three", "supported", 3), run("large", "supported", 3, (56, 10))
    published_as(monkeypatch, three, five, large)
    assert standing(CLAIM).key == "five"
    assert standing(CLAIM, run(HERE, "undecided", 1, (224, 9))).key == "five"
    assert standing(CLAIM, run(HERE, "contradicted", 7)).key == HERE
    published_as(monkeypatch, three, large)
    assert standing(CLAIM).key == "large"
    assert standing(CLAIM, run(HERE, "undecided", 3, (56, 10))).key == "large"  # of equals the published one
    published_as(monkeypatch, three, run("old", "mixed", 5, record=True), run("half", "mixed", 9, whole=False))
    assert standing(CLAIM).key == "three"  # records and unfinished runs stand back
    published_as(monkeypatch, run("old", "mixed", 5, record=True))
    assert standing(CLAIM).key == "old"  # but for what no other run has
    published_as(monkeypatch, run(PAPER, "supported", 0))
    assert standing(CLAIM).verdict.verdict == standing(CLAIM, run(HERE, "not run", 0)).verdict.verdict == "not run"


def test_a_rule_younger_than_its_run_is_marked(monkeypatch):
    for finished, late in (("2026-11-23T10:00:00+00:00", True), ("2026-11-24T10:00:00+00:00", False)):
        published_as(monkeypatch, run("cpu", "mixed", 5, finished=finished))
        entry = Entry(CLAIM, standing(CLAIM))
        assert entry.stands.late(CLAIM) is late and (LATE in ledger_html([entry])) is late


def test_a_pages_own_run_has_the_scale_of_its_preset_and_overrides():
    verdict = Verdict(CLAIM.id, "mixed", "", seeds=2)
    one = own_result(verdict, {"parameters": {"preset": "laptop", "scale": {"images": 7}}, "finished": "2026-11-29"})
    assert one.size == (32, 7) and one.words == "this build, laptop, 2 seeds"
    assert own_result(verdict, None).size == (0, 0)


def test_front_page_chips_map_and_ledger_count_the_same(only_tiny, tmp_path, monkeypatch):
    pages = {}
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path))
    claim = load_claims()["figure-4"]
    own = (
        (CLAIM, Verdict(CLAIM.id, "mixed", "", "seeds", seeds=1)),
        (claim, Verdict(claim.id, "supported", "", "exact")),
    )
    for one, verdict in own:
        pages[one.notebook] = fake_page(one.notebook, [verdict])
        record([verdict], verdicts_file("tiny", one.notebook), {"parameters": {}})
    ledger = {entry.claim.id: entry.stands for entry in gather("tiny")}
    assert ledger[CLAIM.id].key == "tiny" and ledger["figure-4"].key == HERE
    for one in load_claims().values():
        there = executed.stands(one, pages)
        assert (there.key, there.verdict.verdict) == (ledger[one.id].key, ledger[one.id].verdict.verdict)
    third = [one.id for one in load_claims().values() if one.section.startswith("3") and not one.ours]
    words = Counter(ledger[id].verdict.verdict for id in third)
    front_page = front.counts(pages)
    assert all(f"<b>{count}</b> <span>{ICONS[word]} {word}</span>" in front_page for word, count in words.items())
    decided = tables.status([CLAIM.id], pages)
    assert decided.startswith(f"{{page}}`{ICONS[ledger[CLAIM.id].verdict.verdict]} <") and "tiny, 2 seeds" in decided
    body = box(own[0][1].as_json(), pages[CLAIM.notebook])
    assert f'<div class="mae-verdict mae-{kind(ledger[CLAIM.id].verdict.verdict)}"' in body
    assert body.index("strongest run: published/tiny") < body.index("this page’s own run") and "Mixed" in body
