"""`{live} PAGE`: the program `live/PAGE.py` as a cell that the page's reader changes and runs.

A page that has one gets it before the heading that `live_cells` names, with no word of it in the notebook.
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from maebook.sphinx import live_cells

_HEAD = "## Try your own graph"
_SAYS = "Change the graph or the mask and run it; errors in either are explained in one line."


class Live(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        path = _program(self.env.app, self.arguments[0])
        self.env.note_dependency(str(path))
        code = path.read_text(encoding="utf-8")
        if self.env.app.builder.name != "html":  # a printed page shows the program
            return [nodes.literal_block(code, code, language="python")]
        return [nodes.raw("", live_cells.cell(path.stem, code, self.env.app.live_python), format="html")]


def _program(app, page: str) -> Path:
    return Path(app.srcdir) / "live" / f"{page}.py"


def _find(app):
    app.live_python = live_cells.pyodide() if app.builder.name == "html" else None


def _insert(app, name: str, content: list[str]) -> None:
    folder, _, page = name.rpartition("/")
    if folder != "experiments" or not (heading := live_cells.place(page)):
        return
    book = json.loads(content[0])
    for cell in book["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and f"\n{heading}\n" in f"\n{source}\n":
            before, _, after = f"\n{source}\n".partition(f"\n{heading}\n")
            parts = (before.strip(), _HEAD, _SAYS, f"```{{live}} {page}\n```", heading, after.strip())
            cell["source"] = "\n\n".join(filter(None, parts))
            content[0] = json.dumps(book)
            return
    raise ExtensionError(f"{name} has a live cell and no heading {heading!r} that it could stand before")


def _install(app, error):
    if not error and app.builder.name == "html" and app.live_python:
        live_cells.install(Path(app.outdir) / "_static", app.live_python)


def setup(app):
    app.add_directive("live", Live)
    app.connect("builder-inited", _find)
    app.connect("source-read", _insert)
    app.connect("build-finished", _install)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
