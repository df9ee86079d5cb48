"""The paper's numbers, the claims, and the verdicts: on hand-made tables and on the paper's own."""

import json
import math
from html.parser import HTMLParser

import numpy as np
import pytest

from mae_lib.claims.claims import Claim, Verdict, load_claims, load_paper, paper_table, place
from mae_lib.claims.orderings import Finding
from mae_lib.claims.verdicts import decide, record, verdicts_file, word
from maebook.bundles import VERDICT
from maebook.verdict_box import judge, numbers_table, verdict_html

CLAIMS = load_claims()
RISING = CLAIMS["ratio-raises-structure"]
RATIOS = (0.1, 0.25, 0.5, 0.75)


def table(slope: float, noise: float = 0.001, seeds: int = 3, metrics=("SSIM", "FSIM")) -> list[dict]:
    random = np.random.default_rng(0)
    return [
        {"ratio": r, "metric": m, "seed": s, "value": slope * r + noise * random.normal()}
        for m in metrics
        for s in range(seeds)
        for r in RATIOS
    ]


def test_tables_have_the_shapes_that_the_paper_prints():
    shapes = {
        (name, series): (len(points), {len(values) for values in points.values()}, len(content["columns"]))
        for name, content in load_paper().items()
        for series, points in content["series"].items()
    }
    assert shapes == {
        ("table_1", "ratio"): (5, {6}, 6),
        ("table_1", "unit"): (3, {6}, 6),
        ("table_2", "ratio"): (5, {1}, 1),
        ("table_3", "ratio"): (5, {2}, 2),
    }


def test_tables_hold_what_the_paper_prints():
    # Column sums, added up apart from the file, and a few cells.
    sums = paper_table("table_1", "ratio").groupby("metric")["value"].sum()
    assert sums.to_dict() == pytest.approx(
        {"IN1K": 291.48, "IN-v2": 225.52, "OJN": 69.01, "IN-R": 100.06, "IN-A": 13.9, "IN-S": 56.07}
    )
    units = paper_table("table_1", "unit").groupby("metric")["value"].sum()
    assert units.to_dict() == pytest.approx(
        {"IN1K": 204.84, "IN-v2": 166.46, "OJN": 46.2, "IN-R": 71.49, "IN-A": 22.71, "IN-S": 57.84}
    )
    shape = paper_table("table_2", "ratio").set_index("ratio")["value"]
    assert shape.to_dict() == {0.1: 0.1352, 0.25: 0.2545, 0.5: 0.2458, 0.75: 0.2563, 0.9: 0.2014}
    assert paper_table("table_3", "ratio")["value"].sum() == pytest.approx(174.61 + 161.0)
    with pytest.raises(ValueError, match=r"table_3 \(ratio\)"):
        paper_table("table_3", "unit")


@pytest.mark.parametrize("claim", [c for c in CLAIMS.values() if c.paper_table], ids=lambda c: c.id)
def test_claims_on_tables_hold_on_the_papers_own_numbers_or_say_why_not(claim):
    verdict = decide(claim, paper_table(claim.paper_table, claim.series))
    assert (verdict.verdict == "supported") is (not claim.paper_contradicts_itself), verdict.why
    assert verdict.verdict != "undecided"
    assert verdict.basis == "exact"


def test_every_claim_is_whole():
    assert len([claim for claim in CLAIMS.values() if not claim.ours]) >= 40
    for claim in CLAIMS.values():
        assert claim.claim.endswith(".") and claim.section and claim.notebook, claim.id
        assert all(place(section)[0].isupper() for section in (claim.section, *claim.also))
        assert decide(claim, None).verdict == "not run"
        if claim.paper_table:
            assert set(claim.metrics) <= set(load_paper()[claim.paper_table]["columns"]), claim.id


@pytest.mark.parametrize(
    ("measured", "word", "basis"),
    [
        (table(1), "supported", "seeds"),
        (table(-1), "contradicted", "seeds"),
        (table(1, metrics=["SSIM"]) + table(-1, metrics=["FSIM"]), "mixed", "seeds"),
        (table(0.01, noise=0.05, seeds=2), None, "seeds"),
        (table(1, seeds=1), "undecided", "one seed"),
        ([{k: v for k, v in row.items() if k != "seed"} for row in table(1, seeds=1)], "supported", "exact"),
        (table(1, metrics=["SSIM"]), "not run", None),
        ([row for row in table(1) if row["ratio"] != 0.5], "not run", None),
        ([row | {"value": math.nan} for row in table(1)], "not run", None),
        ([], "not run", None),
    ],
)
def test_verdicts(measured, word, basis):
    verdict = decide(RISING, measured)
    assert word is None or verdict.verdict == word, verdict.why
    assert verdict.basis == basis and verdict.one_seed == (basis == "one seed")


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (["holds", "holds"], "supported"),
        (["holds", "leans"], "undecided"),
        (["holds", "tie"], "undecided"),
        (["holds", "no test"], "undecided"),
        (["leans against", "leans against"], "undecided"),
        (["holds", "reversed"], "mixed"),
        (["leans", "reversed"], "contradicted"),
        (["no test", "reversed"], "contradicted"),
    ],
)
def test_the_five_words(outcomes, expected):
    findings = [Finding("a above b", outcome, {}) for outcome in outcomes]
    assert word(findings) == expected and word(findings, one_seed=True) == "undecided"


