"""Where a page names a module that the book shows beside prose, the name links there."""

import re
from pathlib import Path

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

_BESIDE = re.compile(r"^<!-- made: beside (mae_lib[\w.]+)", re.MULTILINE)


def beside_pages(folder: Path) -> dict[str, str]:
    """Module -> the page of `folder` that shows it beside prose."""
    found = {page.stem: _BESIDE.findall(page.read_text(encoding="utf-8")) for page in sorted(folder.glob("*.md"))}
    return {module: page for page, modules in found.items() for module in modules}


class SourceLinks(SphinxPostTransform):
    """Links every module's name in code type, such as `show_source` writes above what it shows."""

    default_priority = 211

    def run(self, **options) -> None:
        pages = beside_pages(Path(self.app.srcdir))
        for name in list(self.document.findall(nodes.literal)):
            text = name.astext()
            page = pages.get(text) or pages.get(f"mae_lib.{text}") or pages.get(f"mae_lib.{text.rpartition('.')[0]}")
            # A link stands in running text, not in a heading or another link.
            inside = name.parent
            free = isinstance(inside, nodes.TextElement) and not isinstance(inside, nodes.reference | nodes.title)
            if page and page != self.env.docname and free:
                address = self.app.builder.get_relative_uri(self.env.docname, page)
                link = nodes.reference("", "", internal=True, refuri=address)
                name.replace_self(link)
                link += name
