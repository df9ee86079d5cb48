"""What an exercise must have is asked for by name; a stub fails its check and says why; a solution passes."""

import pytest
from small_chapter import CHECK, CODED, PROSE, SOLUTION, chapter

from maebook.teaching.directives import Directive, pieces
from maebook.teaching.execution import _names, attempt, needed_cells, prepared
from maebook.teaching.exercises import (
    STUB,
    ContractError,
    apart,
    exercises,
    page_problems,
    problems,
    replaced,
    solution_of,
)


def test_directives_nest_and_text_is_kept_whole():
    parts = list(pieces(PROSE))
    assert [p if isinstance(p, str) else p.name for p in parts] == ["## Exercises", "exercise", "solution"]
    assert parts[1].options == {"label": "small-why"} and parts[1].argument == "Recall: why"
    assert '```python\nprint("and' in parts[2].body
    assert "\n\n".join(p if isinstance(p, str) else p.text for p in parts) == PROSE.strip("\n")


def test_a_plain_fence_is_text_and_what_looks_like_a_directive_in_it_too():
    text = "before\n````md\n```{exercise} no\n```\n````\nafter"
    assert list(pieces(text)) == [text]
    inside = next(
        p for p in pieces(":::{prf:theorem} T\n:label: t\n```{note}\nx\n```\n:::") if isinstance(p, Directive)
    )
    assert inside.body == "```{note}\nx\n```"


def test_a_fence_that_does_not_close_is_named():
    with pytest.raises(ValueError, match=r"```\{exercise\} Open"):
        list(pieces("```{exercise} Open\ntext\n``"))


def test_the_exercises_of_a_chapter():
    prose, coded = exercises(chapter())
    assert (prose.label, prose.coded, prose.points, prose.title) == ("small-why", False, 1, "Recall: why")
    assert (coded.label, coded.coded, coded.points, coded.statement) == ("small-sum", True, 2, "Write `total`.")
    assert coded.solution == SOLUTION and coded.check == CHECK


def test_taken_apart_nothing_is_lost():
    book = chapter()
    assert "".join("".join(c.source.split()) for c in apart(book)) == "".join(
        "".join(c.source.split()) for c in book.cells
    )
    assert len({cell.id for cell in apart(book)}) == len(apart(book))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"solution": "def total(numbers):\n    return sum(numbers)"}, "BEGIN SOLUTION"),
        ({"solution": "def f():\n    ### BEGIN SOLUTION\n    ### END SOLUTION\n    return 1"}, "nothing between"),
        ({"solution": SOLUTION + "\n)"}, "not Python"),
        ({"check": "total([1])"}, "asserts nothing"),
        ({"check": "assert total([1]) == 1"}, "says nothing when it fails"),
        ({"coded": "Write `total`."}, "no exercise has that label"),
        ({"prose": PROSE.replace("````{solution} small-why", "````{solution} small-whi")}, "there is no solution"),
        ({"prose": PROSE.replace(":label: small-why", ":label: small-sum")}, "two exercises are labelled"),
        ({"prose": PROSE.replace("````\n", "```\n")}, "never closed"),
    ],
)
def test_a_broken_contract_is_named(changes, message):
    with pytest.raises(ContractError, match=message):
        exercises(chapter(**changes))


def test_points_must_be_given():
    book = chapter()
    book.cells[7].metadata["points"] = 0
    assert any("points" in line for line in problems(book))


def test_a_solution_and_its_check_stand_right_behind_their_exercise():
    book = chapter()
    book.cells[5], book.cells[6], book.cells[7] = book.cells[6], book.cells[7], book.cells[5]
    assert any("must follow its exercise" in line for line in problems(book))


def test_a_page_lacks_what_a_page_must_have():
    assert page_problems(chapter()) == []
    few = chapter()
    del few.cells[4]
    assert "there are 1 exercises, and should be 2 to 6" in page_problems(few)
    book = chapter()
    book.cells[0].source, book.cells[9].source = "# 0 · Bare", "The end."
    assert len([p for p in page_problems(book) if "lacks" in p or "take-away" in p]) == 4


