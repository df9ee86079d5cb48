"""At which preset a page of the book runs: most need the latents of an image, which a photograph does not give."""

import re
from pathlib import Path

from mae_lib.presets import load_preset

_ON_PHOTOGRAPHS = re.compile(r"3_0_pretraining|3_[1-5]_\w+|ledger")  # the ledger only gathers what the others recorded


def preset_of_page(page: str, preset: str | Path) -> str | Path:
    """The preset at which the page `page` ("3_2_attention") runs in the book of `preset`.

    A book whose world is ImageNet has the pages that train and score on it, and every other one at `laptop`.
    """
    if _ON_PHOTOGRAPHS.fullmatch(page):
        return preset
    try:
        return "laptop" if load_preset(preset)["scale"].get("world") == "imagenet" else preset
    except ValueError:  # the word of a preset whose file is elsewhere
        return preset
