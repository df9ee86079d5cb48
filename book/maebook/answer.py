"""The answer of a page, which stands at its top."""

from IPython.display import Markdown, display


def show_answer(text: str) -> None:
    """The answer of a page, at its top: at most 60 words, filled from results."""
    display(Markdown(f"**The answer.** {text}"))
