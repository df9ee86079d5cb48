"""Quizzes: questions in YAML, each answer with what is to be said to whoever gives it.

A file `book/teaching/quizzes/PAGE.yml` is a list of questions of three kinds:

    - ask: Which latents are in c?              # Markdown, with math
      kind: one                                 # one answer is right; `several`: any number of them
      answers:
        - {say: The split ones., right: true, because: So says Algorithm 1.}
        - {say: All of them., because: Those above a sink follow from it.}
    - ask: How many patches are visible?
      kind: number
      answers:
        - {value: 49, right: true, because: A quarter of 196.}
        - {value: 147, because: These are the hidden ones.}
      otherwise: Multiply 196 by the share that is not hidden.
      check: int(196 * (1 - 0.75))              # Python: must give the right value; the tests see to that

`book/maebook/teaching/quiz.py` puts them on the pages.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from maebook.teaching.guide import GuideError, teaching_folder

KINDS = ("one", "several", "number")
_OF_QUESTION = {"ask", "kind", "answers", "otherwise", "check", "tolerance"}


@dataclass(frozen=True)
class Answer:
    """A possible answer: what it says (or its value), whether it is right, and what is said to whoever gives it."""

    say: str
    right: bool
    because: str
    value: float | None = None


@dataclass(frozen=True)
class Question:
    """One question. `tolerance`: how far a number may lie from the right one. `check`: Python that gives it."""

    ask: str
    kind: str
    answers: tuple[Answer, ...]
    otherwise: str = ""
    tolerance: float = 0.0
    check: str | None = None

    @cached_property
    def right(self) -> tuple[Answer, ...]:
        return tuple(answer for answer in self.answers if answer.right)


def _text(entry: Mapping[str, Any], name: str, where: str) -> str:
    text = entry.get(name)
    if not isinstance(text, str) or not text.strip():
        raise GuideError(f"{where}: `{name}` should be text, and is {text!r}; text with a colon needs quotes in YAML")
    return text.strip()


def _answer(entry: Any, kind: str, where: str) -> Answer:
    said = "value" if kind == "number" else "say"
    if not isinstance(entry, dict) or not {said, "because"} <= set(entry) <= {said, "because", "right"}:
        raise GuideError(
            f"{where}: an answer of kind {kind} has `{said}`, `because` and perhaps `right`, not {entry!r}"
        )
    right, because = entry.get("right", False), _text(entry, "because", where)
    if not isinstance(right, bool):
        raise GuideError(f"{where}: `right` is true or absent, not {right!r}")
    if kind != "number":
        return Answer(_text(entry, "say", where), right, because)
    if isinstance(entry["value"], bool) or not isinstance(entry["value"], int | float):
        raise GuideError(f"{where}: {entry['value']!r} is no number")
    return Answer(f"{entry['value']:g}", right, because, float(entry["value"]))


def _question(entry: Any, where: str) -> Question:
    if not isinstance(entry, dict) or not {"ask", "kind", "answers"} <= set(entry) <= _OF_QUESTION:
        raise GuideError(
            f"{where}: a question has `ask`, `kind` and `answers`; it may have `otherwise`, `check`, `tolerance`"
        )
    kind = entry["kind"]
    if kind not in KINDS:
        raise GuideError(f"{where}: kind {kind!r} is none of {', '.join(KINDS)}")
    answers = tuple(_answer(answer, kind, where) for answer in entry["answers"])
    right, said = sum(answer.right for answer in answers), [answer.say for answer in answers]
    if right < 1 or (kind != "several" and right > 1):
        raise GuideError(
            f"{where}: {right} answers are right; of kind {kind} it takes {'one' if kind != 'several' else 'some'}"
        )
    if len(set(said)) < len(said) or (kind != "number" and len(said) < 2):
        raise GuideError(f"{where}: it takes two answers or more, no two alike")
    otherwise = _text(entry, "otherwise", where) if kind == "number" else ""
    return Question(
        _text(entry, "ask", where), kind, answers, otherwise, float(entry.get("tolerance", 0.0)), entry.get("check")
    )


def load_quiz(page: str, folder: Path | None = None) -> list[Question]:
    """The questions of a page. Raises GuideError, naming file and question, for what is missing or of a wrong kind."""
    path = (folder or teaching_folder() / "quizzes") / f"{page}.yml"
    if not path.is_file():
        raise GuideError(f"{path} does not exist")
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise GuideError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(entries, list) or not entries:
        raise GuideError(f"{path} is not a list of questions")
    return [_question(entry, f"{path.name}, question {number}") for number, entry in enumerate(entries, 1)]


def quiz_pages(folder: Path | None = None) -> list[str]:
    """The pages that have a quiz."""
    return sorted(path.stem for path in (folder or teaching_folder() / "quizzes").glob("*.yml"))
