"""At which preset a page of the book runs: most need the latents of an image, which a photograph does not give."""

import re
from pathlib import Path

from mae_lib.presets import load_preset

_ON_PHOTOGRAPHS = re.compile(r"3_0_pretraining|3_[1-5]_\w+|ledger")  # the ledger only gathers what the others recorded


def preset_of_page(page: str, preset: str | Path) -> str | Path:
    """The preset at which the page `page` ("3_2_attention") runs in the book of `preset`.

    A book whose world has no known latents has the pages that train and score on it, and every other one at `book`;
    so it has the page on detection where its preset says nothing of that.
    """
    try:
        scale = load_preset(preset)["scale"]
    except ValueError:  # the word of a preset whose file is elsewhere
        return preset
    if page == "3_5_transfer" and "detection_data" not in scale:
        return "book"
    return preset if scale.get("world") == "figurines" or _ON_PHOTOGRAPHS.fullmatch(page) else "book"
