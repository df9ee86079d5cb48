"""`{quiz} PAGE`: the questions of `teaching/quizzes/PAGE.yml`, marked in the reader's browser by `_static/quiz.js`.

A page of the experiments that has a quiz gets it before its exercises, with no word of it in the notebook. Without
scripts the answers stand folded beneath each question. A book that holds its answers back has the questions alone.
"""

import json
import re
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from maebook.teaching.guide import GuideError
from maebook.teaching.quizzes import Answer, Question, load_quiz

_BEFORE = "## Exercises"
_VERBATIM = re.compile(r"((?:`+[^`]*`+)|(?:\$[^$]+\$))")  # code and math


def _raw(html: str) -> nodes.raw:
    return nodes.raw("", html, format="html")


class Quiz(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        page = self.arguments[0]
        path = _quizzes(self.env.app) / f"{page}.yml"
        self.env.note_dependency(str(path))
        try:
            questions = load_quiz(page, path.parent)
        except GuideError as error:
            raise self.error(str(error)) from None
        box = nodes.container(classes=["mae-quizzes"])
        for number, question in enumerate(questions, 1):
            box += self._question(question, f"quiz-{page.replace('_', '-')}-{number}", f"{number} of {len(questions)}")
        if self.config.mae_answers:
            box += _raw('<p class="mae-score" role="status" aria-live="polite"></p>')
        return [box]

    def _text(self, text: str) -> list[nodes.Node]:
        """Inline Markdown as nodes; what looks like HTML is text."""
        parts = _VERBATIM.split(" ".join(text.split()))
        parts[::2] = [re.sub(r"[<&]", r"\\\g<0>", part) for part in parts[::2]]
        found, problems = self.state.inline_text("".join(parts), self.lineno)
        return [nodes.inline("", "", *found), *problems]  # a link has to stand in text

    def _question(self, question: Question, name: str, place: str) -> list[nodes.Node]:
        several = " Choose all that hold." if question.kind == "several" else ""
        marked = f'form class="mae-quiz" data-kind="{question.kind}" data-tolerance="{question.tolerance:g}" novalidate'
        opening = marked if self.config.mae_answers else 'div class="mae-quiz"'
        parts = [
            _raw(f'<{opening} id="{name}"><fieldset><legend>'),
            _raw(f'<span class="mae-place">{place}</span> '),
            *self._text(question.ask),
            _raw(f"{several}</legend>"),
        ]
        parts += self._number(question, name) if question.kind == "number" else self._choices(question, name)
        if not self.config.mae_answers:
            return [*parts, _raw("</fieldset></div>")]
        parts += [
            _raw('<button type="submit" hidden>Check</button>'),
            _raw('<div class="mae-said" role="status" aria-live="polite"></div>'),
            *self._folded(question),
            _raw("</fieldset></form>"),
        ]
        return parts

    def _choices(self, question: Question, name: str) -> list[nodes.Node]:
        kind, parts = "radio" if question.kind == "one" else "checkbox", []
        for at, answer in enumerate(question.answers):
            # A label that is a formula alone has no words of its own.
            alone = re.fullmatch(r"\$([^$]+)\$", answer.say.strip())
            spoken = f' aria-label="{escape(alone[1])}"' if alone else ""
            right = f' data-right="{int(answer.right)}"' if self.config.mae_answers else ""
            about = f'value="{at}"{right}{spoken}'
            box = f'<input type="{kind}" name="{name}" id="{name}-{at}" {about}>'
            parts += [
                _raw(f'<div class="mae-choice">{box}<label for="{name}-{at}">'),
                *self._text(answer.say),
                _raw("</label>"),
                *self._because(answer),
                _raw("</div>"),
            ]
        return parts

    def _number(self, question: Question, name: str) -> list[nodes.Node]:
        parts = [
            _raw(
                f'<div class="mae-choice"><label for="{name}-0">Your number</label> '
                f'<input type="text" inputmode="decimal" autocomplete="off" name="{name}" id="{name}-0"></div>'
            )
        ]
        for answer in [*question.answers, Answer("", False, question.otherwise)]:
            parts += self._because(answer)
        return parts

    def _because(self, answer: Answer) -> list[nodes.Node]:
        """What is said to whoever gives this answer; shown by the script."""
        if not self.config.mae_answers:
            return []
        value = "" if answer.value is None else f' data-value="{escape(repr(answer.value))}"'
        return [
            _raw(f'<div class="mae-because" data-right="{int(answer.right)}"{value} hidden>'),
            *self._text(answer.because),
            _raw("</div>"),
        ]

    def _folded(self, question: Question) -> list[nodes.Node]:
        parts = [_raw('<details class="mae-answer"><summary>Answer</summary><ul>')]
        for answer in question.answers:
            mark = "✓ right: " if answer.right else "✗ "
            parts += [
                _raw(f"<li>{mark}"),
                *self._text(answer.say),
                _raw(" "),
                *self._text(answer.because),
                _raw("</li>"),
            ]
        return [*parts, _raw("</ul></details>")]


def _quizzes(app) -> Path:
    return Path(app.srcdir) / "teaching" / "quizzes"


def _insert(app, name: str, content: list[str]) -> None:
    """The quiz of an experiment's page, before its exercises."""
    folder, _, page = name.rpartition("/")
    if folder != "experiments" or not (_quizzes(app) / f"{page}.yml").is_file():
        return
    book = json.loads(content[0])
    for cell in book["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and f"\n{_BEFORE}\n" in f"\n{source}\n":
            before, _, after = f"\n{source}\n".partition(f"\n{_BEFORE}\n")
            cell["source"] = (
                f"{before.strip()}\n\n## Check yourself\n\n```{{quiz}} {page}\n```\n\n{_BEFORE}\n{after}".strip()
            )
            content[0] = json.dumps(book)
            return
    raise ExtensionError(f"{name} has a quiz and no section {_BEFORE!r} that it could stand before")


def setup(app):
    app.setup_extension("maebook.teaching.answers")
    app.add_directive("quiz", Quiz)
    app.connect("source-read", _insert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
