"""Live cells: programs of `book/live/` that a page's reader changes and runs, in the browser, with no server behind.

Python is Pyodide's core, 13 MB as a browser takes it in, loaded when Run is pressed for the first time. It comes from
npm when the book is rendered and is served with the pages; where npm or the network is missing, a page shows the cell
with what it gives, and says why it does not run.
"""

import hashlib
import io
import shutil
import subprocess
import sys
import tarfile
import zipfile
from html import escape
from pathlib import Path

from mae_lib.folders import runs_folder
from mae_lib.sources import source_files
from maebook.explorer.live import run
from maebook.explorer.page import STYLE
from maebook.figures import PALETTE

VERSION = "314.0.7"
_SHA256 = "66b7949e5a0cba2250b586d7e368bf12fb482800748d182c4618254b685ffaa0"  # of what npm packs
PARTS = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json", "package.json")
LIBRARY = "mae_lib.zip"
_PLACES = {"2_3_theorem_1": "## Is it true? Brute force over all sets of latents"}  # page -> heading that comes after
_EPOCH = (1980, 1, 1, 0, 0, 0)
_NOTICE = f"""Pyodide {VERSION}, https://github.com/pyodide/pyodide, under the Mozilla Public License 2.0.
Its source is there, under the tag {VERSION}. It holds CPython and its standard library, under the PSF licence.
"""


def place(page: str) -> str | None:
    """The heading that a page's cell stands before; None for a page without one."""
    return _PLACES.get(page)


def pyodide() -> Path | None:
    """A folder with Pyodide's core, fetched by npm the first time; None where it cannot be fetched."""
    folder = runs_folder() / f"pyodide-{VERSION}"
    if not all((folder / part).is_file() for part in PARTS):
        packed = _fetched(folder)
        if packed is None:
            return None
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            for part in PARTS:
                (folder / part).write_bytes(archive.extractfile(f"package/{part}").read())
    return folder


def _fetched(folder: Path) -> bytes | None:
    """The package as npm packs it. Raises ValueError for other bytes than those of the pinned version."""
    npm = shutil.which("npm") or shutil.which("npm", path=str(Path(sys.executable).parent))
    if npm is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    command = [npm, "pack", f"pyodide@{VERSION}", "--silent", "--fetch-retries=0", "--fetch-timeout=60000"]
    try:
        subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=180)
    except (subprocess.SubprocessError, OSError):
        return None
    tarball = folder / f"pyodide-{VERSION}.tgz"
    packed = tarball.read_bytes()
    tarball.unlink()
    if hashlib.sha256(packed).hexdigest() != _SHA256:
        raise ValueError(f"pyodide {VERSION} as npm gives it is not what the book was written for: its hash differs")
    return packed


def install(folder: Path, source: Path) -> None:
    """Put Pyodide from `source`, the library's plain Python and the worker into the pages' `_static`, `folder`."""
    (folder / "pyodide").mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        shutil.copyfile(source / part, folder / "pyodide" / part)
    (folder / "pyodide" / "NOTICE.txt").write_text(_NOTICE, encoding="utf-8")
    (folder / "pyodide" / LIBRARY).write_bytes(library())


def library() -> bytes:
    """What a cell imports of both packages, as a zip file: the same bytes for the same source."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file in source_files("maebook.explorer.live"):
            root = next(folder for folder in file.parents if not (folder / "__init__.py").is_file())
            entry = zipfile.ZipInfo(file.relative_to(root).as_posix(), _EPOCH)
            archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def cell(page: str, code: str, folder: Path | None) -> str:
    """A cell as HTML, with what it gives when it is run as it stands; `folder` holds Pyodide, None where it is not."""
    code = code.strip() + "\n"
    colours = ";".join(f"--x-{name}:{colour}" for name, colour in zip(("c", "m", "mc"), PALETTE))
    size = sum((folder / part).stat().st_size for part in PARTS) / 1e6 if folder else 0
    ready = f'data-megabytes="{size:.0f}"' if folder else ""
    name = f"live-{page.replace('_', '-')}"
    return (
        f'<div class="mae-live" style="{colours}" {ready}><style>{STYLE.replace("mae-explorer", ".mae-live")}</style>'
        f'<label for="{name}">Python</label>'
        f'<textarea id="{name}" rows="{code.count(chr(10)) + 1}" spellcheck="false" autocapitalize="off" '
        f'autocomplete="off" readonly>{escape(code)}</textarea>'
        f'<div class="bar"><button type="button" hidden>Run</button>'
        f'<span role="status" aria-live="polite">{_reason(folder)}</span></div>'
        f'<div class="shown" role="region" aria-label="Output of the cell">{run(code)}</div>'
        f"{_about() if folder else ''}</div>"
    )


def _reason(folder: Path | None) -> str:
    if folder:
        return "It runs if scripts are enabled."
    return "Live cells are not included in this build, which had no npm or no network. Below is the cell's output."


def _about() -> str:
    return (
        '<p class="about">Control and Enter also run it. Nothing leaves your machine: Python runs in this page, by '
        f'<a class="reference external" href="https://github.com/pyodide/pyodide/tree/{VERSION}">Pyodide {VERSION}</a> '
        "(MPL 2.0), with the book's own library.</p>"
    )
