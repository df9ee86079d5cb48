"""MathJax from an installed package, copied beside the pages: the book opens with no network.

It goes into the output's `_static` when the build ends; a source folder named `_static` would have every script of it
loaded on every page.
"""

from importlib.util import find_spec
from pathlib import Path

from sphinx.util.fileutil import copy_asset

# What a page can ask for: the TeX reader with its on-demand extensions, and the fonts.
_PARTS = ("tex-chtml.js", "input/tex/extensions", "output/chtml/fonts")


def _copy(app, error):
    if error or app.builder.format != "html":
        return
    source = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in _PARTS:
        copy_asset(str(source / part), str((target / part).parent if (source / part).is_file() else target / part))


def setup(app):
    app.connect("build-finished", _copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
