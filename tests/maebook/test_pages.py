"""What the book adds to its pages: made from data, and refused where the data name what is not there."""

import ast
import inspect
import json
import re
import sys
import zipfile
from pathlib import Path
from urllib.parse import parse_qs

import nbformat
import networkx as nx
import pytest
from bs4 import BeautifulSoup
from fakes import fake_page, fake_suggestions

from mae_lib.claims.claims import Verdict, load_claims
from mae_lib.provenance import provenance
from mae_lib.studies.published_files import csv_of
from mae_lib.studies.suggestions import COLUMNS
from maebook.answer import ANSWER
from maebook.archive import archive
from maebook.bundles import FIGURE
from maebook.linked import CONTROLS
from maebook.published_runs import PAPER
from maebook.run_card import reproduce_command
from maebook.sphinx import repository, tables
from maebook.sphinx.annotate import ALONE, annotate, box
from maebook.sphinx.cards import embed_cards
from maebook.sphinx.chapters import chapter_graph, chapter_map, places
from maebook.sphinx.check_links import broken_links
from maebook.sphinx.cite import citation
from maebook.sphinx.executed import Page
from maebook.sphinx.made import filled
from maebook.sphinx.names import resolve
from maebook.sphinx.source_pages import beside, prose
from maebook.strongest import results
from maebook.teaching.exercises import notebooks, read

BOOK = Path(__file__).resolve().parents[2] / "book"
METRICS = ("class probe", "parts probe", "shape bias")
PARAMETERS = {"preset": "smoke", "seeds": [3], "note": 'a "quoted" <b> & more'}


@pytest.fixture
def page() -> Page:
    record = provenance(PARAMETERS, ["mae_lib.theory"], started=None, device="cpu") | {"wall_seconds": 41.0}
    return fake_page("2_3_theorem_1", [own("figure-4")], [{"csv": "x,y\n1,2\n"}, {"name": "a-figure"}], record)


def own(claim: str) -> Verdict:
    return Verdict(claim, "mixed", "ours")


def drawn(page: Page) -> list[str]:
    """The HTML of a page's outputs as the book shows them."""
    annotate(page.book, page)
    return [output.data["text/html"] for output in page.book.cells[1].outputs]


# Names, tables


@pytest.mark.parametrize(
    "name", ["mae_lib.training.masks.MaskSampler.ratio", "mae_lib.theory.locate_shared_information(masked)"]
)
def test_names_that_exist_resolve(name):
    assert resolve(name) is not None


@pytest.mark.parametrize(
    "name, what",
    [
        ("mae_lib.training.masks.MaskSampler.ration", "MaskSampler has no 'ration'"),
        ("mae_lib.trainig.masks", "mae_lib has no 'trainig'"),
        ("mae_lib.theory.locate_shared_information(mask)", "no parameter 'mask'"),
        ("os.path", "no name of the library"),
    ],
)
def test_names_that_do_not_are_refused_with_what_is_wrong(name, what):
    with pytest.raises(ValueError, match=re.escape(what)):
        resolve(name)


def test_the_paper_map_is_whole():
    tables.check_map(tables.load(BOOK, "paper_map"), BOOK)


@pytest.mark.parametrize(
    "change, what",
    [
        ({"pages": {"A page": "experiments/3_9_nothing"}}, "'experiments/3_9_nothing', which does not exist"),
        ({"claims": ["no-such-claim"]}, "no-such-claim"),
        ({"code": ["mae_lib.theory.hierarchy.Nothing"]}, "has no 'Nothing'"),
        ({"pages": {}}, "has no page"),
        ({"result": {}}, "has no result"),
        ({"result": {"A result": "experiments/3_9_nothing#figure"}}, "'experiments/3_9_nothing#figure', which does"),
    ],
)
def test_a_map_that_names_what_is_not_there_is_refused(change, what):
    entries = tables.load(BOOK, "paper_map")
    entries[0] = entries[0] | change
    with pytest.raises(ValueError, match=what):
        tables.check_map(entries, BOOK)


def test_a_map_that_lacks_a_figure_or_has_one_twice_is_refused():
    entries = tables.load(BOOK, "paper_map")
    with pytest.raises(ValueError, match=r"lacks \[\('figure', '8'\)\]"):
        tables.check_map([entry for entry in entries if entry["title"] != "t-SNE embeddings"], BOOK)
    with pytest.raises(ValueError, match="twice"):
        tables.check_map([*entries, entries[0]], BOOK)


