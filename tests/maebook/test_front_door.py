"""What a page says of itself to those who have not opened it."""

import struct

import pytest
from bs4 import BeautifulSoup
from docutils.core import publish_doctree

from maebook.sphinx import front_door

TEXT = """
Title
=====

.. note:: Not this.

First, with *emphasis* and "quotes" & <signs>.

Second.
"""


@pytest.fixture
def at_home(monkeypatch):
    monkeypatch.setenv("MAE_LIB_REPOSITORY", "https://github.com/Owner/book")


def test_the_description_is_the_first_paragraph_in_no_box_cut_at_a_word():
    said = front_door.description(publish_doctree(TEXT, settings_overrides={"doctitle_xform": False}))
    assert said == 'First, with emphasis and "quotes" & <signs>.'
    long = front_door.description(publish_doctree("A\n=\n\n" + "word " * 100, settings_overrides={"doctitle_xform": 0}))
    assert len(long) <= 200 and long.endswith("word …")


def test_tags_are_escaped_and_addresses_whole(at_home):
    soup = BeautifulSoup(front_door.tags("Book", 'A "title"', "experiments/one", "<said>"), "html.parser")
    found = {tag.get("property", tag.get("name")): tag["content"] for tag in soup.find_all("meta")}
    assert found["description"] == found["og:description"] == "<said>" and found["og:title"] == 'A "title"'
    assert found["og:url"] == "https://owner.github.io/book/experiments/one.html"
    assert found["og:image"] == "https://owner.github.io/book/_static/card.png"


def test_without_a_repository_nothing_is_claimed_of_an_address(monkeypatch):
    monkeypatch.setattr(front_door, "site", lambda: None)
    assert "og:image" not in front_door.tags("Book", "Title", "one", "")


def test_the_picture_has_its_size_and_the_same_bytes_every_time():
    first = front_door.picture("Title")
    assert first[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", first[16:24]) == (front_door.WIDTH, front_door.HEIGHT)
    assert front_door.picture("Title") == first
