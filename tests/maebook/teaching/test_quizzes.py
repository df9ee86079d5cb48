"""Quizzes: what is missing is named, right numbers are computed, and a browser marks them, odd characters too."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from mae_lib.claims.claims import paper_table
from mae_lib.presets import load_preset, series
from mae_lib.theory import LatentHierarchy
from mae_lib.training.masks import MaskSampler
from mae_lib.worlds.figurine_grammar import parts_of
from maebook.pdf import FOR_PRINT
from maebook.teaching.exercises import chapters
from maebook.teaching.guide import GuideError
from maebook.teaching.quizzes import load_quiz, quiz_pages

ROOT = Path(__file__).resolve().parents[3]
NAMES = {"math": math, "torch": torch, "load_preset": load_preset, "series": series}


def best_in_all_columns(ratio: float) -> int:
    """In how many of the paper's tables by ratio this one leads in every column."""
    tables = [paper_table(name, "ratio") for name in ("table_1", "table_2", "table_3")]
    leads = [table.loc[table.groupby("metric")["value"].idxmax(), "ratio"] for table in tables]
    return sum((best == ratio).all() for best in leads)


NAMES |= {
    "best_in_all_columns": best_in_all_columns,
    "LatentHierarchy": LatentHierarchy,
    "MaskSampler": MaskSampler,
    "parts_of": parts_of,
}

ONE = {
    "ask": "Is `a < b` & \"c\" 'd'?",
    "kind": "one",
    "answers": [
        {"say": "`\"x\" < <b>y</b>` & 'z'", "right": True, "because": 'Because `</div>` & $a < b$ "so".'},
        {"say": "<script>alert(1)</script>", "because": "No \\ no."},
    ],
}
SEVERAL = {
    "ask": "Which?",
    "kind": "several",
    "answers": [
        {"say": "this", "right": True, "because": "Yes, this."},
        {"say": "that", "right": True, "because": "Yes, that."},
        {"say": "neither", "because": "Not so."},
    ],
}
NUMBER = {
    "ask": "How *much* is $\\frac{1}{2}$?",
    "kind": "number",
    "tolerance": 0.01,
    "answers": [{"value": 0.5, "right": True, "because": "Half."}, {"value": 2, "because": "Turned over."}],
    "otherwise": "Divide.",
}


def test_each_chapter_has_a_quiz_of_three_to_six_questions_of_more_than_one_kind():
    assert set(quiz_pages()) == {path.stem for path in chapters()}
    for page in quiz_pages():
        questions = load_quiz(page)
        assert 3 <= len(questions) <= 6 and len({question.kind for question in questions}) > 1


@pytest.mark.parametrize("page", quiz_pages())
def test_right_numbers_are_computed_not_believed(page):
    numbers = [question for question in load_quiz(page) if question.kind == "number"]
    assert all(question.check for question in numbers)
    for question in numbers:
        value = eval(question.check, dict(NAMES))
        assert math.isclose(value, question.right[0].value, abs_tol=question.tolerance + 1e-9), question.ask
        wrong = [a.value for a in question.answers if not a.right]
        assert all(abs(value - other) > 2 * question.tolerance for other in wrong)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"ask": "What?"}, "question 1: a question has"),
        (ONE | {"kind": "many"}, "'many' is none of one, several, number"),
        (ONE | {"answers": ONE["answers"][1:]}, "0 answers are right"),
        (ONE | {"answers": SEVERAL["answers"]}, "2 answers are right; of kind one it takes one"),
        (ONE | {"answers": ONE["answers"][:1]}, "two answers or more"),
        (ONE | {"answers": [{"say": "x", "right": True}]}, "has `say`, `because`"),
        (ONE | {"answers": [{"say": "x", "right": "yes", "because": "y"}]}, "true or absent, not 'yes'"),
        (ONE | {"ask": {"Is it": "so"}}, "text with a colon needs quotes"),
        (NUMBER | {"answers": [{"value": "half", "right": True, "because": "y"}]}, "'half' is no number"),
        ({k: v for k, v in NUMBER.items() if k != "otherwise"}, "`otherwise` should be text"),
    ],
)
def test_what_is_wrong_with_a_quiz_is_said(tmp_path, question, message):
    (tmp_path / "page.yml").write_text(yaml.safe_dump([question]))
    with pytest.raises(GuideError, match=message):
        load_quiz("page", tmp_path)


