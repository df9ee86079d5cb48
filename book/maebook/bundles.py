"""What a notebook hands over: data beside what is seen of it, in outputs of the book's own MIME types.

A program that knows none of them shows the HTML. The runner and the book's pages read the data, and parse no HTML.
"""

from collections.abc import Mapping
from typing import Any

from IPython.display import display
from nbformat import NotebookNode

VERDICT = "application/vnd.mae.verdict+json"
RUN = "application/vnd.mae.run+json"


def emit(kind: str, data: Mapping[str, Any], html: str) -> None:
    """Show `html` in a notebook, and hand over `data`, which JSON can hold, as the MIME type `kind`."""
    display({kind: data, "text/html": html}, raw=True)


def bundles(book: NotebookNode, kind: str) -> list[dict[str, Any]]:
    """The data of one MIME type that the cells of an executed notebook handed over, in their order."""
    outputs = (output.get("data", {}) for cell in book.cells for output in cell.get("outputs", ()))
    return [data[kind] for data in outputs if kind in data]
