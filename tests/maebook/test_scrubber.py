"""Frames of pictures are whole without a script, and what they hold is the images to the byte."""

import base64
import io

import numpy as np
from bs4 import BeautifulSoup
from PIL import Image

from maebook.scrubber import scrubber


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
