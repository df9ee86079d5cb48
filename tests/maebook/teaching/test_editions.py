"""Three editions of one source: no solution leaks, what must stay stays, Sphinx is not needed, nbgrader takes it."""

import json
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import nbformat
import pytest
from small_chapter import PROSE, SOLUTION, chapter

from maebook.teaching import editions
from maebook.teaching.course import faults, released
from maebook.teaching.editions import EDITIONS, EditionError, assignment, edition, leaks, write_editions
from maebook.teaching.exercises import STUB, ContractError, apart, chapters, read, tags
from maebook.teaching.to_markdown import plain

CHAPTERS = {path.stem: read(path) for path in chapters()}
TITLES = {"numbers": "Numbers", **{name: f"Page {name}" for name in CHAPTERS}}


def texts(book) -> str:
    return "\n".join(cell.source for cell in book.cells)


@pytest.fixture(params=CHAPTERS)
def name(request):
    return request.param


def test_nothing_of_a_solution_is_in_the_students_edition_nor_in_its_metadata(name):
    """Judged without the library's own search: every line and every sentence that only solutions have."""
    book = CHAPTERS[name]
    shown = json.dumps(edition(book, name, "student", TITLES), ensure_ascii=False)
    secret, public = [], ""
    for cell in apart(book):
        if "exercise-solution" in tags(cell):
            inside = re.findall(r"### BEGIN SOLUTION.*?\n(.*?)### END SOLUTION", cell.source, re.S)
            secret += "\n".join(inside).split("\n")
            public += re.sub(r"### BEGIN SOLUTION.*?### END SOLUTION", "", cell.source, flags=re.S)
        elif "{solution}" in cell.source or "instructor" in tags(cell):
            secret += re.split(r"(?<=[.:;?!])\s+|\n", cell.source)
        else:
            public += cell.source
    secret = [s.strip() for s in secret if len(s.strip()) > 15 and s.strip() not in public]
    secret = [s for s in secret if not s.strip().startswith((":class:", "```", "{solution}"))]
    assert secret
    assert not [s for s in secret if json.dumps(s, ensure_ascii=False)[1:-1] in shown]


def test_what_a_student_needs_is_all_there(name):
    book, made = CHAPTERS[name], edition(CHAPTERS[name], name, "student", TITLES)
    checks = [c.source for c in book.cells if "exercise-check" in tags(c)]
    assert [c.source for c in made.cells if "exercise-check" in tags(c)] == checks
    assert texts(made).count(STUB) == len(checks)
    answers = [c for c in made.cells if "exercise-answer" in tags(c)]
    assert len(answers) == sum("{solution}" in c.source for c in apart(book))
    assert len({c.source for c in answers}) <= 1


@pytest.mark.parametrize("kind", EDITIONS)
def test_an_edition_opens_anywhere(name, kind):
    made = edition(CHAPTERS[name], name, kind, TITLES)
    nbformat.validate(made)
    assert len({cell.id for cell in made.cells}) == len(made.cells)
    prose = "\n".join(cell.source for cell in made.cells if cell.cell_type == "markdown")
    assert not re.search(r"^[`:]{3,}\{|\{(doc|ref|eq|cite|cite:t|prf:ref|numref)\}`|^\(\S+\)=$", prose, re.M)
    assert "environment" in made.cells[1].source and not any(cell.get("outputs") for cell in made.cells)
    for stem in re.findall(r"\]\(([\w./]+)\.ipynb\)", prose):
        assert stem in TITLES
    ids = [cell.metadata.nbgrader.grade_id for cell in made.cells if "nbgrader" in cell.metadata]
    assert len(ids) == len(set(ids)) and bool(ids) == (kind != "reader")


