"""The course for nbgrader, tried: its own converter makes the students' assignments, without a server."""

import logging
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from maebook.teaching.check_exercises import Trial
from maebook.teaching.editions import leaks, write_editions
from maebook.teaching.exercises import STUB, chapters, read


def released(course: Path, name: str) -> NotebookNode:
    """What `nbgrader generate_assignment` makes of an assignment of the folder `course`; raises as that does."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.preprocessors import SaveCells
    from traitlets.config.loader import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", str(course)).load_config()
    config.CourseDirectory.root, config.CourseDirectory.assignment_id = str(course), name
    config.GenerateAssignment.no_database = True
    converter = GenerateAssignment(coursedir=CourseDirectory(config=config), config=config)
    converter.preprocessors = [step for step in converter.preprocessors if step is not SaveCells]  # into the database
    converter.log.setLevel(logging.ERROR)
    converter.start()
    return read(course / "release" / name / f"{name}.ipynb")


def course_trials(only: str = "") -> Iterator[Trial]:
    """Each chapter's assignment, written and released: solutions must be gone, and a stub in the place of each."""
    with tempfile.TemporaryDirectory() as folder:
        write_editions(Path(folder), Path(folder) / "runs")
        course = Path(folder) / "course"
        for name, book in ((path.stem, read(path)) for path in chapters() if only in path.stem):
            started = time.perf_counter()
            try:
                found = tuple(faults(book, released(course, name)))
            except Exception as error:  # nbgrader's are many
                found = (f"nbgrader cannot release it: {type(error).__name__}: {error}",)
            yield Trial(name, "nbgrader", found, time.perf_counter() - started)


def faults(book: NotebookNode, made: NotebookNode) -> Iterator[str]:
    """What is wrong with the students' version of a chapter's assignment."""
    for line in leaks(book, made):
        yield f"it shows {line!r}, which belongs to a solution"
    graded = [cell.metadata.nbgrader for cell in made.cells if "nbgrader" in cell.metadata]
    stubs = sum(cell.source.count(STUB) for cell in made.cells)
    written = sum(about.solution and about.cell_type == "code" for about in graded)
    if stubs != written:
        yield f"{written} cells are to be written, and {stubs} hold a stub"
    if not any(about.grade for about in graded):
        yield "nothing of it is graded"
