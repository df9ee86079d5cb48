"""Edge-list files as people write them: read as the graph that they mean, or refused with the line."""

from pathlib import Path

import pytest

from mae_lib.__main__ import main
from mae_lib.theory.edges import read_edges

EDGES = [("z1", "z2"), ("z1", "z3"), ("z2", "x1"), ("z2", "x2"), ("z3", "x3"), ("z3", "x4")]


def write(folder: Path, text: str | bytes) -> Path:
    file = folder / "graph.txt"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return file


@pytest.mark.parametrize("between", [" ", ",", ", ", "\t", " , ", "   "])
@pytest.mark.parametrize("end", ["\n", "\r\n", " \n\n"])
@pytest.mark.parametrize("start", ["", "\ufeff", "# a comment\n", "#\n"])
def test_blanks_commas_line_ends_and_a_byte_order_mark_change_nothing(tmp_path, between, end, start):
    text = start + end.join(between.join(edge) for edge in EDGES)
    assert read_edges(write(tmp_path, text)) == EDGES


def test_names_may_begin_with_a_hash_and_be_of_any_language(tmp_path):
    assert read_edges(write(tmp_path, "z #1\nz Kätzchen_猫\n")) == [("z", "#1"), ("z", "Kätzchen_猫")]


LINES = ["z1 -> x1", "z1->x1", "z2 x1 x2", "z1 x1 0.5", "x3", "digraph G {", '"z 1" "x 1"', '"z1","x1"', "z1;x1"]
LINES += ["z1 x1;", "z1,,x1", "z1,", "z1 x1 {}", "z1 x\0", "{} []", "z1 # x1"]


@pytest.mark.parametrize("line", LINES)
def test_a_line_that_is_no_edge_is_named(tmp_path, capsys, line):
    file = write(tmp_path, f"z1 x0\n{line}\n")
    assert main(["locate", str(file), "x0"]) == 2
    said = capsys.readouterr().err
    assert f"line 2 of {file} is {line!r}: it must be an edge" in said and said.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no edge"),
        ("# nothing\n\n", "holds no edge"),
        ("parent,child\nz1,x1\n", "line 1 of .* is a heading, parent child"),
        ("Source Target\nz1 x1\n", "line 1 of .* is a heading"),
        ("z1 x1\n".encode("utf-16"), "is no text in UTF-8"),
        ("z1 K\u00e4tzchen\n".encode("latin-1"), "is no text in UTF-8"),
    ],
)
def test_a_file_without_edges_a_heading_and_another_encoding_are_named(tmp_path, text, says):
    with pytest.raises(ValueError, match=says):
        read_edges(write(tmp_path, text))


def test_source_and_target_may_be_names(tmp_path):
    assert read_edges(write(tmp_path, "source target\ntarget x\n")) == [("source", "target"), ("target", "x")]
