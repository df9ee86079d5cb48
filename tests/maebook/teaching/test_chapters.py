"""Every chapter says what it is for and has exercises that keep the contract; their checks can be trusted.

An exercise that needs cells which train or take long is tried by `python -m maebook editions --check`, which runs all.
"""

import re

import pytest

from maebook.teaching.check_exercises import trials
from maebook.teaching.execution import needed_cells
from maebook.teaching.exercises import (
    chapters,
    exercises,
    notebooks,
    page_problems,
    problems,
    read,
)
from maebook.teaching.guide import planned

CHAPTERS = {path.stem: read(path) for path in chapters()}


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_has_all_that_a_chapter_must_have(name):
    assert page_problems(CHAPTERS[name]) == []
    assert planned(CHAPTERS[name]), "the opening box says `N minutes to read and M for the exercises`"


def test_no_chapter_of_the_papers_sections_is_without_exercises():
    assert {path.stem for path in notebooks() if path.stem[0].isdigit()} <= set(CHAPTERS)


def light(book, label: str) -> bool:
    """Whether an exercise needs nothing but imports, parameters, functions and plain assignments."""
    cells = [book.cells[at].source for at in needed_cells(book, [label])]
    return not any(re.search(r"\b(Series|source_of|pretrain|train\w*|fit|linear_probe|read_probe)\(", c) for c in cells)


LIGHT = [
    (name, one.label)
    for name, book in CHAPTERS.items()
    if not problems(book)
    for one in exercises(book)
    if one.coded and light(book, one.label)
]


@pytest.mark.parametrize(("name", "label"), LIGHT)
def test_a_solution_passes_its_check_and_a_stub_fails_it_with_a_reason(name, label):
    (trial,) = trials(CHAPTERS[name], name, only=label)
    assert not trial.faults