@pytest.mark.parametrize(("slope", "lean"), [(1, "supported"), (-1, "against")])
def test_one_seed_leans_at_most_and_says_where(slope, lean):
    random = np.random.default_rng(0)
    rows = [
        row | {"image": i, "value": row["value"] + 0.1 * random.normal()}
        for row in table(slope, 0, 1)
        for i in range(200)
    ]
    verdict = decide(RISING, rows)
    assert (verdict.verdict, verdict.lean, verdict.seeds) == ("undecided", lean, 1) and verdict.one_seed
    count = len(verdict.findings)
    assert verdict.why.startswith(f"Orderings that lean towards the claim: {count if slope > 0 else 0} of {count}.")
    assert "200 images" in verdict.why and f"Undecided, leans {lean} (one seed)" in verdict_html(RISING, verdict)
    assert decide(RISING, table(1, metrics=["SSIM"], seeds=1) + table(-1, metrics=["FSIM"], seeds=1)).lean is None


def test_seeds_and_images_are_said_and_what_is_left_out_too():
    random = np.random.default_rng(0)
    whole = [
        row | {"image": i, "value": row["value"] + 0.1 * random.normal()} for row in table(1, 0, 3) for i in range(40)
    ]
    both = decide(RISING, whole)
    assert both.basis == "seeds and images" and "over 3 seeds and over test images" in both.why
    means = [row | {"count": 40} for row in table(1)]
    assert "what others would give is left out (SSIM, FSIM)" in decide(RISING, means).why
    claim = CLAIMS["probe-rises-to-three-quarters"]
    hits = [row | {"metric": "IN1K", "count": 1000} for row in table(1, metrics=["IN1K"])]
    assert "test images as its own" in decide(claim, hits).why


def test_where_every_encoder_guesses_nothing_is_decided():
    claim = CLAIMS["extreme-ratio-hurts-probe"]
    scores = {0.75: 0.12, 0.9: 0.08, 0.1: 0.08}

    def rows(floor: float) -> list[dict]:
        found = []
        for ratio, value in scores.items():
            for seed in range(3):
                about = {"ratio": ratio, "seed": seed}
                measured = value + 0.001 * seed * (1 + ratio)
                found += [about | {"metric": "IN1K", "value": measured}]
                found += [about | {"metric": "IN1K over guessing", "value": measured - floor}]
        return found

    assert decide(claim, rows(0.05)).verdict == "supported"
    guessed = decide(claim, rows(0.15))
    assert guessed.verdict == "undecided" and "Not tested: IN1K: every encoder guesses" in guessed.why
    assert {finding.outcome for finding in guessed.findings} == {"no test"}


def test_hard_images_that_are_not_hard_are_no_test():
    claim = CLAIMS["extreme-units-are-less-robust"]
    assert [guard.otherwise for guard in claim.guards if guard.reads == "IN-A as a share of IN1K"]
    share = {0.05: "contradicted", 0.91: "no test"}
    for of_clean, expected in share.items():
        rows = []
        for metric in (*claim.metrics, "IN-A as a share of IN1K"):
            for unit in (4, 8, 16):
                value = of_clean if metric.startswith("IN-A as") else unit / 100
                rows += [{"unit": unit, "metric": metric, "seed": s, "value": value + s * unit / 1e6} for s in range(3)]
        found = decide(claim, rows)
        assert found.verdict == "contradicted"
        assert ("Not tested: IN-A" in found.why) == (expected == "no test")


def test_counts_of_checks():
    claim = CLAIMS["shared-information-is-unique"]
    assert decide(claim, [{"successes": 811, "trials": 811}]).verdict == "supported"
    failed = decide(claim, [{"successes": 810, "trials": 811}])
    assert failed.verdict == "contradicted" and "810 of 811" in failed.why
    counted = [one for one in CLAIMS.values() if one.series == "none"]
    assert counted and all(one.metrics[0][0].isupper() for one in counted)  # the metric starts the sentence


def test_counts_of_models_of_one_seed_are_marked():
    claim = CLAIMS["siblings-are-nearer-the-limit"]
    rows = [{"seed": seed, "successes": 1, "trials": 6} for seed in (0, 1)]
    once, twice = decide(claim, rows[:1]), decide(claim, rows)
    assert once.one_seed and not twice.one_seed and "2 of 12" in twice.why
    assert "Undecided, leans against (one seed)" in verdict_html(claim, once)


