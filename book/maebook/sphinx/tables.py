"""Pages that are tables: the paper map, the notation, the assumptions and the state of the build.

Each is made from a YAML file beside the prose, and refuses what is not there: a page, a claim or a name of the library
that does not exist raises ValueError, and a label that does not exist is Sphinx's to refuse.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import yaml

from mae_lib.claims.claims import ICONS, load_claims
from mae_lib.folders import published_folder
from mae_lib.training.checkpoints import read_json
from maebook.run_card import duration
from maebook.sphinx.executed import Page, drawn, stands
from maebook.sphinx.names import resolve
from maebook.sphinx.repository import launch_addresses, repository
from maebook.strongest import short

# Every numbered thing of the paper, which the map must hold: kind -> names.
INVENTORY = {
    "section": [
        "Abstract",
        "1",
        "2",
        "2.1",
        "2.2",
        "2.3",
        "3",
        *(f"3.{n}" for n in range(1, 7)),
        "4",
        "4.1",
        "4.2",
        "4.3",
        "5",
    ],
    "equation": ["1", "2"],
    "assumption": ["1", "2"],
    "theorem": ["1", "2"],
    "algorithm": ["1", "2"],
    "figure": [str(n) for n in range(1, 9)],
    "table": ["1", "2", "3"],
    "appendix": ["A", "B"],
}


def load(folder: Path, name: str) -> Any:
    """A YAML file of the book."""
    return yaml.safe_load((folder / f"{name}.yml").read_text(encoding="utf-8"))


def list_table(header: Sequence[str], rows: Sequence[Sequence[str]], kind: str, widths: str = "auto") -> str:
    """A table in MyST; a phone shows each row as a block, each cell under the name of its column (`mae-rows`)."""
    lines = [":::{list-table}", ":header-rows: 1", f":class: mae-rows {kind}", f":widths: {widths}", ""]
    for row in [header, *rows]:
        for number, cell in enumerate(row):
            lines.append(("* - " if number == 0 else "  - ") + (cell or " ").replace("\n", "\n    "))
    return "\n".join([*lines, ":::"])


# The paper map


def check_map(entries: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Raises ValueError unless the map holds every numbered thing of the paper once, and all that it names exists."""
    held = Counter((entry["kind"], str(entry["number"])) for entry in entries)
    wanted = {(kind, number) for kind, numbers in INVENTORY.items() for number in numbers}
    if missing := sorted(wanted - set(held)):
        raise ValueError(f"the paper map lacks {missing}")
    if extra := sorted(set(held) - wanted) or [key for key, count in held.items() if count > 1]:
        raise ValueError(f"the paper map has {extra} twice, or the paper has no such thing")
    for entry in entries:
        check_entry(entry, folder)
        shown = entry["kind"] not in ("section", "appendix") or _claims(entry)
        if shown and not entry.get("result") and not entry.get("left_out"):
            raise ValueError(f"{entry['kind']} {entry['number']} has no result: name the anchor that shows it")


def check_entry(entry: Mapping[str, Any], folder: Path) -> None:
    """Raises ValueError unless an entry's pages, claims and names exist."""
    what = f"{entry['kind']} {entry['number']}" if "kind" in entry else entry["name"]
    if not entry.get("pages") and not entry.get("left_out"):
        raise ValueError(f"{what} has no page: name one, or say under left_out why there is none")
    for text, page in (*entry.get("pages", {}).items(), *entry.get("result", {}).items()):
        if not page:
            raise ValueError(f"{what} gives no page for {text!r}: quote a text that holds a comma")
        check_page(page, folder, what)
    for claim in entry.get("claims", []):
        if claim not in load_claims():
            raise ValueError(f"{what} names the claim {claim!r}, which is not in results/claims.yaml")
    for name in entry.get("code", []):
        resolve(name)


def check_page(page: str, folder: Path, what: str) -> None:
    """Raises ValueError unless "folder/page#anchor" is a page of the book; anchors are checked when all is rendered."""
    file = folder / page.split("#")[0]
    notebook = folder.parent / "notebooks" / f"{file.name}.ipynb"
    if not file.with_suffix(".md").is_file() and not (file.parent.name == "experiments" and notebook.is_file()):
        raise ValueError(f"{what} names the page {page!r}, which does not exist")


def paper_map(folder: Path, pages: Mapping[str, Page]) -> str:
    """Where everything numbered in the paper stands in this book: a table for each kind, in the paper's order."""
    entries = load(folder, "paper_map")
    check_map(entries, folder)
    parts = []
    for kind in INVENTORY:
        rows = [_map_row(entry, pages) for entry in entries if entry["kind"] == kind]
        title = "Appendices" if kind == "appendix" else f"{kind.capitalize()}s"
        parts.append(
            f"## {title}\n\n"
            + list_table(("Paper", "Page", "Code", "Result", "Status"), rows, "mae-map", "22 20 26 18 14")
        )
    return "\n\n".join(parts)


def _map_row(entry: Mapping[str, Any], pages: Mapping[str, Page]) -> tuple[str, ...]:
    kind = "" if entry["number"] == "Abstract" else f"{entry['kind'].capitalize()} "
    name = f"**{kind}{entry['number']}**<br>{entry['title']}"
    became = entry.get("left_out") or status(_claims(entry), pages)
    return name, links(entry, "pages"), code(entry.get("code", [])), links(entry, "result"), became