def test_the_three_differ_where_they_should():
    book = chapter()
    for_reader, for_student, for_instructor = (texts(edition(book, "small", kind)) for kind in EDITIONS)
    assert "<details>\n<summary><b>Solution</b>" in for_reader and "number * UNIT" in for_reader
    assert "Each is one more" in for_reader and "Be kind" not in for_reader
    assert "<details>" not in for_student and "Each is one more" not in for_student and "Be kind" not in for_student
    assert "> Each is one more" in for_instructor and "number * UNIT" in for_instructor and "Be kind" in for_instructor
    folded = [c for c in edition(book, "small", "reader").cells if "exercise-solution" in tags(c)]
    assert folded[0].metadata.jupyter.source_hidden


def test_the_instructors_edition_closes_with_times_misconceptions_and_marks():
    name = "2_3_theorem_1"
    run = {"wall_seconds": 12.5, "parameters": {"preset": "laptop"}, "device": "cpu: some"}
    last = edition(CHAPTERS[name], name, "instructor", TITLES, run).cells[-1].source
    assert "12.5 s" in last and "smallest cut" in last and "| marked by |" in last
    assert "has not been run here" in edition(CHAPTERS[name], name, "instructor", TITLES).cells[-1].source


def test_a_leak_is_found_wherever_it_hides():
    book = chapter()
    clean = edition(book, "small", "student")
    assert leaks(book, clean) == []
    line = "start = start + number * UNIT"
    for spoil in (
        lambda made: made.cells[3].metadata.update(hint=line),
        lambda made: made.cells[4].update(outputs=[nbformat.v4.new_output("stream", text=line)]),
        lambda made: made.metadata.update(note=line),
        lambda made: made.cells[0].update(source='Think: "Each is one more than an even number."'),
    ):
        made = nbformat.from_dict(json.loads(json.dumps(clean)))
        spoil(made)
        assert leaks(book, made)


def test_a_solution_that_stands_elsewhere_too_is_no_secret_and_quotes_do_not_hide_one():
    said_before = PROSE.replace("## Exercises", "Mind: `start = start + number * UNIT`")
    assert "number * UNIT" in texts(edition(chapter(prose=said_before), "small", "student"))
    said = SOLUTION.replace("return start", 'return "said \\"so\\"" + start')
    book = chapter(solution=said)
    made = edition(book, "small", "student")
    made.cells[0].source += '\nreturn "said \\"so\\"" + start'
    assert leaks(book, made)


def test_no_edition_is_written_when_a_solution_leaks_or_a_contract_breaks(monkeypatch, tmp_path):
    monkeypatch.setitem(editions._TURN, "student", editions._reader)
    with pytest.raises(EditionError, match="belongs to a solution"):
        edition(chapter(), "small", "student")
    with pytest.raises(EditionError, match="belongs to a solution"):
        write_editions(tmp_path / "out", tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ContractError, match="asserts nothing"):
        edition(chapter(check="total([1])"), "small", "reader")
    with pytest.raises(EditionError, match="'teacher': choose among reader, student, instructor"):
        edition(chapter(), "small", "teacher")


def test_written_twice_they_are_the_same_and_a_folder_of_ones_own_is_not_touched(tmp_path):
    def content() -> dict:
        return {p.relative_to(tmp_path): p.read_bytes() for p in sorted((tmp_path / "out").rglob("*")) if p.is_file()}

    folders = write_editions(tmp_path / "out", tmp_path / "runs")
    first = content()
    (tmp_path / "out" / "reader" / "mine.txt").write_text("lost")
    assert write_editions(tmp_path / "out", tmp_path / "runs") == folders and content() == first
    assert {p.parts[1] for p in first} == {*EDITIONS, "course"}
    (tmp_path / "out" / "student" / "README.md").unlink()
    with pytest.raises(EditionError, match="was not made by `make editions`"):
        write_editions(tmp_path / "out", tmp_path / "runs")


