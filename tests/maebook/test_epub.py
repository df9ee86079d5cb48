"""The e-book of a small book: a file that every reader opens, whole, offline and without a script."""

import base64
import re
import shutil
import zipfile
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import nbformat
import pytest

from mae_lib.folders import checkout
from maebook.epub import make_epub

pytestmark = pytest.mark.skipif(
    not (shutil.which("chromium") or shutil.which("google-chrome")), reason="no browser is installed"
)
OPF, XHTML, MATH = (
    "{http://www.idpf.org/2007/opf}",
    "{http://www.w3.org/1999/xhtml}",
    "{http://www.w3.org/1998/Math/MathML}",
)
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
PAPER = "var(--pst-color-background, Canvas)"
CONFIG = """title: Small
author: Nobody
only_build_toc_files: true
execute: {execute_notebooks: 'off'}
parse: {myst_enable_extensions: [dollarmath]}
sphinx:
  extra_extensions: [maebook.sphinx.ebook, maebook.sphinx.offline_mathjax]
  config: {mathjax_path: mathjax/tex-chtml.js}
"""
PAGE = f"""# One

The ratio $r<1$ and [the front](../index.md), {{ref}}`the end <end>`, <a href="nowhere.html">nowhere</a>.

$$\\sum_x \\mathbf{{x}} \\tag{{1}}$$

<mae-explorer data-model="{{}}"><div class="bar live" hidden><button>flip</button></div>
<svg viewBox="0 0 9 9" role="img" aria-label="A tree"><path d="M0 0L9 9" style="fill: {PAPER}"/></svg>
<div class="still">still</div></mae-explorer>
<img alt="A dot" src="data:image/png;base64,{base64.b64encode(PIXEL).decode()}">
<form class="mae-quiz"><fieldset><legend>Why?</legend><input type="radio" id="a"><label for="a">So<br>there</label>
<button hidden>Check</button><details class="mae-answer"><summary>Answer</summary><p>Because.</p></details></fieldset>
</form><script>alert("no")</script>

(end)=
## End
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> zipfile.ZipFile:
    root = tmp_path_factory.mktemp("book")
    (root / "book").mkdir()
    executed = root / "runs" / "notebooks" / "smoke"
    executed.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(PAGE)]), executed / "one.ipynb")
    (root / "_config.yml").write_text(CONFIG)
    (root / "book" / "_toc.yml").write_text("format: jb-book\nroot: index\nchapters:\n- file: experiments/one\n")
    (root / "book" / "index.md").write_text("# Front\n\n[Next](experiments/one.ipynb)\n")
    shutil.copy(checkout() / "CITATION.cff", root)
    with zipfile.ZipFile(make_epub(root, "smoke", root / "runs", root / "book.epub")) as packed:
        yield packed


@pytest.fixture(scope="module")
def chapter(made) -> ElementTree.Element:
    return ElementTree.fromstring(made.read("experiments/one.xhtml"))


def test_its_kind_comes_first_and_it_holds_exactly_what_it_lists(made):
    first = made.infolist()[0]
    assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
    assert made.read(first) == b"application/epub+zip"
    package = ElementTree.fromstring(made.read("content.opf"))
    items = {item.get("href"): item for item in package.iter(f"{OPF}item")}
    assert items.keys() == set(made.namelist()) - {"mimetype", "content.opf", "META-INF/container.xml"}
    read = [place.get("idref") for place in package.iter(f"{OPF}itemref")]
    assert read == [items[page].get("id") for page in ("index.xhtml", "experiments/one.xhtml")]
    assert items["experiments/one.xhtml"].get("properties") == "mathml svg"
    assert items["cover.png"].get("properties") == "cover-image"


def test_every_link_and_picture_is_in_it(made):
    pages = {name: ElementTree.fromstring(made.read(name)) for name in made.namelist() if name.endswith(".xhtml")}
    for name, page in pages.items():
        for element in page.iter():
            for address in filter(None, map(element.get, ("href", "src"))):
                parts = urlsplit(address)
                assert not parts.scheme
                there = (PurePosixPath("/") / name).parent.joinpath(unquote(parts.path)) if parts.path else None
                target = re.sub(r"[^/]+/\.\./", "", str(there)[1:]) if there else name
                assert target in made.namelist()
                anchors = {part.get("id") for part in pages[target].iter()} if parts.fragment else {""}
                assert parts.fragment in anchors


def test_formulas_are_mathml_and_no_script_is_needed(chapter):
    formulas = list(chapter.iter(f"{MATH}math"))
    assert [formula.get("alttext") for formula in formulas] == ["r<1", "\\sum_x \\mathbf{x} \\tag{1}"]
    text = "".join(chapter.itertext())
    assert "still" in text and "flip" not in text and "alert" not in text and "\\sum" not in text
    names = {element.tag.removeprefix(XHTML) for element in chapter.iter()}
    assert "var(" not in ElementTree.tostring(chapter, "unicode")  # by night a page has another ground
    assert not names & {"script", "style", "form", "input", "button", "mae-explorer"} and "svg" in str(names)


def test_an_answer_stands_at_the_end_a_link_away(chapter):
    ask = chapter.find(f".//{XHTML}a[@id='ask-0']")
    answer = chapter.find(f".//*[@id='{ask.get('href')[1:]}']")
    assert "Because." in "".join(answer.itertext())
    order = list(chapter.iter())
    assert order.index(answer) > order.index(chapter.find(".//*[@id='end']")) > order.index(ask)