def test_status_links_to_the_verdict_that_was_drawn(page):
    found = tables.status(["figure-4", "shared-information-is-unique"], {page.name: page})
    assert "{page}`◐ <experiments/2_3_theorem_1#claim-figure-4>`" in found and "1 mixed, 1 not run (this build" in found
    assert found.count("{page}") == 1


@pytest.mark.parametrize("source", sorted(BOOK.glob("*.md")), ids=lambda path: path.stem)
def test_what_a_page_asks_for_can_be_made(source, page):
    assert "<!-- made:" not in filled(source.read_text(), BOOK, {page.name: page})


def test_what_nothing_makes_is_refused():
    with pytest.raises(ValueError, match="nothing makes 'poem'"):
        filled("text\n<!-- made: poem -->\n", BOOK, {})


# Executed notebooks


def test_a_run_and_its_verdicts_are_read_back(page):
    assert page.record["parameters"] == PARAMETERS and page.verdicts == {"figure-4": "mixed"}


def test_a_figure_says_where_it_comes_from(page):
    soup = BeautifulSoup("".join(drawn(page)), "html.parser")
    assert [part["id"] for part in soup.select(".mae-shown:has(> figure)")] == ["drawing-1", "a-figure"]
    first, second = soup.select(".mae-origin")
    assert first.find("a", class_="mae-data")["download"] == "2_3_theorem_1-figure-1.csv"
    assert not second.select(".mae-data")
    for origin in (first, second):
        assert origin.pre.code.text == reproduce_command(PARAMETERS, "2_3_theorem_1")
        facts = dict(zip((dt.text for dt in origin.select("dt")), (dd.text for dd in origin.select("dd"))))
        assert facts["Parameters"].startswith("smoke preset, but seeds = [3]; the page's own: note = ")
        assert "<b>" in origin.select_one("dd details").text and "mask_ratios" not in facts["Parameters"]
        assert facts["Seeds"] == "3" and page.record["code_hash"] in facts["Code"] and "41.0 s" in facts["Time"]


def test_below_a_title_stands_how_long_the_page_took(page):
    annotate(page.book, page)
    title, _, line, *_, text = page.book.cells[0].source.split("\n")
    assert (title, text) == ("# A title", "text") and "Runs on a CPU in 41.0 s" in line and "mixed" in line


def test_an_answer_stands_below_the_title_whether_it_is_written_or_worked_out(page):
    display = nbformat.v4.new_output("display_data", {"text/markdown": f"{ANSWER} 42."})
    shown = nbformat.v4.new_output("display_data", {"text/markdown": "No answer."})
    worked = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("(a)=\n# A title\n\nText."), nbformat.v4.new_code_cell("answer()")]
    )
    worked.cells[1].outputs = [shown, display]
    written = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell(f"(a)=\n# A title\n\nText.\n\n{ANSWER} In two\nlines.")]
    )
    for book, said in ((worked, "42."), (written, "In two\nlines.")):
        annotate(book, page)
        before, after = book.cells[0].source.split(f"{ANSWER} {said}")
        assert before.startswith("(a)=\n# A title\n\n<p class") and after.strip() == "Text."
    assert worked.cells[1].outputs == [shown]


def test_the_figure_of_an_answer_stands_below_it_and_its_cell_links_there(page):
    cell = page.book.cells[1]
    cell.metadata["tags"] = ["answer"]
    figures = [one for one in cell.outputs if FIGURE in one.data]
    figures[0].data[FIGURE]["name"] = "shown"
    annotate(page.book, page)
    opening = BeautifulSoup(page.book.cells[0].source, "html.parser")
    assert [one["id"] for one in opening.select(".mae-shown")] == ["shown"] and "\n\n<div" in page.book.cells[0].source
    assert "\n\n" not in str(opening.select_one(".mae-shown"))
    first, second = (BeautifulSoup(one.data["text/html"], "html.parser") for one in figures)
    assert first.a["href"] == "#shown" and not first.select(".mae-shown") and second.select(".mae-shown")


def test_all_published_results_stand_folded_in_the_verdict_box(only_tiny):
    results.cache_clear()
    some = [one.id for one in load_claims().values() if one.paper_table == "table_2"][:2]
    page = fake_page("3_4_shape_bias", list(map(own, some)), [{}])
    parts = [BeautifulSoup(html, "html.parser") for html in drawn(page)]
    results.cache_clear()
    for part, claim in zip(parts, some):
        found = [by[claim].words for by in results().values() if claim in by]
        said = part.select("details.mae-elsewhere:not([open]) > div > .mae-title span")
        assert [one.text for one in said] == found and found[0] == results()[PAPER][claim].words
        assert f"({len(found)})" in part.select_one(".mae-elsewhere > summary").text
        assert "ours" in part.select_one(".mae-own").text
    results.cache_clear()