def test_intervals_name_what_is_repeated_and_points_in_words_are_quoted():
    claim = CLAIMS["masks-decide-what-is-learned"]
    points = {"conservative": 0.9, "aggressive": 0.1, "ideal": 0.1}
    rows = [{"mask": mask, "seed": s, "value": value} for mask, value in points.items() for s in range(5)]
    under = [{"condition": condition, "seed": s, "value": 0.01 * s} for condition in "abc" for s in range(5)]
    why = decide(claim, rows).why
    assert "over 5 processes, paired" in why and "mask “aggressive” above “ideal” (tie" in why
    assert "over 3 seeds, paired" in decide(RISING, table(1)).why
    assert "over 5 processes." in decide(CLAIMS["squared-error-identifies-c"], under).why
    assert "One process, so" in decide(claim, [row for row in rows if row["seed"] == 0]).why


def test_images_that_differ_in_number_are_a_range_and_rounding_is_no_number():
    few = [{"ratio": r, "metric": "FSIM", "seed": 0, "image": i, "value": r} for r in RATIOS for i in range(5)]
    many = [{"ratio": r, "metric": "SSIM", "seed": 0, "image": i, "value": r} for r in RATIOS for i in range(1200)]
    assert "over 5 to 1,200 images and" in decide(RISING, few + many).why
    assert "<td>0</td>" in numbers_table([Finding("a tie", "tie", {"difference": -2.8e-18})])


def test_a_table_without_its_columns_is_refused():
    with pytest.raises(ValueError, match=r"lacks \['value', 'metric'\]"):
        decide(RISING, [{"ratio": 0.1}])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": {"kind": "wish"}}, "claim 'x': rule kind 'wish'"),
        ({"series": "epoch"}, "claim 'x': series 'epoch'"),
        ({"series": "none"}, "claim 'x': series 'none'"),
        ({"confidence": 95}, "claim 'x': confidence 95"),
        ({"over": "masks"}, "claim 'x': over 'masks'"),
        ({"metrics": ()}, "claim 'x': metrics is empty"),
        ({"since": "2026-11-23"}, "claim 'x': since '2026-11-23' has no time zone"),
    ],
)
def test_claims_that_cannot_be_decided_are_refused(change, message):
    sound = {
        "id": "x",
        "section": "3.1",
        "claim": "A.",
        "notebook": "n",
        "metrics": ("SSIM",),
        "series": "ratio",
        "rule": {"kind": "peak_at", "point": 0.75},
        "confidence": 0.95,
        "since": "2026-11-23T13:24Z",
    }
    Claim(**sound)
    with pytest.raises(ValueError, match=message):
        Claim(**sound | change)


class Text(HTMLParser):
    """Collects the text of a page, and checks that its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_box_says_everything_in_words():
    claim = CLAIMS["extreme-unit-hurts-probe"]
    page = Text()
    page.feed(verdict_html(claim, decide(claim, paper_table("table_1", "unit"))))
    assert not page.open
    for words in ("✘ Contradicted", claim.claim, claim.paper_contradicts_itself, "unit 16 above 32", "-4.35"):
        assert words in page.text


def test_the_box_escapes():
    verdict = Verdict("x", "mixed", "a < b & c", "exact", (Finding("<i>", "leans", {"difference": 1.0}),))
    html = verdict_html(RISING, verdict)
    assert "a &lt; b &amp; c" in html and "<i>" not in html


def test_sections_are_called_by_their_names():
    assert [place(section) for section in ("abstract", "1", "3.1")] == ["Abstract", "Section 1", "Section 3.1"]


def test_judge_shows_and_hands_over(monkeypatch):
    shown = []
    monkeypatch.setattr("maebook.bundles.display", lambda data, raw: shown.append(data))
    judge("ratio-raises-structure", table(1))
    assert shown[0][VERDICT]["verdict"] == "supported" and "Supported" in shown[0]["text/html"]
    with pytest.raises(ValueError, match="claim 'nothing' is unknown"):
        judge("nothing", None)


def test_verdicts_are_recorded_whole_and_once(tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path))
    path = verdicts_file("smoke", "notebooks/3_1_reconstruction.ipynb")
    assert path == tmp_path / "verdicts" / "smoke" / "3_1_reconstruction.json"
    verdict = decide(RISING, table(1, seeds=1))  # its intervals are NaN, which JSON does not have
    record([verdict], path, {"seeds": [0]})
    stored = json.loads(path.read_text())
    assert stored["provenance"] == {"seeds": [0]}
    (entry,) = stored["verdicts"]
    assert (
        entry["claim"] == RISING.id
        and entry["verdict"] == "undecided"
        and entry["one_seed"]
        and entry["lean"] == "supported"
    )
    assert entry["findings"][0]["numbers"]["low"] is None
    assert repr(Verdict.from_json(entry)) == repr(verdict)  # NaN is not equal to itself
    with pytest.raises(ValueError, match="more than one verdict"):
        record([verdict, verdict], path, {})
    with pytest.raises(TypeError):
        record([decide(RISING, None)], path, {"bad": object()})
    assert json.loads(path.read_text()) == stored and [p.name for p in path.parent.iterdir()] == [path.name]
