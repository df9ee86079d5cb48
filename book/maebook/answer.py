"""The answer of a page, which the book puts at its top: what it is worked out from comes first in a notebook."""

from IPython.display import Markdown, display

ANSWER = "**The answer.**"


def show_answer(text: str) -> None:
    """The answer of a page: at most 60 words, filled from results."""
    display(Markdown(f"{ANSWER} {text}"))