def test_the_buttons_of_linked_masks_stand_above_the_first_figure():
    page = fake_page("2_3_theorem_1", [], [{"name": "a-figure"}])
    buttons = f"{CONTROLS}<legend>Follow a mask</legend></fieldset>"
    cell = page.book.cells[1]
    cell.outputs.append(nbformat.v4.new_output("display_data", {"text/html": buttons}))
    cell.metadata.tags = ["answer"]
    annotate(page.book, page)
    top = page.book.cells[0].source
    assert 0 < top.index(buttons) < top.index("<figure") and not any(buttons in str(one) for one in cell.outputs)


def test_what_is_contradicted_stands_below_the_answer_by_name(page):
    both = fake_page(
        "2_3_theorem_1", [Verdict("figure-4", "contradicted", "ours"), own("theorem-2-needs-an-injective-decoder")]
    )
    annotate(both.book, both)
    line = BeautifulSoup(both.book.cells[0].source, "html.parser").select_one(".mae-against")
    assert [(a["href"], a.text) for a in line.select("a")] == [("#claim-figure-4", "figure 4")]
    annotate(page.book, page)  # mixed
    assert "mae-against" not in page.book.cells[0].source


def test_a_page_of_section_3_without_other_results_says_so(only_tiny):
    results.cache_clear()
    alone = box(own("figure-4").as_json(), fake_page("2_3_theorem_1", [own("figure-4")]))
    assert "mae-elsewhere" not in alone and "mae-strongest" not in alone
    for name, before in (("2_3_theorem_1", ""), ("3_6_suggestions", ALONE)):
        assert drawn(fake_page(name, [own("figure-4")], [{}]))[0] == before + alone
    results.cache_clear()


def test_a_verdict_of_a_named_run_is_a_line_that_unfolds_and_shows_the_strongest_once(only_tiny):
    results.cache_clear()
    claim = next(one for one in results()["tiny"].values() if one.verdict.verdict not in ("not run", "mixed")).verdict
    lines = [
        BeautifulSoup(box(one.as_json() | {"run": "a run"}, fake_page("3_3_separability", [one])), "html.parser")
        for one in (claim, own(claim.claim))
    ]
    results.cache_clear()
    for line, heads in zip(lines, (0, 1)):
        assert line.details["id"] == f"claim-{claim.claim}" and claim.verdict in line.summary.text
        assert "a run" in line.select_one(".mae-verdict .mae-own").text and len(line.select(".mae-strongest")) == heads


def test_suggestions_are_shown_as_far_as_they_have_come(only_tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    folder = tmp_path / "suggestions"
    folder.mkdir()
    rows = [(w, s, m, 0.1 * w + 0.01 * s, 9) for w in (0, 1, 2) for s in (0, 1, 2) for m in METRICS]
    (folder / "boundary.csv").write_bytes(csv_of(COLUMNS, rows))
    record = {"parameters": {"preset": "laptop"}, "seeds": [0, 1, 2], "wall_seconds": None}
    (folder / "boundary.json").write_text(json.dumps(record))
    results.cache_clear()
    (page,) = drawn(fake_page("3_6_suggestions", [own("boundary-left-out-raises-the-level")]))
    (masks,) = drawn(fake_page("3_6_suggestions", [own("structure-masks-raise-the-level")]))
    results.cache_clear()
    part = BeautifulSoup(page, "html.parser").select_one(".mae-verdict .mae-elsewhere")
    assert "laptop, 3 seeds, not finished" in part.text and "over 3 seeds" in part.text
    assert masks.startswith(ALONE)  # nothing of it is there yet
    fake_suggestions(folder)
    (folder / "boundary.json").write_text(json.dumps(record))
    words = {claim: one.words for claim, one in results()["suggestions"].items()}
    results.cache_clear()
    assert words["boundary-left-out-raises-the-level"] == "laptop, 2 seeds, not finished"
    assert words["structure-masks-raise-the-level"] == "smoke, 2 seeds"


# Source beside prose


@pytest.mark.parametrize(
    "module", ["mae_lib.training.masks", "mae_lib.training.engine", "mae_lib.theory.shared_information"]
)
def test_beside_prose_stands_all_of_the_code_and_nothing_else(module):
    source = inspect.getsource(resolve(module))
    shown = "\n".join(re.findall(r"```python\n(.*?)\n```", beside(module), re.DOTALL))
    documented = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    wanted = []
    for node in documented:
        doc = {line for part in ast.walk(node) if _docstring(part) for line in _lines(_docstring(part))}
        start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        lines = source.splitlines()
        wanted += [lines[n - 1].strip() for n in range(start, node.end_lineno + 1) if n not in doc]
    code = [line for line in wanted if line and not line.startswith("# ")]
    assert [line.strip() for line in shown.splitlines() if line.strip()] == code


def _docstring(node: ast.AST) -> ast.Expr | None:
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node):
        return node.body[0]
    return None


