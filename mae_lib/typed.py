"""Settings that come from a YAML file, checked against the types of a dataclass's fields before they are used."""

import math
from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

_WORDS = {int: "a whole number", float: "a finite number", bool: "true or false", str: "text", NoneType: "null"}


def typed_fields(instance: Any, prefix: str = "") -> None:
    """Convert each field of a frozen dataclass to its type. Raises ValueError, naming the field with `prefix`, where
    that fails."""
    for name, kind in hints(type(instance)).items():
        object.__setattr__(instance, name, typed(f"{prefix}{name}", getattr(instance, name), kind))


def hints(kind: type) -> dict[str, Any]:
    """The types of a dataclass's fields, by name."""
    known = get_type_hints(kind)
    return {entry.name: known[entry.name] for entry in fields(kind)}


def typed(name: str, value: Any, kind: Any) -> Any:
    """The value as `kind`: a list passes as a tuple, a whole number as a float, and so does 1e-3, which YAML reads as
    text. Raises ValueError, which states the type expected."""
    try:
        return _as(value, kind)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} is {value!r:.80}: it must be {_words(kind)}") from None


def _as(value: Any, kind: Any) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        fitting = [part for part in parts if _fits(value, part)]
        if not fitting:
            raise TypeError
        return _as(value, fitting[0])
    if origin is tuple and isinstance(value, list | tuple):
        each = [parts[0]] * len(value) if parts[-1] is Ellipsis else parts
        return tuple(_as(part, one) for part, one in zip(value, each, strict=True))
    if origin is list and isinstance(value, list | tuple):
        return [_as(part, parts[0]) for part in value]
    if kind is float and not isinstance(value, bool) and math.isfinite(number := float(value)):
        return number
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind in (bool, str, NoneType) and isinstance(value, kind):
        return value
    if origin in (Mapping, dict) and isinstance(value, Mapping):
        return value
    if kind in _WORDS or origin in (tuple, list, Mapping, dict):
        raise TypeError
    return value  # of a type that no file contains


def _fits(value: Any, kind: Any) -> bool:
    try:
        _as(value, kind)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _words(kind: Any) -> str:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(_words(part) for part in parts)
    if origin is list or (origin is tuple and parts[-1] is Ellipsis):
        return f"a list, each {_words(parts[0])}"
    if origin is tuple:
        return f"a list of {len(parts)}, each {_words(parts[0])}"
    return _WORDS.get(kind, "a mapping")
