"""Frames of pictures are whole without a script, and what they hold is the images to the byte."""

import base64
import io
from itertools import pairwise
from pathlib import Path

import numpy as np
from bs4 import BeautifulSoup
from PIL import Image

from maebook.scrubber import roulette, scrubber

STATIC = Path(__file__).parents[2] / "book" / "_static"


def test_every_frame_is_in_the_page_with_its_images_and_its_words():
    rng = np.random.default_rng(0)
    first, given, painted = (rng.integers(256, size=(2, 3, 8, 8), dtype=np.uint8) for _ in range(3))
    frames = {"r = 0.1": {"given": given, "painted": painted}, "r < 0.9": {"given": painted, "painted": given}}
    page = BeautifulSoup(scrubber(frames, first, "What & why.", "Two images"), "html.parser")
    assert [part["data-frame"] for part in page.select("[data-frame]")] == list(frames)
    assert not page.select("[hidden]") and page.figcaption.text == "What & why."
    pictures = page.select("img")
    assert [picture["alt"] for picture in pictures][:2] == ["Two images: originals", "Two images: given, r = 0.1"]
    for picture, images in zip(pictures, (first, given, painted, painted, given), strict=True):
        file = io.BytesIO(base64.b64decode(picture["src"].removeprefix("data:image/png;base64,")))
        pixels = np.asarray(Image.open(file))  # (8, 8 + 2 + 8, 4), a gap between the two
        np.testing.assert_array_equal(pixels[:, :8, :3], images[0].transpose(1, 2, 0))
        np.testing.assert_array_equal(pixels[:, 10:, :3], images[1].transpose(1, 2, 0))
        assert (pixels[:, 8:10, 3] == 0).all()


def test_a_button_draws_another_frame_and_the_slider_goes_through_all(browser):
    tab = browser.new_page()
    frames = {f"seed {seed}": f"<figure>{seed}</figure>" for seed in range(3)}
    images = np.zeros((1, 3, 4, 4), dtype=np.uint8)
    pictures = scrubber({f"r = {r}": {"painted": images} for r in (0.1, 0.5, 0.9)}, images, "Words.", "An image")
    tab.set_content(roulette(frames) + pictures)
    assert tab.locator("[data-frame]:visible").count() == 6, "without the script all frames are there"
    tab.add_script_tag(path=STATIC / "scrubber.js")
    drawn, scrubbed = (tab.locator(f"mae-scrubber{which}") for which in ("[draw]", ":not([draw])"))
    seen = []
    for _ in range(12):
        (shown,) = drawn.locator("[data-frame]:visible").all()
        assert shown.get_attribute("data-frame") == drawn.locator("output").inner_text()
        seen.append(shown.inner_text())
        drawn.get_by_role("button", name="Draw another seed").press("Enter")
    assert set(seen) == {"0", "1", "2"} and all(a != b for a, b in pairwise(seen))
    scrubbed.locator("input").press("ArrowRight")
    (shown,) = scrubbed.locator("[data-frame]:visible").all()
    assert shown.get_attribute("data-frame") == "r = 0.9" == scrubbed.locator("output").inner_text()
    tab.close()