def test_a_file_that_is_no_quiz_is_named(tmp_path):
    (tmp_path / "page.yml").write_text("- ask: a: b")
    (tmp_path / "empty.yml").write_text("")
    for page, message in (("page", "is not YAML"), ("empty", "is not a list"), ("none", "does not exist")):
        with pytest.raises(GuideError, match=message):
            load_quiz(page, tmp_path)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory) -> Path:
    """A page of the experiments with the quiz above, as Sphinx renders it with the book's extension and script."""
    folder = tmp_path_factory.mktemp("quiz")
    for part in ("experiments", "teaching/quizzes", "_static"):
        (folder / part).mkdir(parents=True)
    for name in ("quiz.js", "quiz.css"):
        shutil.copy(ROOT / "book" / "_static" / name, folder / "_static")
    (folder / "teaching" / "quizzes" / "page_1.yml").write_text(yaml.safe_dump([ONE, SEVERAL, NUMBER]))
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Page\n\nText.\n\n## Exercises\n\nOne."}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "experiments" / "page_1.ipynb").write_text(json.dumps(notebook))
    (folder / "index.md").write_text("# Index\n\n```{toctree}\nexperiments/page_1\n```\n")
    (folder / "conf.py").write_text(
        "extensions = ['myst_nb', 'maebook.teaching.quiz']\nnb_execution_mode = 'off'\n"
        "myst_enable_extensions = ['dollarmath']\n"
        "html_static_path = ['_static']\nhtml_js_files = ['quiz.js']\nhtml_css_files = ['quiz.css']\n"
        "mathjax_path = 'none.js'\nhtml_theme = 'basic'\n"
    )
    command = [sys.executable, "-m", "sphinx", "-n", "-W", "-q", "-b", "html", str(folder), str(folder / "html")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return folder / "html" / "experiments" / "page_1.html"


@pytest.fixture
def tab(rendered, browser, request):
    context = browser.new_context(java_script_enabled=getattr(request, "param", True))
    tab = context.new_page()
    tab.errors = []
    tab.on("pageerror", lambda error: tab.errors.append(str(error)))
    tab.goto(rendered.as_uri())
    yield tab
    context.close()


def said(tab, number: int) -> str:
    return tab.inner_text(f"#quiz-page-1-{number} .mae-said")


def test_the_quiz_stands_before_the_exercises_and_odd_characters_are_text(tab):
    titles = [text.rstrip("¶") for text in tab.locator("h2").all_inner_texts()]
    assert titles == ["Check yourself", "Exercises"]
    first = tab.locator("#quiz-page-1-1")
    assert "Is a < b & " in first.locator("legend").inner_text()
    labels = first.locator("label").all_inner_texts()
    assert labels[0].startswith('"x" < <b>y</b> & ') and "<script>" in labels[1]
    assert not tab.errors


def test_choices_are_marked_and_each_answer_has_its_word(tab):
    tab.click("#quiz-page-1-1 button")
    assert said(tab, 1) == "Choose an answer first."
    tab.check("#quiz-page-1-1-1")
    tab.click("#quiz-page-1-1 button")
    assert said(tab, 1).startswith("✗ Not so.") and "No \\ no." in said(tab, 1)
    tab.check("#quiz-page-1-1-0")
    assert said(tab, 1) == ""  # an old verdict does not stand beside a new choice
    tab.click("#quiz-page-1-1 button")
    assert said(tab, 1).startswith("✓ Right.") and "</div>" in said(tab, 1)
    tab.check("#quiz-page-1-2-0")
    tab.click("#quiz-page-1-2 button")
    assert "1 more holds" in said(tab, 2) and "Yes, this." in said(tab, 2)
    tab.check("#quiz-page-1-2-1")
    tab.check("#quiz-page-1-2-2")
    tab.click("#quiz-page-1-2 button")
    assert "1 of your choices does not hold" in said(tab, 2)
    tab.uncheck("#quiz-page-1-2-2")
    tab.click("#quiz-page-1-2 button")
    assert said(tab, 2).startswith("✓ Right.")
    assert tab.inner_text(".mae-score") == "2 of 3 right." and not tab.errors


@pytest.mark.parametrize(
    ("typed", "word"),
    [
        ("0.5", "Half."),
        ("0,505", "Half."),
        (" 2 ", "Turned over."),
        ("7", "Divide."),
        ("half", "Give a number"),
        ("", "Give"),
    ],
)
def test_numbers_are_marked_from_the_keyboard_alone(tab, typed, word):
    tab.focus("#quiz-page-1-3-0")
    tab.keyboard.type(typed)
    tab.keyboard.press("Enter")
    assert word in said(tab, 3)
    assert said(tab, 3).startswith("✓") == (word == "Half.")


def test_a_choice_can_be_made_and_checked_from_the_keyboard(tab):
    tab.focus("#quiz-page-1-1-1")
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.tagName") == "BUTTON"
    tab.keyboard.press("Space")
    assert said(tab, 1).startswith("✓ Right.")
    assert tab.locator("#quiz-page-1-1 fieldset > legend").count() == 1
    assert tab.get_attribute("#quiz-page-1-1 .mae-said", "aria-live") == "polite"


def test_on_paper_the_answers_stand_open(tab):
    answers = tab.locator("details.mae-answer")
    assert not answers.locator("visible=true").count()
    tab.evaluate("window.MathJax = {startup: {}}")  # this page has none
    tab.evaluate(FOR_PRINT)
    tab.emulate_media(media="print")
    assert all(answer.is_visible() for answer in answers.locator("li").all())
    assert "✓ right:" in answers.first.inner_text()


@pytest.mark.parametrize("tab", [False], indirect=True)
def test_without_scripts_the_answers_stand_folded_beneath(tab):
    answers = tab.locator("details.mae-answer")
    assert answers.count() == 3 and tab.locator(".mae-quiz button:visible").count() == 0
    answers.first.locator("summary").click()
    assert "✓ right:" in answers.first.inner_text() and "Because" in answers.first.inner_text()
