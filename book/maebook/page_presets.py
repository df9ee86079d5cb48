"""At which preset a page of the book runs: most need the latents of an image, which a photograph does not give."""

from pathlib import Path

from mae_lib.claims.pages import SECTION_OF
from mae_lib.presets import load_preset


def preset_of_page(page: str, preset: str | Path) -> str | Path:
    """The preset at which the page `page` ("3_2_attention") runs in the book of `preset`.

    A book whose world has no known latents has the pages that train and score on it, and every other one at `book`;
    so it has the page on detection where its preset says nothing of that. The ledger only gathers what others recorded.
    """
    try:
        scale = load_preset(preset)["scale"]
    except ValueError:  # the word of a preset whose file is elsewhere
        return preset
    section = SECTION_OF.get(page)
    if section == "detection" and "detection_data" not in scale:
        return "book"
    return preset if section or page == "ledger" or scale.get("world") == "figurines" else "book"
