"""What the e-book says of itself, taken from CITATION.cff; `maebook.epub` makes a file of the pages."""

import uuid
from pathlib import Path

import yaml


def _name(app):
    if app.builder.name != "epub":
        return
    cited = yaml.safe_load((Path(app.srcdir).parent / "CITATION.cff").read_text(encoding="utf-8"))
    config = app.config
    config.version = str(cited["version"])
    config.epub_title = config.html_title
    config.epub_author = config.epub_publisher = config.epub_contributor = cited["authors"][0]["name"]
    config.epub_description = " ".join(cited["abstract"].split())
    config.epub_copyright = f"{config.copyright}, {config.author}, {cited['license']}"
    address = cited.get("repository-code") or f"{cited['title']} {cited['version']}"
    config.epub_uid = config.epub_identifier = f"book-{uuid.uuid5(uuid.NAMESPACE_URL, address)}"
    config.epub_tocscope, config.epub_tocdepth, config.epub_tocdup = "includehidden", 1, False
    config.epub_show_urls = "no"  # a reader follows a link
    app.builder.use_index = False
    config.suppress_warnings = [*config.suppress_warnings, "epub.unknown_project_files"]  # only pages are packed


def setup(app):
    app.connect("builder-inited", _name, priority=1)  # before Sphinx asks whether all is named
    return {"parallel_read_safe": True, "parallel_write_safe": True}