def test_markdown_without_sphinx():
    text = PROSE + "\n:::{prf:theorem} One {eq}`eq-sum`\n:label: t\n$$ a $$ (eq-sum)\n{cite}`he2022,kong2023`\n:::"
    shown = plain(text, {"numbers": "Numbers"})
    assert "**Exercise · Recall: why**" in shown and "<summary><b>Solution</b></summary>" in shown
    assert "> **Theorem · One (sum)**" in shown and "> $$ a \\tag{sum} $$" in shown
    assert "(He et al., 2022; Kong et al., 2023)" in shown
    assert plain("{cite:t}`vonkugelgen2021` and {cite:t}`gneiting2007`").startswith("von Kügelgen et al. (2021) and ")
    assert plain("{doc}`numbers <a/numbers>`, {doc}`a/numbers`, {doc}`B <../b>`", {"numbers": "N"}) == (
        "[numbers](numbers.ipynb), [N](numbers.ipynb), *B*"
    )
    assert plain("{math}`c` and `{math}`") == "$c$ and `{math}`"


def test_an_assignment_has_what_its_exercises_need_and_no_more():
    made = assignment(chapter(), "small", {})
    code = [cell for cell in made.cells if cell.cell_type == "code"]
    assert [cell.metadata.nbgrader.locked for cell in code] == [True, False, True]
    assert "explode" not in texts(made)


@pytest.mark.skipif(find_spec("nbgrader") is None, reason="nbgrader is not installed")
def test_nbgrader_releases_the_assignments_of_the_book(tmp_path, monkeypatch):
    names = ["2_3_theorem_1", "3_1_reconstruction"]  # `python -m maebook editions --check` does all
    monkeypatch.setattr(editions, "chapters", lambda root: [p for p in chapters() if p.stem in names])
    write_editions(tmp_path, tmp_path / "runs")
    for name in names:
        made = released(tmp_path / "course", name)
        assert not list(faults(CHAPTERS[name], made)) and texts(made).count(STUB) > 0
        made.cells[2].source += "\n" + leaks(CHAPTERS[name], CHAPTERS[name])[0]
        assert any("belongs to a solution" in fault for fault in faults(CHAPTERS[name], made))
    source = tmp_path / "course" / "source" / names[0] / f"{names[0]}.ipynb"
    broken = read(source)
    solution = next(c for c in broken.cells if "exercise-solution" in tags(c))
    broken.cells.append(nbformat.from_dict({**solution, "id": "twice"}))
    shutil.rmtree(tmp_path / "course" / "release")  # nbgrader leaves alone what it has released
    editions._write(source, broken)
    with pytest.raises(Exception, match="traceback"):  # nbgrader logs what it is
        released(tmp_path / "course", names[0])


@pytest.mark.filterwarnings("ignore:Object of type")
@pytest.mark.skipif(find_spec("nbgrader") is None, reason="nbgrader is not installed")
def test_nbgrader_generates_and_marks(tmp_path, monkeypatch):
    from nbgrader.apps import NbGraderAPI
    from traitlets.config.loader import PyFileConfigLoader

    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")  # nbgrader calls alembic by its name
    monkeypatch.setattr(editions, "chapters", lambda root: [])
    write_editions(tmp_path, tmp_path / "runs")  # the folder's configuration
    course, name = tmp_path / "course", "small"
    source = course / "source" / name / f"{name}.ipynb"
    editions._write(source, assignment(chapter(), name, {}))
    config = PyFileConfigLoader("nbgrader_config.py", str(course)).load_config()
    config.CourseDirectory.root = str(course)
    grader = NbGraderAPI(config=config)
    assert grader.generate_assignment(name)["success"]
    released = read(course / "release" / name / f"{name}.ipynb")
    assert "number * UNIT" not in texts(released) and "one more than" not in texts(released)
    assert STUB in texts(released) and "*Your answer goes here.*" in texts(released)

    for who, book in (("diligent", read(source)), ("idle", released)):
        editions._write(course / "submitted" / who / name / f"{name}.ipynb", book)
        assert grader.autograde(name, who)["success"]
    with grader.gradebook as book:
        marks = {
            who: {grade.name: grade.auto_score for grade in book.find_submission_notebook(name, name, who).grades}
            for who in ("diligent", "idle")
        }
    assert marks["diligent"]["small-sum-check"] == 2 and marks["idle"]["small-sum-check"] == 0
    assert set(marks["idle"]) == {"small-sum-check", "small-why-answer"}
