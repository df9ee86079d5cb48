"""The control that brings one result forward on a page: a radio button for each, shown by the script that works it."""

from collections.abc import Iterable
from html import escape

from maebook.published_runs import HERE
from maebook.strongest import results


def switch(keys: Iterable[str], number: int) -> str:
    """The control for the results `keys`, this build and all; `number` tells it from others on its page."""
    words = {key: next(iter(by.values())).words for key, by in results().items()}
    words[HERE] = "the strongest run, and beside it what this page has just computed"
    named = {HERE: "strongest and this build"}
    options = "".join(
        f'<label title="{escape(words.get(key, ""))}"><input type="radio" name="mae-scale-{number}" '
        f'value="{escape(key)}"{" checked" if key == HERE else ""}> <span>{escape(named.get(key, key))}</span></label>'
        for key in [HERE, *keys, "all"]
    )
    return f'<fieldset class="mae-switch" hidden><legend>Results of</legend>{options}</fieldset>'
