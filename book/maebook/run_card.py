"""The card that ends an executed notebook: what was run, on what, how long it took, and the command to run it again."""

import json
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import yaml

from mae_lib.presets import load_preset
from mae_lib.provenance import provenance
from maebook.bundles import RUN, emit

_ABSENT = object()


class _DoubleQuoted(yaml.SafeDumper):
    """Texts that need quotes have double ones, which can stand between a shell's single quotes."""

    def choose_scalar_style(self) -> str:
        return '"' if (style := super().choose_scalar_style()) == "'" else style


def changed(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that differ from the preset that `parameters["preset"]` names, or that it does not have.

    Raises ValueError when no preset is named, or for an unknown one.
    """
    if "preset" not in parameters:
        raise ValueError("parameters name no `preset`: pass the notebook's parameters, its preset among them")
    preset = load_preset(parameters["preset"])
    return {name: value for name, value in parameters.items() if name != "preset" and not _is_of(preset, name, value)}


def _is_of(preset: Mapping[str, Any], name: str, value: Any) -> bool:
    if name == "scale" and isinstance(value, Mapping):  # it overrides the preset's, entry by entry
        value = preset["scale"] | value
    return preset.get(name, _ABSENT) == value


def reproduce_command(parameters: Mapping[str, Any], notebook: str) -> str:
    """The papermill command that runs `notebook` ("3_1_reconstruction") with these parameters, quoted for a shell.

    They go in as one YAML mapping (-y): papermill takes a list given by -p for a string, and warns of what a preset's
    file (-f) has and the notebook has not. A `scale` that is the preset's is left out, for the notebook takes that.
    """
    preset, stem = load_preset(parameters["preset"]), Path(notebook).stem
    given = {name: value for name, value in parameters.items() if name != "scale" or not _is_of(preset, name, value)}
    options = {"default_flow_style": True, "sort_keys": False, "width": math.inf, "allow_unicode": True}
    mapping = yaml.dump(given, Dumper=_DoubleQuoted, **options)
    return shlex.join(["papermill", f"notebooks/{stem}.ipynb", f"{stem}.out.ipynb", "-y", mapping.strip()])


def parameter_table(parameters: Mapping[str, Any]) -> str:
    """Name and value of each parameter; a mapping is opened up, and what differs from the preset is marked.

    A preset that opens published runs has no scale of its own; one that was given is shown.
    """
    preset, differing = load_preset(parameters["preset"]), changed(parameters)
    if preset.get("published") and "scale" not in differing:
        parameters = {name: value for name, value in parameters.items() if name != "scale"}
    rows = []
    for name, value in parameters.items():
        nested = isinstance(value, Mapping) and bool(value)
        before = preset.get(name) if isinstance(preset.get(name), Mapping) else {}
        for key, item in value.items() if nested else [(None, value)]:
            mark = name in differing and name in preset and (not nested or before.get(key, _ABSENT) != item)
            label = name if key is None else f"{name}.{key}"
            rows.append((label, json.dumps(item) + (" (differs from the preset)" if mark else "")))
    return _table(rows)


def _table(rows: Sequence[tuple[str, str]]) -> str:
    cells = (f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>' for name, value in rows)
    return f"<table><tbody>{''.join(cells)}</tbody></table>"


def duration(seconds: float | None) -> str:
    """A wall time in words: "41.3 s", "2.5 min"."""
    if seconds is None:
        return "not recorded"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def run_card_html(record: Mapping[str, Any], notebook: str) -> str:
    """The card of a run whose `provenance` is `record`."""
    parameters = record["parameters"]
    about = [
        ("device", record["device"]),
        ("threads", str(record["threads"])),
        ("wall time", duration(record["wall_seconds"])),
        ("finished", record["finished"]),
        ("versions", ", ".join(f"{name} {number}" for name, number in record["versions"].items())),
        ("code", record["code_hash"]),
        *([("cells", record["cells_hash"])] if record.get("cells_hash") else []),
        ("git commit", record["git_commit"] or "not under git"),
    ]
    # What the preset does not have is the notebook's own, and says nothing of a change.
    differing = len(changed(parameters).keys() & load_preset(parameters["preset"]).keys())
    said = f"Preset {parameters['preset']}" + (f", {differing} parameters changed" if differing else ", unchanged")
    return (
        '<div class="mae-card" id="run-card" role="note">'
        f'<p class="mae-title"><strong>Run card</strong> <span>{escape(said)}</span></p>'
        f"{_table(about)}<details><summary>Parameters</summary>{parameter_table(parameters)}</details>"
        f"<p>To run it again:</p>{command_html(parameters, notebook)}</div>"
    )


def command_html(parameters: Mapping[str, Any], notebook: str) -> str:
    """`reproduce_command` in the box that holds the button which copies it."""
    command = escape(reproduce_command(parameters, notebook))
    return f'<div class="mae-command"><pre><code>{command}</code></pre></div>'


def run_card(
    parameters: Mapping[str, Any], started: float, notebook: str, modules: Sequence[str], cells: str = ""
) -> None:
    """Show the card of the run that this process made, and hand over its provenance; the runner calls it at the end.

    `parameters`: the notebook's own, `preset` among them. `started`: `time.time()` at the start. `modules` as in
    `provenance`. `cells`: a hash of the notebook's code. Raises ValueError as `provenance`, or for an unknown preset.
    """
    record = provenance(parameters, modules, started, _used()) | {"cells_hash": cells}
    emit(RUN, record, run_card_html(record, notebook))


def _used() -> str | None:
    """ "cpu" where there is a GPU that nothing was computed on."""
    torch = sys.modules.get("torch")
    return "cpu" if torch and torch.cuda.is_available() and not torch.cuda.is_initialized() else None
