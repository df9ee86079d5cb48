"""Render the book: executed notebooks and prose in, HTML out, with warnings as errors.

Pages are rendered aside and put in place when all of them are good, so a failing build leaves the last good book alone.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path


class BookError(RuntimeError):
    """The book did not build; the log says why."""


def _mirror(source: Path, target: Path) -> None:
    """Make the notebooks of `target` those of `source`."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.failed.ipynb", ".*"))


def _swap(new: Path, page: Path) -> None:
    """Put a copy of the folder `new` in the place of `page`."""
    fresh, old = page.with_name("html.new"), page.with_name("html.old")
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(new, fresh)
    if page.exists():
        os.replace(page, old)
    os.replace(fresh, page)
    shutil.rmtree(old, ignore_errors=True)


def render(root: Path, preset: str, runs: Path, builder: str = "html") -> Path:
    """Render the book in `root` aside, from the notebooks executed at `preset`; returns the folder of its pages.

    Raises BookError for a page that has not been executed, when Sphinx warns of anything, or a link leads nowhere.
    """
    executed = runs / "notebooks" / preset
    pages = re.findall(r"experiments/(\w+)", (root / "book" / "_toc.yml").read_text())
    if missing := [name for name in pages if not (executed / f"{name}.ipynb").is_file()]:
        raise BookError(
            f"{', '.join(missing)}: not executed at the preset {preset}; `make book PRESET={preset}` executes all, and "
            f"`python -m maebook execute notebooks/NAME.ipynb {executed}/NAME.ipynb --preset {preset}` one"
        )
    _mirror(executed, root / "book" / "experiments")
    aside = runs / ("book" if builder == "html" else f"book-{builder}")
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", "book"]
    chosen = ["custom", "--custom-builder", builder] if builder == "epub" else [builder]
    command += ["--config", "_config.yml", "--builder", *chosen]
    command += ["--path-output", str(aside), "-n", "-W", "--keep-going", "--quiet"]
    # All pages anew: Sphinx would keep pages that are gone, and the bibliography as it was before one citation more.
    shutil.rmtree(aside, ignore_errors=True)
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise BookError(f"the book did not build:\n{done.stdout}{done.stderr}")
    return aside / "_build" / builder


def build(root: Path, preset: str, runs: Path) -> Path:
    """Render the book in `root` and put it in place; returns its first page. Raises BookError as `render`."""
    pages = render(root, preset, runs)
    page = root / "book" / "_build" / "html"
    page.parent.mkdir(exist_ok=True)
    _swap(pages, page)
    return page / "index.html"
