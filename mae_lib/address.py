"""Addresses: digits of what determines a result, by its settings and by declared versions, never by bytes of files.

A version is a whole number that stands beside the code whose numbers it names. Whoever changes those numbers raises it;
tests hold golden results against it, so that it cannot be forgotten. What changes no number, a docstring, a moved file,
a new setting at its default, changes no address.
"""

import hashlib
import json
from dataclasses import MISSING, fields, is_dataclass
from typing import Any


def address(*what: Any, digits: int = 10) -> str:
    """So many hexadecimal digits of some JSON-able values; a dataclass counts by `settings`."""
    text = json.dumps(what, sort_keys=True, default=settings)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def settings(config: Any, without: str | None = None) -> dict[str, Any]:
    """The fields of a dataclass that differ from their defaults, so that a new field with a default changes nothing.

    `without` names a field to leave out. Raises TypeError for anything else than a dataclass.
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
