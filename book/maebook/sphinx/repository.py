"""Where the book's source is hosted, and the addresses that open a notebook there.

The one place that knows it is `repository-code` in CITATION.cff; a build on a hosting service may name it instead in
`$MAE_LIB_REPOSITORY`. Without either no page has launch buttons, nor a link to report a problem.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import nbformat
import yaml

from mae_lib.folders import checkout
from maebook.teaching import answers
from maebook.teaching.exercises import notebooks, read

_GITHUB = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?$")


def repository() -> str | None:
    """The repository's address, None where none is set. Raises ValueError for one that is not on GitHub."""
    root = checkout()
    cited = yaml.safe_load((root / "CITATION.cff").read_text()).get("repository-code") if root else None
    address = os.environ.get("MAE_LIB_REPOSITORY") or cited
    if address and not _GITHUB.match(address):
        raise ValueError(f"repository {address!r} is not of the form https://github.com/OWNER/NAME")
    return address


def site() -> str | None:
    """Where the workflow puts the book: the repository's pages; None without a repository."""
    if not (address := repository()):
        return None
    owner, name = _GITHUB.match(address).groups()
    return f"https://{owner.lower()}.github.io/{name}/"


LAUNCH = "launch"  # the branch of notebooks that install the book's package where it is missing


def launch_addresses(notebook: str, branch: str = "main") -> dict[str, str]:
    """Service -> address that opens `notebook` there; empty without a repository.

    Binder makes the environment of `binder/` from `branch`. Colab has one of its own, so it opens a copy on the branch
    `launch`.
    """
    if not (address := repository()):
        return {}
    owner, name = _GITHUB.match(address).groups()
    file = f"notebooks/{notebook}.ipynb"
    return {
        "Binder": f"https://mybinder.org/v2/gh/{owner}/{name}/{branch}?labpath={file}",
        "Colab": f"https://colab.research.google.com/github/{owner}/{name}/blob/{LAUNCH}/{notebook}.ipynb",
    }


def launch_links(notebook: str) -> str:
    """The same as links of a page's head."""
    found = launch_addresses(notebook).items()
    return "".join(f'<a class="mae-chip mae-launch" href="{address}">Open in {name}</a>' for name, address in found)


_INSTALL = """# On Colab this installs the book's package; elsewhere it does nothing.
import subprocess
import sys

if "google.colab" in sys.modules:
    package = "mae_lib[notebooks] @ git+{address}@{commit}"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", package], check=True)"""


def _commit(root: Path) -> str:
    """What is checked out in `root`, so that a notebook of today meets today's package later too."""
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"{root} is no git checkout, whose commit the notebooks would install")
    return done.stdout.strip()


def write_launch(out: Path, root: Path | None = None) -> Path:
    """Write the notebooks of the branch `launch` into `out`, each behind a cell that installs the package.

    They are as they are, or without answers where the book in `root` is.

    Raises ValueError without a repository and a commit of it to install.
    """
    if not (address := repository()):
        raise ValueError("no repository is named: give `repository-code` in CITATION.cff or $MAE_LIB_REPOSITORY")
    install = _INSTALL.format(address=address, commit=_commit(checkout() or Path.cwd()))
    cell = nbformat.v4.new_code_cell(install, id="install", metadata={"tags": ["hide-input"]})
    cell.metadata["jupyter"] = {"source_hidden": True}
    cell.metadata["cellView"] = "form"  # Colab's word for the same
    out.mkdir(parents=True, exist_ok=True)
    for path in notebooks(root):
        book = read(path) if answers.shown(root or checkout()) else answers.without_answers(read(path))
        book.cells.insert(0, cell)
        nbformat.write(book, out / path.name)
    return out


def report_link(page: str, record: Mapping[str, Any] | None) -> str:
    """A link that opens a report on a page, with page, preset and code filled in; empty without a repository."""
    if not (address := repository()):
        return ""
    about = {"Page": page}
    if record:
        about |= {"Preset": record["parameters"]["preset"], "Code": record["code_hash"], "Device": record["device"]}
    body = "\n".join(f"{name}: {value}" for name, value in about.items()) + "\n\nWhat is wrong:\n"
    there = f"{address.removesuffix('/').removesuffix('.git')}/issues/new?{urlencode({'title': page, 'body': body})}"
    return f'<p class="mae-report"><a href="{escape(there)}">Report a problem with this page</a></p>'
