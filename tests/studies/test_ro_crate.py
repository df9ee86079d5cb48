"""A published run as an RO-Crate: what version 1.1 of the specification asks for, and the same bytes every time."""

import hashlib
import json
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from mae_lib.__main__ import main
from mae_lib.studies.ro_crate import FILE, write_crate

RESULTS = Path(__file__).resolve().parents[2] / "results"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(RESULTS / "longer", tmp_path / "longer"))


@pytest.fixture
def crate(folder):
    return json.loads(write_crate(folder).read_text(encoding="utf-8"))


def entities(crate) -> dict[str, dict]:
    return {one["@id"]: one for one in crate["@graph"]}


def references(value):
    """Every {"@id": ...} below a value."""
    if isinstance(value, dict) and set(value) == {"@id"}:
        yield value["@id"]
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from references(one)


def test_it_has_what_the_specification_asks_for(crate):
    assert crate["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    found = entities(crate)
    assert len(found) == len(crate["@graph"]) and all("@type" in one for one in crate["@graph"])
    descriptor, root = found[FILE], found["./"]
    assert descriptor["@type"] == "CreativeWork" and descriptor["about"] == {"@id": "./"}
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert root["@type"] == "Dataset" and root["name"] and root["description"]
    assert datetime.fromisoformat(root["datePublished"]) and found[root["license"]["@id"]]["name"]


def test_every_reference_leads_to_an_entity_of_the_crate(crate):
    found = entities(crate)
    outside = {ref for one in crate["@graph"] for ref in references(list(one.values()))} - set(found)
    assert outside == {"https://w3id.org/ro/crate/1.1"}


def test_it_lists_every_file_with_its_size_and_hash(crate, folder):
    parts = {part["@id"] for part in entities(crate)["./"]["hasPart"]}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {FILE}
    assert parts == there
    for name in parts:
        content = (folder / name).read_bytes()
        entity = entities(crate)[name]
        assert entity["contentSize"] == str(len(content)) and entity["sha256"] == hashlib.sha256(content).hexdigest()


def test_it_says_what_was_run_and_cites_the_paper(crate):
    found = entities(crate)
    record = json.loads((RESULTS / "longer" / "provenance.json").read_text())
    action = found["#series"]
    assert record["code_hash"] in action["description"] and action["endTime"] == record["finished"]
    assert found[action["instrument"]["@id"]]["version"] == record["versions"]["mae_lib"]
    assert found[found["./"]["citation"]["@id"]]["author"][0] == {"@id": "#lingjing-kong"}


def test_a_second_time_gives_the_same_bytes(folder):
    first = write_crate(folder).read_bytes()
    assert write_crate(folder).read_bytes() == first


def test_a_folder_without_results_is_refused_in_one_line(tmp_path, capsys):
    assert main(["crate", str(tmp_path)]) == 2
    assert "holds no finished results: python -m mae_lib series writes them" in capsys.readouterr().err
