"""`{teaching} WHAT`: what the guide for instructors is made of, from one source with the instructor's notebooks.

`times` reads the run cards of the notebooks that this build executed, `points` the exercises, `troubles` and `lectures`
the files of `teaching/`.
"""

from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from maebook.teaching import guide
from maebook.teaching.answers import HELD_BACK
from maebook.teaching.exercises import chapters, exercises, read
from maebook.teaching.slides import lectures


def _lectures(app) -> str:
    lines = ["| lecture | minutes | slides |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {one.title} | {one.minutes} | {len(one.slides) + 1} |" for one in lectures())])


def _points(app) -> str:
    return guide.points({path.stem: exercises(read(path)) for path in chapters()})


def _troubles(app) -> str:
    return guide.troubles(path.stem for path in chapters()) if app.config.mae_answers else HELD_BACK


WHAT = {
    "times": lambda app: guide.times({path.stem: read(path) for path in chapters()}, Path(app.srcdir) / "experiments"),
    "points": _points,
    "troubles": _troubles,
    "lectures": _lectures,
}


class Teaching(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        if (what := self.arguments[0]) not in WHAT:
            raise self.error(f"there is no {what!r}: choose among {', '.join(WHAT)}")
        self.env.note_reread()  # notebooks may have changed
        try:
            text = WHAT[what](self.env.app)
        except ValueError as error:  # of the teaching files, or of an exercise
            raise self.error(str(error)) from None
        box = nodes.container()
        self.state.nested_parse(StringList(text.split("\n"), "teaching"), self.content_offset, box)
        for table in box.findall(nodes.table):
            table["classes"] += ["mae-rows", "mae-numbers"]  # a phone shows each row as a block
        return box.children


def setup(app):
    app.setup_extension("maebook.teaching.answers")
    app.add_directive("teaching", Teaching)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
