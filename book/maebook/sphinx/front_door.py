"""What a page says of itself to search engines and to whoever is sent its address: a description and a picture."""

from html import escape
from io import BytesIO
from textwrap import shorten

from docutils import nodes
from matplotlib.figure import Figure

from mae_lib.theory import LatentHierarchy, locate_shared_information
from maebook.hierarchy_drawing import draw_hierarchy
from maebook.sphinx.repository import site

PICTURE = "_static/card.png"
WIDTH, HEIGHT = 1200, 630  # pixels, as those who show such pictures ask for
_LONGEST = 200  # characters of a description
_ALT = "A tree of latents over seven pixels, three of them hidden; both sides share the root."


def description(doctree: nodes.document) -> str:
    """A page's first paragraph that stands in no box, shortened at a word; empty for a page of tables alone."""
    for paragraph in doctree.findall(nodes.paragraph):
        if isinstance(paragraph.parent, nodes.section) and (text := paragraph.astext().strip()):
            return shorten(text, _LONGEST, placeholder=" …")
    return ""


def tags(book: str, title: str, page: str, said: str) -> str:
    """The page's description and its Open Graph properties, as HTML.

    A picture and an address are absolute there, so they are given where the book's own address is known.
    """
    found = {"og:type": "article", "og:site_name": book, "og:title": title, "og:description": said}
    if address := site():
        found |= {"og:url": f"{address}{page}.html", "og:image": f"{address}{PICTURE}", "og:image:alt": _ALT}
        found |= {"og:image:width": str(WIDTH), "og:image:height": str(HEIGHT)}
    lines = [f'<meta name="description" content="{escape(said)}">'] if said else []
    lines += [f'<meta property="{name}" content="{escape(value)}">' for name, value in found.items() if value]
    return "\n".join(lines) + "\n"


def picture(title: str, width: int = WIDTH, height: int = HEIGHT, dpi: int = 100) -> bytes:
    """The picture, PNG of `width` x `height`: the paper's Figure 4 under the mask that shares its root, and a title."""
    hierarchy = LatentHierarchy.figure_4()
    masked = hierarchy.observables[:3]
    drawing = Figure(figsize=(width / dpi, height / dpi), dpi=dpi, facecolor="white", layout="none")
    axes = drawing.add_axes((0.2, 0.03, 0.6, 0.72))
    draw_hierarchy(axes, hierarchy, locate_shared_information(hierarchy, masked), masked, legend=False)
    drawing.text(0.5, 0.87, title, ha="center", va="center", fontsize=26, color="#222222", wrap=True)
    file = BytesIO()
    drawing.savefig(file, format="png", metadata={"Software": None})
    return file.getvalue()