def test_an_exercise_says_its_level_and_one_is_coded():
    bare = page_problems(chapter(prose=PROSE.replace("Recall: why", "Why")))
    assert any("small-why: the title should open with its level" in line for line in bare)
    wrong = page_problems(chapter(coded=CODED.replace("Code:", "Apply:")))
    assert any("small-sum: an exercise that a check marks is of the level Code" in line for line in wrong)
    book = chapter()
    del book.cells[5:8]
    assert "no exercise is in code with a check" in page_problems(book)


def test_what_is_the_students_to_write_and_what_stays():
    assert solution_of(SOLUTION).startswith("for number in numbers:\n    start = ")
    stub = replaced(SOLUTION)
    assert STUB in stub and "from `start`" in stub and "number * UNIT" not in stub
    twice = SOLUTION + "\n\n" + SOLUTION.replace("total", "again")
    assert replaced(twice).count(STUB) == 1 and replaced(twice).count("pass") == 1
    compile(replaced(twice), "stub", "exec")


def test_only_the_cells_that_an_exercise_needs_are_run():
    book = chapter()
    assert needed_cells(book, ["small-sum"]) == [3]  # cell 2 would fail, and cell 3 binds the same names later
    assert prepared(book, ["small-sum"])["UNIT"] == 1


def test_a_cell_that_changes_what_another_made_is_needed_too():
    book = chapter()
    book.cells[2].source, book.cells[3].source = "table = {}", 'table["unit"] = unit'
    changed = SOLUTION.replace("UNIT", 'table["unit"]')
    book.cells[6].source = changed
    assert needed_cells(book, ["small-sum"]) == [1, 2, 3]
    assert prepared(book, ["small-sum"], {"unit": 5, "other": 1})["table"] == {"unit": 5}


def test_the_solution_passes_and_whatever_else_fails_with_a_reason():
    book = chapter()
    prose, coded = exercises(book)
    space = prepared(book, ["small-sum"])
    assert attempt(book, coded, space).said == "passed"
    stub = attempt(book, coded, space, STUB)
    assert isinstance(stub.error, NotImplementedError) and "yours to write" in stub.said
    assert "is there a `return`" in attempt(book, coded, space, "return None").said
    assert attempt(book, coded, space, "return 4").said == "AssertionError: total([1, 2]) is 4, and should be 3"
    assert "total" not in space
    with pytest.raises(ContractError, match="prose"):
        attempt(book, prose, space)


@pytest.mark.parametrize(
    ("source", "wanted", "bound"),
    [
        ("for a in b:\n    c = a", {"b"}, {"a", "c"}),
        ("with open(p) as f:\n    f.read(q)", {"p", "q"}, {"f"}),
        ("x = x + 1", {"x"}, {"x"}),
        ("x += 1", {"x"}, {"x"}),
        ("def f(a, b=z):\n    c = a + y\n    return [c * i for i in w]", {"z", "y", "w"}, {"f"}),
        ("class A(B):\n    x: T = 1\n    def f(self):\n        return self.x + g", {"B", "T", "g"}, {"A"}),
        ("if t:\n    a = 1\nelse:\n    a = 2\nprint(a)", {"t"}, {"a"}),
        ("try:\n    a = 1\nexcept E:\n    a = d\nprint(a)", {"d"}, {"a"}),
        ("import a.b as c, d.e\nc(d)", set(), {"c", "d"}),
        ("s = {k: v for k, v in m.items()}", {"m"}, {"s"}),
        ("s = [{j for j in i} for i in m if i]", {"m"}, {"s"}),
    ],
)
def test_what_a_cell_wants_of_others_and_gives_to_them(source, wanted, bound):
    given, asked, _ = _names(source)
    assert (set(asked), set(given)) == (wanted, bound)