def _lines(node: ast.Expr) -> range:
    return range(node.lineno, node.end_lineno + 1)


def test_a_docstring_keeps_its_list_and_its_code_and_has_arrows():
    said = "Two:\n\n* `a -> b`, c -> d;\n* 2 * 3_4.\n\nmany: names.\nother: one.\n\n    x -> y * z"
    shown = "Two:\n\n* `a -> b`, c → d;\n* 2 \\* 3\\_4.\n\nmany: names.\n\nother: one.\n\n    x -> y * z"
    assert prose(said) == shown


def test_beside_refuses_what_is_not_defined():
    with pytest.raises(ValueError, match="defines no \\['algorithm_3'\\]"):
        beside("mae_lib.theory.shared_information", "algorithm_3")


# Links, cards, archive, repository


def test_links_that_lead_nowhere_are_named(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.html").write_text(
        '<p id="here"><a href="#here"></a><a href="deep/b.html#no"></a><a href="c.html"></a>'
    )
    (tmp_path / "deep" / "b.html").write_text('<a href="../a.html#here"></a><a href="https://example.org/x"></a>')
    assert broken_links(tmp_path) == ["a.html: deep/b.html#no", "a.html: c.html"]


def test_a_page_carries_the_cards_of_its_links_and_no_second_id(tmp_path):
    claim = '<p>Title</p><div><p id="x">A <a href="#">claim</a>.</p></div>'
    statement = f'<div class="proof theorem" id="theorem-1">{claim}</div>'
    meaning = "<dd><p>Lowest &amp; last.</p></dd>"
    term = f'<dl class="glossary"><dt id="term-sink">sink<a class="headerlink">#</a></dt>{meaning}</dl>'
    (tmp_path / "b.html").write_text(f"<body>{statement}<p>after</p>{term}</body>")
    links = '<a href="b.html#theorem-1">1</a><a href="b.html#term-sink">s</a><a href="b.html">b</a>'
    (tmp_path / "a.html").write_text(f"<body>{links}</body>")
    embed_cards(tmp_path)
    held = re.search(r'<template id="mae-cards">(.*)</template>', (tmp_path / "a.html").read_text())[1]
    soup = BeautifulSoup(held, "html.parser")
    cards = {part["data-for"]: part for part in soup.select("[data-for]")}
    assert set(cards) == {"b.html#theorem-1", "b.html#term-sink"}
    assert cards["b.html#theorem-1"].text == "TitleA claim." and "Lowest & last." in cards["b.html#term-sink"].text
    assert not soup.select("[id], a")


def test_the_same_book_is_the_same_archive(tmp_path):
    pages = tmp_path / "html"
    (pages / "deep").mkdir(parents=True)
    for name in ("index.html", "deep/b.html"):
        (pages / name).write_text(name)
    first = archive(pages, tmp_path / "book.zip").read_bytes()
    (pages / "index.html").touch()
    assert archive(pages, tmp_path / "book.zip").read_bytes() == first
    assert zipfile.ZipFile(tmp_path / "book.zip").namelist() == ["book/deep/b.html", "book/index.html"]
    with pytest.raises(ValueError, match="holds no book"):
        archive(tmp_path / "none", tmp_path / "none.zip")


def test_notebooks_open_where_the_repository_says(monkeypatch):
    monkeypatch.setenv("MAE_LIB_REPOSITORY", "https://github.com/someone/some-book.git")
    found = repository.launch_addresses("3_4_shape_bias")
    assert found["Colab"].endswith("/github/someone/some-book/blob/launch/3_4_shape_bias.ipynb")
    assert found["Binder"].startswith("https://mybinder.org/v2/gh/someone/some-book/main?labpath=notebooks/3_4")
    monkeypatch.setenv("MAE_LIB_REPOSITORY", "git@elsewhere:x")
    with pytest.raises(ValueError, match="not of the form"):
        repository.repository()


