"""Five packages in miniature, drawn here: five concepts by all eight hands, laid out as the real packages are."""

import io
import json
import tarfile
from pathlib import Path

from PIL import Image

from mae_lib.worlds.drawing_builder import PACKAGES, TABLE, build
from mae_lib.worlds.drawing_pack import pack_folder

CONCEPTS = {  # hexcode: name, group, subgroup, an SVG path
    "1F31E": ("sun", "travel-places", "sky", "M20 20h32v32h-32z"),
    "2602": ("umbrella", "objects", "clothing", "M36 10L62 60H10z"),
    "1F426": ("bird", "animals", "bird", "M8 30h56v12h-56z"),
    "1F438": ("frog face", "animals", "amphibian", "M30 8h12v56h-12z"),
    "1F9D9": ("o’man", "people", "fantasy", "M10 10h20v52h-20zM42 10h20v52h-20z"),
}
COLOURS = ("#d03020", "#000000", "#2050d0", "#20a040", "#c0a020", "#a020c0", "#20c0c0", "#101010")


def svg(path: str, colour: str) -> bytes:
    text = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 72"><path fill="{colour}" d="{path}"/></svg>'
    return text.encode()


def raster(number: int, colour: str, kind: str) -> bytes:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste(colour, (10, 10 + 4 * number, 54, 30 + 4 * number))
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"lossless": True} if kind == "WEBP" else {}))
    return buffer.getvalue()


def stem(hand: str, hexcode: str, name: str) -> str:
    if hand.startswith("openmoji"):
        return hexcode
    if hand in ("twemoji", "noto", "fluent-3d"):
        return hexcode.lower() + ("-fe0f" if hand != "twemoji" and hexcode == "2602" else "")
    return {"frog face": "frog-face", "o’man": "oman-default"}.get(name, name)


def write_packages(folder: Path, version: str = "0.0.1", without: tuple[str, str] | None = None) -> Path:
    """Unpacked packages in `folder`; `without` is a (hand, name) that is left out."""
    table = ["emoji,hexcode,group,subgroups,annotation,skintone"]
    table += [f"x,{code},{group},{sub},{name},," for code, (name, group, sub, _) in CONCEPTS.items()]
    table += ["x,1F438-1F3FB,animals,amphibian,frog face: light,1", "x,E000,extras-openmoji,brand,brand,"]
    files = {"openmoji": {"data/openmoji.csv": "\n".join(table).encode()}}
    for number, hand in enumerate(TABLE):
        for k, (code, (name, _, _, path)) in enumerate(CONCEPTS.items()):
            if without == (hand.name, name):
                continue
            kind = {".png": "PNG", ".webp": "WEBP"}.get(hand.ending)
            payload = raster(k, COLOURS[number], kind) if kind else svg(path, COLOURS[number])
            files.setdefault(hand.package, {})[hand.folder + stem(hand.name, code, name) + hand.ending] = payload
    for package, inside in files.items():
        about = {"name": package, "version": version, "license": PACKAGES[package][1]}
        for path, payload in (inside | {"package.json": json.dumps(about).encode()}).items():
            target = folder / package.replace("/", "-") / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(payload)
    return folder


def tarballs(folder: Path, out: Path) -> list[Path]:
    """The packages of `folder` as npm packs them."""
    out.mkdir(parents=True, exist_ok=True)
    made = []
    for package in sorted(folder.iterdir()):
        made.append(out / f"{package.name}-0.0.1.tgz")
        with tarfile.open(made[-1], "w:gz") as tar:
            tar.add(package, "package")
    return made


def use_small_pack(monkeypatch, folder: Path) -> Path:
    """Build a pack of 24 pixels in `folder` and let the world find it there."""
    monkeypatch.setenv("MAE_LIB_DRAWINGS", str(folder / "pack"))
    build(pack_folder(), [write_packages(folder / "packages")], side=24, progress=False)
    return pack_folder()
