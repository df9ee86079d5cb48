"""numpy and networkx, imported when first used.

A browser has neither. Theorem 1 for one mask needs neither, so it runs there.
"""

import importlib
from typing import Any


class Later:
    """A module by its name; if it is missing, its first use raises ModuleNotFoundError."""

    def __init__(self, name: str):
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)
