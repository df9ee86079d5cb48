"""A chapter as small as can be, with one exercise in code and one in prose."""

import nbformat

OPENING = """(small-page)=
# 0 · A small chapter

```{admonition} Before you start
:class: tip
**You will** add.

**You need** {doc}`numbers <numbers>`.

**It takes** a minute.
```
"""

PROSE = """## Exercises

```{exercise} Recall: why
:label: small-why
Why is the sum of two odd numbers even? See {eq}`eq-sum`.
```

````{solution} small-why
:class: dropdown
Each is one more than an even number.

```python
print("and one and one are two")
```
````
"""
CODED = """```{exercise} Code: the sum
:label: small-sum
Write `total`.
```"""
SOLUTION = '''def total(numbers: list, start: float = 0) -> float:
    """The sum of `numbers`, from `start`."""
    ### BEGIN SOLUTION
    for number in numbers:
        start = start + number * UNIT
    return start
    ### END SOLUTION'''
CHECK = """got = total([1, 2])
assert got is not None, "total returns nothing: is there a `return`?"
assert got == 3, f"total([1, 2]) is {got}, and should be 3"
"""


def chapter(**changes: str) -> nbformat.NotebookNode:
    """The chapter, with other text in the place of `solution`, `check`, `prose` or `coded`."""
    text = {"solution": SOLUTION, "check": CHECK, "prose": PROSE, "coded": CODED} | changes
    new = nbformat.v4
    mark = {"exercise": "small-sum"}
    cells = [
        new.new_markdown_cell(OPENING),
        new.new_code_cell("unit: int = 2  # what one counts", metadata={"tags": ["parameters"]}),
        new.new_code_cell("import math\n\nUNIT = math.log10(10)\nelsewhere = explode()"),
        new.new_code_cell("import math\n\nUNIT = math.log10(10)"),
        new.new_markdown_cell(text["prose"]),
        new.new_markdown_cell(text["coded"]),
        new.new_code_cell(text["solution"], metadata={"tags": ["exercise-solution", "hide-input"], **mark}),
        new.new_code_cell(text["check"], metadata={"tags": ["exercise-check", "hide-input"], "points": 2, **mark}),
        new.new_markdown_cell("**Marking.** Be kind.", metadata={"tags": ["instructor", "remove-cell"]}),
        new.new_markdown_cell("```{admonition} Take-away\n:class: important\nOne and one.\n```"),
    ]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new.new_notebook(cells=cells, metadata={"kernelspec": kernel})
