"""The rendered book as one zip archive that opens from disk, the same bytes for the same pages."""

import os
import zipfile
from pathlib import Path

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold


def entry(name: str) -> zipfile.ZipInfo:
    """A file of an archive, of the same date and rights whenever and wherever it is packed."""
    info = zipfile.ZipInfo(name, _EPOCH)
    info.external_attr = 0o644 << 16
    return info


def archive(pages: Path, target: Path) -> Path:
    """Pack the folder `pages` into `target`, under the target's own name; returns `target`.

    Raises ValueError when there is no book to pack.
    """
    if not (pages / "index.html").is_file():
        raise ValueError(f"{pages} holds no book: run make book")
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    with zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in sorted(path for path in pages.rglob("*") if path.is_file()):
            name = f"{target.stem}/{file.relative_to(pages).as_posix()}"
            packed.writestr(entry(name), file.read_bytes(), zipfile.ZIP_DEFLATED)
    os.replace(aside, target)
    return target