def _claims(entry: Mapping[str, Any]) -> list[str]:
    """A section's claims are those that name it; another thing's are listed."""
    if entry["kind"] != "section":
        return entry.get("claims", [])
    number = str(entry["number"]).lower()
    return [claim.id for claim in load_claims().values() if number in (claim.section, *claim.also)]


def link(page: str, text: str) -> str:
    """A link to "folder/page#anchor", by the role that the extension adds; the build refuses one that leads nowhere."""
    return f"{{page}}`{text} <{page}>`"


def links(entry: Mapping[str, Any], which: str) -> str:
    """An entry's pages or results, one below the other."""
    return "<br>".join(link(page, text) for text, page in entry.get(which, {}).items())


def code(names: Sequence[str]) -> str:
    """Names of the library, one below the other, without the package's own."""
    return "<br>".join(f"`{name.removeprefix('mae_lib.')}`" for name in names)


def status(claims: Sequence[str], pages: Mapping[str, Page]) -> str:
    """What became of the claims: an icon for each, which links to its line, how many came out how, by which runs."""
    if not claims:
        return "shown"
    marks, words, runs = [], Counter(), {}
    for claim in (load_claims()[name] for name in claims):
        found = stands(claim, pages)
        words[word := found.verdict.verdict] += 1
        if found.key:
            runs.setdefault(short(found))
        there = f"experiments/{claim.notebook}#claim-{claim.id}"
        marks.append(link(there, ICONS[word]) if drawn(claim, pages) else ICONS[word])
    counts = ", ".join(f"{words[word]} {word}" if len(claims) > 1 else word for word in ICONS if words[word])
    apart = "<br>" if len(claims) > 1 else " "
    return f"{' '.join(marks)}{apart}{counts}" + (f" ({'; '.join(runs)})" if runs else "")


# Notation, assumptions


def notation(folder: Path, pages: Mapping[str, Page]) -> str:
    """Symbol, meaning and name in the code, in groups."""
    parts = []
    for group in load(folder, "notation"):
        rows = []
        for entry in group["symbols"]:
            for name in entry.get("code", []):
                resolve(name)
            rows.append((entry["symbol"], entry["meaning"], code(entry.get("code", []))))
        parts.append(
            f"## {group['group']}\n\n"
            + list_table(("Symbol", "Meaning", "In the code"), rows, "mae-notation", "18 44 38")
        )
    return "\n\n".join(parts)


def assumptions(folder: Path, pages: Mapping[str, Page]) -> str:
    """For each theorem what it assumes, where that is checked, and what breaks without it."""
    parts = []
    for theorem in load(folder, "assumptions"):
        rows = []
        for entry in theorem["assumptions"]:
            for part in ("check", "counter_example"):
                check_entry({"name": f"{entry['name']}, {part}", **entry[part]}, folder)
            check, counter = (_evidence(entry[part], pages) for part in ("check", "counter_example"))
            rows.append((f"**{entry['name']}**<br>{entry['says']}", check, counter))
        header = ("Assumption", "Checked", "Without it")
        parts.append(
            f"## {theorem['theorem']}\n\n{theorem['about']}\n\n" + list_table(header, rows, "mae-assumed", "30 35 35")
        )
    return "\n\n".join(parts)


def _evidence(entry: Mapping[str, Any], pages: Mapping[str, Page]) -> str:
    found = [entry.get("says", ""), links(entry, "pages"), code(entry.get("code", []))]
    found += [status(entry["claims"], pages)] if entry.get("claims") else []
    return "<br>".join(filter(None, [*found, entry.get("left_out", "")]))


# The state of this build


def build_status(folder: Path, pages: Mapping[str, Page]) -> str:
    """How long each notebook ran, on what, and the versions beneath; and the published runs."""
    rows, versions = [], {}
    for page in pages.values():
        if page.record is None:
            continue
        record = page.record
        versions |= record["versions"]
        verdicts = Counter(page.verdicts.values())
        said = ", ".join(f"{ICONS[word]}\u00a0{verdicts[word]} {word}" for word in ICONS if verdicts[word])
        name = f"{{doc}}`/experiments/{page.name}`"
        preset = str(record["parameters"]["preset"])
        rows.append((name, duration(record["wall_seconds"]), preset, escape(record["device"]), said or "none"))
    built = list_table(("Notebook", "Time", "Preset", "Device", "Verdicts of this build"), rows, "mae-status")
    named = list_table(("Package", "Version"), [(name, number) for name, number in versions.items()], "mae-versions")
    results = list_table(("Results", "Finished", "Device", "Code"), _published(published_folder()), "mae-status")
    sections = ("## Notebooks", built, "## Versions", named, "## Published results", results, "## Hosted", hosted())
    return "\n\n".join(sections)


def _published(folder: Path) -> list[tuple[str, ...]]:
    """Name, day, device and code of everything below `folder` that says where it comes from and is finished."""
    rows = []
    for path in sorted(folder.rglob("*.json")):
        record = read_json(path)
        if record.get("finished") and "code_hash" in record:
            name = path.relative_to(folder).with_suffix("").as_posix().removesuffix("/provenance")
            rows.append((name, record["finished"][:10], escape(record["device"]), f"`{record['code_hash']}`"))
    return rows


def hosted() -> str:
    """Where the notebooks can be opened without installing anything."""
    if not (address := repository()):
        return (
            "No repository is named in `CITATION.cff` (`repository-code`), so the pages have no launch buttons. "
            "Once it is named there, every notebook's page links to Binder and Colab."
        )
    services = ", ".join(launch_addresses("NAME"))
    return f"The source is at <{address}>; every notebook's page opens in {services}."
