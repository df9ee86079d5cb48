"""The slides that `make slides` wrote, in a browser: every slide of every lecture can be read from a seat."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "maebook" / "teaching"))
from legible import unreadable  # noqa: E402

DECKS = sorted((ROOT / "slides").glob("lecture-*.html"))


@pytest.mark.skipif(not DECKS, reason="no slides yet: make slides")
@pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck.stem)
def test_nothing_is_cut_and_no_letter_is_small(browser, deck):
    assert unreadable(browser, deck) == {}
