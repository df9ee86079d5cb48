"""Names of the library that prose gives, checked to exist: a rename breaks the build, not the reader's trust."""

import importlib
import inspect
import re
from dataclasses import fields, is_dataclass
from typing import Any

_NAME = re.compile(r"(mae_lib|maebook)(\.\w+)+(\(\w+\))?")


def resolve(name: str) -> Any:
    """What "mae_lib.training.masks.MaskSampler.ratio" names; "(masked)" at its end names a parameter of a function.

    Raises ValueError for a name that does not exist, with the part that could still be found.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of the library: write mae_lib.room.module.thing")
    path, _, parameter = name.rstrip(")").partition("(")
    found, steps = _module(path)
    for step in steps:
        if is_dataclass(found) and step in {field.name for field in fields(found)}:
            return found  # a field without a default is no attribute of its class
        if not hasattr(found, step):
            raise ValueError(f"{name} does not exist: {_called(found)} has no {step!r}")
        found = getattr(found, step)
    if parameter and parameter not in inspect.signature(found).parameters:
        raise ValueError(f"{name} does not exist: {path} has no parameter {parameter!r}")
    return found


def _module(path: str) -> tuple[Any, list[str]]:
    """The innermost module on a dotted path, and the steps that are left."""
    steps = path.split(".")
    for end in range(len(steps), 0, -1):
        try:
            return importlib.import_module(".".join(steps[:end])), steps[end:]
        except ModuleNotFoundError:
            continue
    raise ValueError(f"{path} does not exist")


def _called(thing: Any) -> str:
    return getattr(thing, "__qualname__", None) or thing.__name__
