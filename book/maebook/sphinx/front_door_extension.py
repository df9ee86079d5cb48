"""A description on every page, and the picture that stands for the book where its address is shown."""

from pathlib import Path

from maebook.sphinx import front_door


def _describe(app, pagename, templatename, context, doctree):
    if doctree is not None:  # not the index and the search
        said = front_door.description(doctree)
        title = next((node.astext() for node in doctree.findall(lambda node: node.tagname == "title")), pagename)
        tags = front_door.tags(app.config.html_title, title, pagename, said)
        context["metatags"] = context.get("metatags", "") + tags


def _draw(app, error):
    if not error and app.builder.name == "html":
        (Path(app.outdir) / front_door.PICTURE).write_bytes(front_door.picture(app.config.html_title))


def setup(app):
    app.connect("html-page-context", _describe)
    app.connect("build-finished", _draw)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
