"""Source beside prose: the book's code is the library's, shown as it stands."""

import inspect
import textwrap
from collections.abc import Callable

from IPython.display import Markdown, display


def show_source(*objects: Callable) -> None:
    """Display the source of functions or classes as Python, each under the module that it stands in."""
    for thing in objects:
        code = textwrap.dedent(inspect.getsource(thing)).rstrip()
        display(Markdown(f"*`{thing.__module__}`*\n\n```python\n{code}\n```"))
