"""A published run as an RO-Crate (1.1): the content of its folder, its authors, software and licence.

The description is JSON-LD in `ro-crate-metadata.json`, built from the folder's files and CITATION.cff; the same folder
yields the same bytes.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from mae_lib.folders import checkout

FILE = "ro-crate-metadata.json"
_SPECIFICATION = "https://w3id.org/ro/crate/1.1"
_CONTEXT = [f"{_SPECIFICATION}/context", {"sha256": "https://schema.org/sha256"}]  # newer than that version
_LICENCE = {"@id": "https://spdx.org/licenses/MIT", "@type": "CreativeWork", "name": "MIT License"}
_FORMATS = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".yaml": "application/yaml",
    ".md": "text/markdown",
    ".npz": "application/zip",
    ".safetensors": "application/octet-stream",
}
Entity = dict[str, Any]


def write_crate(folder: Path) -> Path:
    """Describe a published folder in its `ro-crate-metadata.json`; returns that file.

    Raises ValueError for a folder without finished results, and if there is no CITATION.cff.
    """
    record, cited = _record(folder), _citation()
    authors = [_author(one) for one in cited["authors"]]
    paper = _paper(cited["preferred-citation"])
    files = [_file(path, folder) for path in sorted(folder.rglob("*")) if path.is_file() and path.name != FILE]
    software, action = _software(cited, record), _action(record, files)
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"{folder.name}: scores and encoders of masked autoencoders",
        "description": f"{_made(record)}. {' '.join(cited['abstract'].split())}",
        "datePublished": record["finished"],
        "license": _ref(_LICENCE),
        "author": [_ref(one) for one in authors],
        "citation": _ref(paper),
        "hasPart": [_ref(one) for one in files],
        "mentions": _ref(action),
    }
    about = {"@id": FILE, "@type": "CreativeWork", "about": {"@id": "./"}, "conformsTo": {"@id": _SPECIFICATION}}
    people = [_author(one) for one in cited["preferred-citation"]["authors"]]
    graph = [about, root, *files, action, software, _LICENCE, *authors, paper, *people]
    target = folder / FILE
    text = json.dumps({"@context": _CONTEXT, "@graph": graph}, indent=1, ensure_ascii=False)
    target.write_text(f"{text}\n", encoding="utf-8")
    return target


def _ref(entity: Mapping[str, Any]) -> Entity:
    return {"@id": entity["@id"]}


def _made(record: Mapping[str, Any]) -> str:
    seeds = ", ".join(map(str, record["seeds"]))
    return f"Preset {record['parameters']['preset']}, seeds {seeds}, made on {record['device']}"


def _record(folder: Path) -> Entity:
    path = folder / "provenance.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if not record.get("finished"):
        raise ValueError(f"{folder} holds no finished results: python -m mae_lib series writes them")
    return record


def _citation() -> Entity:
    if not (root := checkout()):
        raise ValueError("no CITATION.cff is here, which names the authors: run this from the repository")
    return yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))


def _author(one: Mapping[str, str]) -> Entity:
    if "family-names" not in one:
        return {"@id": f"#{_slug(one['name'])}", "@type": "Organization", "name": one["name"]}
    name = f"{one['given-names']} {one['family-names']}"
    names = {"givenName": one["given-names"], "familyName": one["family-names"]}
    return {"@id": f"#{_slug(name)}", "@type": "Person", "name": name} | names


def _slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def _paper(paper: Mapping[str, Any]) -> Entity:
    authors = [_ref(_author(one)) for one in paper["authors"]]
    about = {"name": paper["title"], "author": authors, "datePublished": str(paper["year"]), "url": paper["url"]}
    return {"@id": f"https://doi.org/{paper['doi']}", "@type": "ScholarlyArticle"} | about


def _file(path: Path, folder: Path) -> Entity:
    content = path.read_bytes()
    return {
        "@id": path.relative_to(folder).as_posix(),
        "@type": "File",
        "name": path.name,
        "contentSize": str(len(content)),
        "encodingFormat": _FORMATS.get(path.suffix, "application/octet-stream"),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _software(cited: Mapping[str, Any], record: Mapping[str, Any]) -> Entity:
    """The package that computed the results, and its platform."""
    beneath = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    about = {"name": "mae_lib", "version": record["versions"]["mae_lib"], "description": cited["title"]}
    about |= {"softwareRequirements": beneath, "license": _ref(_LICENCE)}
    return {"@id": "#mae-lib", "@type": "SoftwareApplication"} | about


def _action(record: Mapping[str, Any], files: list[Entity]) -> Entity:
    """The run as an action: its preset, code hash, end time and output files."""
    made = [_ref(one) for one in files if one["@id"] != "preset.yaml"]
    return {
        "@id": "#series",
        "@type": "CreateAction",
        "name": "python -m mae_lib series",
        "description": ", ".join(_circumstances(record)),
        "endTime": record["finished"],
        "instrument": {"@id": "#mae-lib"},
        "object": {"@id": "preset.yaml"},
        "result": made,
    }


def _circumstances(record: Mapping[str, Any]) -> Iterator[str]:
    yield f"code {record['code_hash']}"
    if record.get("git_commit"):
        yield f"commit {record['git_commit']}"
    yield f"on {record['device']}"
    if record.get("wall_seconds"):
        yield f"in {record['wall_seconds']:.0f} s"
