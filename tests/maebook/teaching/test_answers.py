"""A book that holds its answers back: not a word of them anywhere in what is published, and by default all of them."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from small_chapter import CHECK, PROSE, SOLUTION, chapter

from maebook.sphinx import repository
from maebook.teaching import answers
from maebook.teaching.editions import leaks
from maebook.teaching.exercises import CHECK as CHECKED
from maebook.teaching.exercises import notebooks, read, tags

# Words that stand in answers alone, each of another kind.
SECRET = {
    "prose": "zyzzyva",
    "code": "xylograph",
    "output": "quokka",
    "check": "wombat",
    "instructor": "vuvuzela",
    "appendix": "jackfruit",
    "because": "kumquat",
    "otherwise": "persimmon",
}
QUIZ = [
    {
        "ask": "Which?",
        "kind": "one",
        "answers": [
            {"say": "this", "right": True, "because": f"A {SECRET['because']}."},
            {"say": "that", "because": f"No {SECRET['because']}."},
        ],
    },
    {
        "ask": "How many?",
        "kind": "number",
        "tolerance": 0.25,
        "answers": [{"value": 4711, "right": True, "because": f"A {SECRET['because']}."}],
        "otherwise": f"A {SECRET['otherwise']}.",
    },
]
APPENDIX = f"""# Appendix

```{{exercise}} Why
:label: why
Why?
```

````{{solution}} why
{SECRET["appendix"]}
````

End.
"""


def secret_chapter() -> nbformat.NotebookNode:
    book = chapter(
        prose=PROSE.replace("more than an even number", SECRET["prose"]),
        solution=SOLUTION.replace("return start", f"xylograph = start  # {SECRET['code']}\n    return start"),
        check=CHECK.replace("is there a", f"{SECRET['check']}? is there a"),
    )
    for cell in book.cells:
        if "instructor" in tags(cell):
            cell.source += SECRET["instructor"]
        if "exercise-solution" in tags(cell):
            cell.outputs = [nbformat.v4.new_output("stream", text=SECRET["output"])]
    return book


def render(folder: Path, settings: str = "") -> Path:
    """A book of a chapter with a quiz and an appendix, rendered by the book's own extensions."""
    for part in ("experiments", "teaching/quizzes"):
        (folder / part).mkdir(parents=True)
    nbformat.write(secret_chapter(), folder / "experiments" / "page.ipynb")
    (folder / "teaching" / "quizzes" / "page.yml").write_text(yaml.safe_dump(QUIZ))
    (folder / "appendix.md").write_text(APPENDIX)
    (folder / "index.md").write_text("# Index\n\n```{toctree}\nexperiments/page\nappendix\n```\n")
    (folder / "conf.py").write_text(
        "extensions = ['myst_nb', 'sphinx_exercise', 'sphinx_proof', 'sphinx_book_theme', 'maebook.teaching.quiz']\n"
        f"nb_execution_mode = 'off'\nmyst_enable_extensions = ['dollarmath', 'amsmath']\nmathjax_path = 'none.js'\n"
        f"suppress_warnings = ['myst.xref_missing', 'ref.doc', 'ref.ref', 'ref.eq']\n"
        f"html_theme = 'sphinx_book_theme'\n{settings}"
    )
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(folder), str(folder / "html")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder / "html"


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[bool, Path]:
    """The book with its answers and without them."""
    made = tmp_path_factory.mktemp("answers")
    return {True: render(made / "all"), False: render(made / "held", "mae_answers = False\n")}


def holding(folder: Path, text: str) -> set[str]:
    """The published files that hold a text, as it stands or as a search index cuts it."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.parent.name != ".doctrees"]
    return {str(path.relative_to(folder)) for path in files if text.encode() in path.read_bytes()}


@pytest.mark.parametrize("kind", SECRET)
def test_no_file_holds_a_word_of_an_answer(pages, kind):
    assert holding(pages[False], SECRET[kind]) == set()


def test_by_default_the_answers_are_there(pages):
    hidden = {"instructor"}  # not rendered, ever
    assert all(
        any(name.endswith(".html") for name in holding(pages[True], SECRET[kind])) for kind in {*SECRET} - hidden
    )
    assert "searchindex.js" in holding(pages[True], SECRET["prose"])
    assert "_sources/experiments/page.ipynb" in {name.removesuffix(".txt") for name in holding(pages[True], "quokka")}


def test_what_is_asked_stays_and_what_is_right_is_not_said(pages):
    page = BeautifulSoup((pages[False] / "experiments" / "page.html").read_text(), "html.parser")
    text = page.get_text(" ")
    for asked in ("Code: the sum", "this part is yours to write", "Which?", "How many?", "Take-away"):
        assert asked in text
    quiz = page.select_one(".mae-quizzes")
    assert len(quiz.select("input")) == 3 and not quiz.select("form, button, details, .mae-because, .mae-score")
    assert not {"data-right", "data-value", "data-tolerance"} & {name for tag in quiz.find_all() for name in tag.attrs}
    assert "4711" not in str(quiz)
    assert "End." in (pages[False] / "appendix.html").read_text()
    source = next((pages[False] / "_sources" / "experiments").iterdir())
    nbformat.validate(nbformat.read(source, as_version=4))


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_no_notebook_of_the_book_gives_a_line_of_a_solution_away(path):
    book = read(path)
    held = answers.without_answers(book)
    assert leaks(book, held) == [] and not any(CHECKED in tags(cell) for cell in held.cells)
    assert "{solution}" not in nbformat.writes(held)
    if "## Exercises" in nbformat.writes(book):
        assert "## Exercises" in nbformat.writes(held)


def test_the_switch_is_in_the_books_config_and_holds_for_hosted_notebooks_too(tmp_path, monkeypatch):
    root = Path(__file__).resolve().parents[3]
    assert answers.shown(root)
    (tmp_path / "notebooks").mkdir()
    nbformat.write(secret_chapter(), tmp_path / "notebooks" / "page.ipynb")
    config = yaml.safe_load((root / "_config.yml").read_text())
    config["sphinx"]["config"]["mae_answers"] = False
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("MAE_LIB_REPOSITORY", "https://github.com/someone/book")
    written = (repository.write_launch(tmp_path / "launch", tmp_path) / "page.ipynb").read_text()
    assert not answers.shown(tmp_path) and not [word for word in SECRET.values() if word in written]
