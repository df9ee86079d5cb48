"""Addresses: a hash of a result's settings and of declared code versions, never of the bytes of files.

A version is an integer declared next to the code that computes the numbers. Whoever changes those numbers raises it;
tests compare golden results with it, so that it cannot be forgotten. Changes that affect no number (a docstring, a
moved file, a new setting at its default) change no address.
"""

import hashlib
import json
from dataclasses import MISSING, fields, is_dataclass
from typing import Any


def address(*what: Any, digits: int = 10) -> str:
    """The first `digits` hexadecimal digits of a hash of JSON-able values; a dataclass is hashed by its `settings`."""
    text = json.dumps(what, sort_keys=True, default=settings)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def settings(config: Any, without: str | None = None) -> dict[str, Any]:
    """The fields of a dataclass that differ from their defaults, so that a new field with a default changes nothing.

    `without` names a field to leave out. Raises TypeError for anything but a dataclass.
    """
    if not is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"{config!r} has no address: give a dataclass or what JSON can hold")
    return {
        entry.name: getattr(config, entry.name)
        for entry in fields(config)
        if entry.name != without and _is_set(config, entry)
    }


def _is_set(config: Any, entry: Any) -> bool:
    default = entry.default_factory() if entry.default_factory is not MISSING else entry.default
    return default is MISSING or getattr(config, entry.name) != default
