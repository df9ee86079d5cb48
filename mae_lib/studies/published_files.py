"""How a published folder writes and reads its readers and tables."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mae_lib.studies import Reader, Scores
from mae_lib.training.checkpoints import write_files

CURVES = ("ratio", "unit", "seed", "images", "metric", "value", "count")


def table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file; none if there is no file."""
    if not path.is_file():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def reader_of(row: dict[str, str]) -> Reader:
    """The reader of a row of `scores.csv`."""
    if row["reader"] == "trained":
        return (float(row["ratio"]), int(float(row["unit"])), int(float(row["seed"])))
    return (row["reader"], int(float(row["seed"]))) if row["seed"] else (row["reader"],)


def called(reader: Reader) -> str:
    """A reader in words: "r 0.75, unit 8 px, seed 0", "untrained, seed 0", "pixels"."""
    if len(reader) == 2:
        return f"{reader[0]}, seed {reader[1]}"
    return reader[0] if len(reader) == 1 else "r {:g}, unit {} px, seed {}".format(*reader)


def file_name(reader: Reader) -> str:
    """A reader as the name of a file: "r0.75-u8-s0", "untrained-s0", "pixels"."""
    if len(reader) == 2:
        return f"{reader[0]}-s{reader[1]}"
    return reader[0] if len(reader) == 1 else "r{:g}-u{}-s{}".format(*reader)


def columns_of(reader: Reader) -> tuple[Any, ...]:
    """The columns reader, ratio, unit and seed of a row."""
    if len(reader) == 3:
        return ("trained", *reader)
    return (reader[0], "", "", reader[1] if len(reader) == 2 else "")


def csv_of(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()


def add_curves(out: Path, reader: Reader, curves: dict[int, Scores]) -> None:
    """Put the scores of a run's intermediate models into the folder, replacing those of the same metrics."""
    new = [
        (*map(str, (*reader, images)), metric, f"{values.mean():.10g}", len(values))
        for images, of in curves.items()
        for metric, values in of.items()
    ]
    ours, metrics = tuple(map(str, reader)), {row[4] for row in new}
    kept = [(*row.values(),) for row in table(out / "curves.csv")]
    kept = [row for row in kept if row[:3] != ours or row[4] not in metrics]
    write_files({out / "curves.csv": csv_of(CURVES, [*kept, *new])})
