"""Published curves side by side: what is drawn, and nothing typed."""

import re
from html import escape

import pandas as pd
import pytest

from mae_lib.claims.claims import ICONS, load_claims, paper_table
from mae_lib.studies.results import Results
from maebook import published_runs as module
from maebook.figures import figure_html
from maebook.published_runs import (
    HERE,
    PAPER,
    curves,
    lines_of,
    more_seeds,
    of_scales,
    verdicts_html,
)
from maebook.verdict_box import in_words


@pytest.fixture
def shown(monkeypatch) -> list[str]:
    """What a page would show, as HTML."""
    found: list[str] = []
    monkeypatch.setattr(module, "display", lambda html: found.append(html.data))
    monkeypatch.setattr(module, "show", lambda drawing, caption, alt, switch: found.append(f"{caption} | {alt}"))
    return found


def test_scales_stand_side_by_side_the_smaller_first(longer):
    assert [one.name for one in longer] == ["tiny", "long"]
    table = of_scales(longer, "separability", "IN1K", "ratio")
    assert table.groupby("scale", sort=False).size().to_dict() == {"tiny, 0.032k images": 6, "long, 0.064k images": 4}
    metrics = {"IN1K": "clean", "IN-S": "sketch"}
    here = pd.DataFrame(
        [{"ratio": r, "seed": 0, "metric": "IN1K", "image": i, "value": r} for r in (0.1, 0.9) for i in "ab"]
    )
    tables = {
        x: lines_of(longer, "separability", metrics, x, here if x == "ratio" else None) for x in ("ratio", "unit")
    }
    assert set(tables["ratio"]["key"]) == {"tiny", "long", PAPER, HERE} and HERE not in set(tables["unit"]["key"])
    printed = tables["ratio"].query("key == @PAPER and metric == 'IN1K'").set_index("ratio")["value"]
    assert (
        printed[0.75]
        == paper_table("table_1", "ratio").query("metric == 'IN1K' and ratio == 0.75")["value"].item() / 100
    )
    drawing = curves(tables, metrics)
    assert len(drawing.axes) == 4
    assert {text.get_text() for text in drawing.legends[0].get_texts()} == {
        "tiny, 0.032k images",
        "long, 0.064k images",
        PAPER,
        HERE,
    }
    html = figure_html(drawing, "Curves.", "Lines.")
    assert set(re.findall(r'data-mae-scale="([^"]+)"', html)) == {"tiny", "long", PAPER, HERE}


def test_a_page_shows_its_figures_and_its_claims_verdicts(longer, shown):
    more_seeds("3_1_reconstruction", {"SSIM": "structure"}, {"PSNR": "pixels"})
    assert len(shown) == 3
    assert "tiny, 32 images a run, 2 seeds; long, 64 images a run, 2 seeds" in shown[0]
    claims = [claim for claim in load_claims().values() if claim.notebook == "3_1_reconstruction"]
    assert shown[2].count("<tr>") == 1 + len(claims)
    assert '<th scope="col">tiny</th><th scope="col">long</th>' in shown[2]


def test_verdicts_are_words_with_their_reason(only_tiny):
    one = Results.open(only_tiny)
    claims = [claim for claim in load_claims().values() if claim.notebook == "3_3_separability"]
    # Which they are depends on two tiny runs; no test may.
    drawn = one.verdicts()
    verdicts = [drawn[claim.id] for claim in claims]
    html = verdicts_html("3_3_separability", [one])
    for verdict in verdicts:
        assert f'{ICONS[verdict.verdict]}<span class="mae-word"> {in_words(verdict)}</span>' in html
        assert f'title="{escape(verdict.why)}"' in html
    assert html.count("mae-word") == len(claims) and "not run" in {verdict.verdict for verdict in verdicts}


def test_without_published_results_a_sentence_says_so(tmp_path, monkeypatch, shown):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    more_seeds("3_1_reconstruction", {"SSIM": "structure"})
    more_seeds("3_5_transfer", {"AP box": "box AP"})
    assert len(shown) == 2 and all("No longer runs of this section are published yet" in one for one in shown)
    assert "mae_lib series<" in shown[0] and "mae_lib detect<" in shown[1]
