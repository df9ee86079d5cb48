"""numpy and networkx, imported when something of theirs is asked for.

A browser has neither. What Theorem 1 says of one mask needs neither, so it runs there.
"""

import importlib
from typing import Any


class Later:
    """A module by its name; ModuleNotFoundError names it where it is asked for and missing."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)
