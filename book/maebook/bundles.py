"""What a notebook hands over: data beside what is seen of it, in outputs of the book's own MIME types.

A program that knows none of them shows the HTML. The runner and the book's pages read the data, and parse no HTML.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from IPython.display import display

VERDICT, FIGURE, RUN = KINDS = tuple(f"application/vnd.mae.{what}+json" for what in ("verdict", "figure", "run"))


def emit(kind: str, data: Mapping[str, Any], html: str) -> None:
    """Show `html` in a notebook, and hand over `data`, which JSON can hold, as the MIME type `kind`."""
    display({kind: data, "text/html": html}, raw=True)


def outputs(book: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What the cells of an executed notebook show, in their order: MIME type -> content."""
    return (output["data"] for cell in book["cells"] for output in cell.get("outputs", ()) if "data" in output)


def bundles(book: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    """The data of one MIME type that the cells of an executed notebook handed over, in their order."""
    return [data[kind] for data in outputs(book) if kind in data]


def run_of(book: Mapping[str, Any]) -> dict[str, Any] | None:
    """The provenance of an executed notebook's run; None for one that the runner did not run."""
    return next(iter(bundles(book, RUN)), None)
