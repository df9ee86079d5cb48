"""What the book adds to its pages, hung into Sphinx; the work is done in `maebook.sphinx`."""

from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxRole

from mae_lib.claims.claims import load_claims
from maebook.bundles import KINDS, outputs
from maebook.sphinx import executed
from maebook.sphinx.annotate import annotate
from maebook.sphinx.cards import embed_cards
from maebook.sphinx.check_links import book_pages, broken_links
from maebook.sphinx.fixes import mended
from maebook.sphinx.glossary_links import GlossaryLinks
from maebook.sphinx.made import filled
from maebook.sphinx.repository import report_link
from maebook.sphinx.source_links import SourceLinks

PAGES = {}  # the executed notebooks, by name


def _load(app):
    # An extension that knows `singlehtml` by name hides from it what all others say of `html`.
    handlers = app.registry.translation_handlers
    handlers["singlehtml"] = handlers.get("html", {}) | handlers.get("singlehtml", {})
    PAGES.clear()
    PAGES.update(executed.read(Path(app.srcdir) / "experiments"))


def _fill(app, docname, source):
    folder, _, name = docname.rpartition("/")
    if folder != "experiments":
        source[0] = filled(source[0], Path(app.srcdir), PAGES)
    else:
        book = nbformat.reads(source[0], as_version=4)
        if app.builder.name != "singlehtml":  # a printed page shows the notebook as it is
            annotate(book, PAGES[name], launch=app.config.mae_answers and app.builder.name == "html")
        for data in outputs(book):  # MyST-NB warns of types that it does not know
            for kind in KINDS:
                data.pop(kind, None)
        source[0] = nbformat.writes(book)


def _add_report(app, pagename, templatename, context, doctree):
    if "body" in context and doctree is not None:  # not the index and the search
        page = PAGES.get(pagename.removeprefix("experiments/"))
        context["body"] += report_link(pagename, page.record if page else None)


class PageRole(SphinxRole):
    """`{page}`text <folder/page#anchor>``: a link to anything that has an anchor once all is rendered."""

    def run(self):
        text, _, target = self.text.rpartition(" <")
        page, _, anchor = target.removesuffix(">").partition("#")
        address = self.env.app.builder.get_relative_uri(self.env.docname, page) + (f"#{anchor}" if anchor else "")
        reference = nodes.reference("", "", internal=True, refuri=address)
        reference += nodes.inline("", text, classes=["mae-mark"] if len(text) == 1 else [])
        if anchor.startswith("claim-"):  # an icon says little to those who do not see it
            claim = load_claims()[anchor.removeprefix("claim-")].claim
            reference += nodes.inline("", claim, classes=["mae-unseen"])
        return [reference], []


def _finish(app, error):
    if error or app.builder.name != "html":
        return
    for page in book_pages(Path(app.outdir)):
        page.write_text(mended(page.read_text("utf-8")), "utf-8")
    embed_cards(Path(app.outdir))
    if broken := broken_links(Path(app.outdir)):
        raise ExtensionError("links that lead nowhere:\n" + "\n".join(broken))


def setup(app):
    app.setup_extension("maebook.teaching.answers")
    app.add_role("page", PageRole())
    app.connect("builder-inited", _load)
    app.connect("source-read", _fill)
    app.connect("html-page-context", _add_report)
    app.connect("build-finished", _finish, priority=900)  # when the theme has written its own files
    app.add_post_transform(GlossaryLinks)
    app.add_post_transform(SourceLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
