"""What the book adds to its pages, hung into Sphinx; the work is done in `mae_lib.reporting.pages`."""

from pathlib import Path

from sphinx.errors import ExtensionError

from mae_lib.reporting.pages import executed
from mae_lib.reporting.pages.cards import embed_cards
from mae_lib.reporting.pages.dress import dressed
from mae_lib.reporting.pages.links import book_pages, broken_links
from mae_lib.reporting.pages.made import filled
from mae_lib.reporting.pages.mends import mended
from mae_lib.reporting.pages.scales import with_scales
from mae_lib.reporting.pages.source_links import SourceLinks
from mae_lib.reporting.pages.terms import GlossaryLinks

PAGES = {}  # the executed notebooks, by name


def _load(app):
    # An extension that knows `singlehtml` by name hides from it what all others say of `html`.
    handlers = app.registry.translation_handlers
    handlers["singlehtml"] = handlers.get("html", {}) | handlers.get("singlehtml", {})
    PAGES.clear()
    PAGES.update(executed.read(Path(app.srcdir) / "experiments"))


def _fill(app, docname, source):
    if not docname.startswith("experiments/"):
        source[0] = filled(source[0], Path(app.srcdir), PAGES)


def _dress(app, pagename, templatename, context, doctree):
    name = pagename.removeprefix("experiments/")
    if "body" in context and name in PAGES:
        context["body"] = with_scales(dressed(context["body"], PAGES[name]))


def _finish(app, error):
    if error or app.builder.name != "html":
        return
    for page in book_pages(Path(app.outdir)):
        page.write_text(mended(page.read_text("utf-8")), "utf-8")
    embed_cards(Path(app.outdir))
    if broken := broken_links(Path(app.outdir)):
        raise ExtensionError("links that lead nowhere:\n" + "\n".join(broken))


def setup(app):
    app.connect("builder-inited", _load)
    app.connect("source-read", _fill)
    app.connect("html-page-context", _dress)
    app.connect("build-finished", _finish, priority=900)  # when the theme has written its own files
    app.add_post_transform(GlossaryLinks)
    app.add_post_transform(SourceLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
