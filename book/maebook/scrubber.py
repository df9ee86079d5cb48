"""Frames of which one is seen: pictures to scrub through, mask by mask, and figures of a seed that is drawn by chance.

Every frame is in the page, its pictures as data URLs, so without a script all of them are seen, one below the other.
`book/_static/scrubber.js` leaves one and adds a slider, which the arrow keys move, or a button that draws another.
"""

import base64
import io
from collections.abc import Mapping
from html import escape

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from maebook.figures import tiled


def scrubber(frames: Mapping[str, Mapping[str, ArrayLike]], first: ArrayLike, caption: str, alt: str) -> str:
    """HTML of `frames`: the name of each ("r = 0.1") with its rows of images (images, 3, H, W) by what they show.

    `first` is a row that stands above all frames. Images are float in [0, 1] (clipped) or uint8.
    """
    shown = "".join(
        f'<div data-frame="{escape(name)}">'
        + "".join(_row(what, images, f"{alt}: {what}, {name}") for what, images in rows.items())
        + "</div>"
        for name, rows in frames.items()
    )
    return (
        f'<figure class="mae-figure"><mae-scrubber>{_row("original", first, f"{alt}: originals")}{shown}</mae-scrubber>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def roulette(frames: Mapping[str, str], what: str = "seed") -> str:
    """HTML of `frames`: the name of each ("seed 1") with a figure's HTML; a button draws one of them by chance."""
    shown = "".join(f'<div data-frame="{escape(name)}">{html}</div>' for name, html in frames.items())
    return f'<mae-scrubber draw="{escape(what)}">{shown}</mae-scrubber>'


def _row(what: str, images: ArrayLike, alt: str) -> str:
    file = io.BytesIO()
    Image.fromarray(tiled([np.asarray(images)], gap=2)).save(file, "PNG", optimize=True)
    url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    return f'<div class="mae-strip"><span>{escape(what)}</span><img alt="{escape(alt)}" src="{url}"></div>'
