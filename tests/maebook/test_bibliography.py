"""What the book cites can be found."""

import re
from pathlib import Path

ENTRIES = re.split(r"(?m)^(?=@)", (Path(__file__).resolve().parents[2] / "book" / "references.bib").read_text())
NOWHERE = {"gacs1973"}  # its journal has ended, and no DOI was given


def test_every_entry_has_a_doi_or_an_address():
    without = {re.match(r"@\w+\{(\w+)", entry)[1] for entry in ENTRIES[1:] if not re.search(r"\b(doi|url) *=", entry)}
    assert without == NOWHERE


def test_no_entry_gives_its_address_twice():
    for entry in ENTRIES[1:]:
        assert len(re.findall(r"\b(?:doi|url|eprint) *=", entry)) <= 1, entry