def test_without_a_repository_there_are_no_buttons_and_the_status_says_so(monkeypatch, tmp_path):
    monkeypatch.delenv("MAE_LIB_REPOSITORY", raising=False)
    if repository.repository() is None:
        assert repository.launch_links("x") == "" and "no launch buttons" in tables.hosted()
        assert repository.report_link("index", None) == ""
        with pytest.raises(ValueError, match="no repository is named"):
            repository.write_launch(tmp_path / "launch")


def test_a_launched_notebook_installs_the_package_on_colab_and_nowhere_else(monkeypatch, tmp_path):
    monkeypatch.setenv("MAE_LIB_REPOSITORY", "https://github.com/someone/book")
    folder = repository.write_launch(tmp_path / "launch")
    originals = notebooks()
    assert {path.name for path in folder.iterdir()} == {path.name for path in originals}
    first, *others = read(folder / originals[0].name).cells
    assert [cell.source for cell in others] == [cell.source for cell in read(originals[0]).cells]
    ran = []
    monkeypatch.setattr("subprocess.run", lambda command, check: ran.append(command))
    exec(first.source, {})
    assert not ran
    monkeypatch.setitem(sys.modules, "google.colab", ast)
    exec(first.source, {})
    package, _, commit = ran[0][-1].rpartition("@")
    assert package == "mae_lib[notebooks] @ git+https://github.com/someone/book" and re.fullmatch(
        "[0-9a-f]{40}", commit
    )


def test_a_report_says_which_page_of_which_run(monkeypatch, page):
    monkeypatch.setenv("MAE_LIB_REPOSITORY", "https://github.com/someone/book")
    link = BeautifulSoup(repository.report_link("experiments/2_3_theorem_1", page.record), "html.parser").a["href"]
    there, said = link.split("?")
    body = parse_qs(said)["body"][0]
    assert there == "https://github.com/someone/book/issues/new"
    assert "2_3_theorem_1" in body and "Preset: smoke" in body and page.record["code_hash"] in body


# The map of chapters, citations


def test_the_map_of_chapters_is_what_the_boxes_say():
    graph = chapter_graph(BOOK.parent)
    assert set(graph) == {path.stem for path in notebooks()}
    assert {("2_3_theorem_1", "2_3_mask_levels"), ("2_3_mask_levels", "2_3_learned_levels")} <= set(graph.edges)
    at = places(graph)
    assert len(set(at.values())) == len(graph) and all(at[needed][0] < at[name][0] for needed, name in graph.edges)
    drawn = BeautifulSoup(chapter_map(BOOK, {}), "html.parser")
    assert len(set(nx.get_node_attributes(graph, "title").values())) == len(graph)
    assert [part["href"] for part in drawn.select("a")] == [f"experiments/{name}.html" for name in graph]


@pytest.mark.parametrize(
    "needs, message", [("{doc}`x <nothing>`", "'nothing', which is no chapter"), ("{doc}`x <a>`", "need each other")]
)
def test_a_box_that_needs_what_is_no_chapter_is_refused(tmp_path, needs, message):
    (tmp_path / "notebooks").mkdir()
    for name, text in (("a", needs.replace("<a>", "<b>")), ("b", "{doc}`x <a>`")):
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"# {name}\n\n**You need** {text}.")])
        nbformat.write(book, tmp_path / "notebooks" / f"{name}.ipynb")
    with pytest.raises(ValueError, match=message):
        chapter_graph(tmp_path)


def test_both_citations_are_bibtex(tmp_path):
    import yaml
    from pybtex.database import parse_string

    cited = yaml.safe_load((BOOK.parent / "CITATION.cff").read_text())
    text = "\n".join(re.findall(r"```bibtex\n(.*?)```", citation(BOOK, {}), re.DOTALL))
    book, paper = parse_string(text, "bibtex").entries.values()
    first, *others = paper.persons["author"]
    assert first.last_names == ["Kong"] and len(others) == 6
    assert str(book.persons["author"][0]) == "{The mae_lib authors}" and book.fields["version"] == cited["version"]


def test_only_a_page_that_trains_nothing_waits_for_models():
    taking = "from mae_lib.studies.series import Series"
    assert fake_page("a", code=taking).trained and not fake_page("a", code=f"{taking}\nseries.train()").trained
