"""Run a notebook with other parameters, all or nothing, and keep its verdicts with where they come from.

papermill only warns of an unknown parameter and leaves the output of a failed run where the good one was. Here names
and types are checked before anything starts, and the executed notebook appears under its name when all cells passed.
A notebook that takes a preset ends with its run card, and its verdicts are written to `runs/verdicts`.
"""

import ast
import glob
import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat

from mae_lib.claims.claims import Verdict
from mae_lib.claims.verdicts import record, verdicts_file
from mae_lib.presets import load_preset, parse_yaml, preset_word
from mae_lib.sources import modules_of_code
from maebook.bundles import VERDICT, bundles, run_of

_TYPES = {"int": int, "float": (int, float), "str": str, "bool": bool, "list": list, "dict": dict}


class NotebookError(ValueError):
    """A notebook that could not be run, or did not run to its end."""


def lists(**given: Any) -> Iterator[list]:
    """Lists that a notebook was given, by name, also as the text that papermill's own -p makes of them.

    Raises ValueError for anything else, for an empty one, and for `mask_ratios` that do not lie between 0 and 1.
    """
    for name, value in given.items():
        found = parse_yaml(value, name) if isinstance(value, str) else value
        if not isinstance(found, list | tuple) or not found:
            raise ValueError(f"{name} is {value!r}: it must be a list with at least one entry")
        outside = [one for one in found if not (isinstance(one, int | float) and 0 < one < 1)]
        if name == "mask_ratios" and outside:
            raise ValueError(f"mask_ratios holds {outside[0]!r}: each must be a number between 0 and 1")
        yield list(found)


def mapped(name: str, value: Any) -> dict:
    """A mapping that a notebook was given, also as the text that papermill's own -p makes of it.

    Raises ValueError for anything else.
    """
    found = parse_yaml(value, name) if isinstance(value, str) else value
    if not isinstance(found, dict):
        raise ValueError(f"{name} is {value!r}: it must be a mapping, such as {{width: 96}}")
    return found


def declared_parameters(notebook: Path) -> dict[str, Any]:
    """The typed parameters that a notebook declares: name -> papermill's record (type, default, help).

    Raises NotebookError when the file is no notebook of Python, names no kernel, or has no cell tagged `parameters`.
    """
    import papermill

    if not notebook.is_file():
        raise NotebookError(f"{notebook} does not exist")
    try:
        book = nbformat.read(notebook, as_version=4)
        kernel = book.metadata.get("kernelspec", {})
        name, language = kernel.get("name"), book.metadata.get("language_info", {}).get("name", kernel.get("language"))
        takes_some = any("parameters" in cell.metadata.get("tags", []) for cell in book.cells)
    except (nbformat.ValidationError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise NotebookError(f"{notebook} is not a notebook: {error}") from None
    if not takes_some:
        raise NotebookError(f"{notebook} has no cell tagged `parameters`, so it takes none")
    if not all(isinstance(said, str) and said for said in (name, language)):
        raise NotebookError(f"{notebook} names no kernel: open it in Jupyter with a Python kernel and save it")
    if language.lower() not in {"python", "ipython"}:
        raise NotebookError(f"{notebook} is written in {language}: only Python notebooks can be run")
    try:
        return papermill.inspect_notebook(str(notebook))
    except ValueError as error:
        raise NotebookError(f"{notebook} cannot be read: {error}") from None


def check_parameters(notebook: Path, given: Mapping[str, Any]) -> None:
    """Refuse, by name, what the notebook does not declare or declares with another type."""
    declared = declared_parameters(notebook)
    for name, value in given.items():
        if name not in declared:
            raise NotebookError(f"{notebook.name} has no parameter {name!r}: choose among {', '.join(declared)}")
        kind = declared[name]["inferred_type_name"].split("[")[0]
        wanted = _TYPES.get(kind)
        if wanted and (not isinstance(value, wanted) or (isinstance(value, bool) and kind != "bool")):
            raise NotebookError(
                f"parameter {name} of {notebook.name} takes {'an' if kind == 'int' else 'a'} {kind}, not {value!r}"
            )


def execute(
    notebook: Path, output: Path, preset: str | None = None, parameters: Mapping[str, Any] | None = None
) -> Path:
    """Execute `notebook` into `output`, with the preset's parameters and `parameters` over them.

    Of a preset, a notebook takes those that it declares; its verdicts go to `verdicts_file`.

    Raises NotebookError, before anything runs, for an unknown or mistyped parameter; and, when a cell fails, with the
    cell's number and error. The failed copy is then kept beside `output` as `NAME.failed.ipynb`; an earlier `output` is
    left alone.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from maebook.kernel import Kernel, KernelError

    declared = declared_parameters(notebook)
    check_parameters(notebook, parameters or {})
    of_preset = {k: v for k, v in load_preset(preset).items() if k in declared} if preset else {}
    if "preset" in of_preset and preset_word(preset) != str(preset):  # a file or a folder, which it looks up itself
        of_preset["preset"] = str(Path(preset).resolve())
    output.parent.mkdir(parents=True, exist_ok=True)
    _sweep(output)
    unfinished = output.with_name(f".{output.stem}.{os.getpid()}.ipynb")
    failed = output.with_name(f"{output.stem}.failed.ipynb")
    # A library asks for a notebook progress bar that the book has no use for, and names its file in the warning.
    os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"
    try:
        given = of_preset | dict(parameters or {})
        nbformat.write(_with_card(notebook, declared, given), unfinished)
        papermill.execute_notebook(
            str(unfinished),
            str(unfinished),
            given,
            start_timeout=180,  # seconds; a busy machine may be slow to start a kernel
            kernel_manager_class=Kernel,
            # A kernel warns at every start that loopback is not encrypted, and calls its orderly end an error.
            extra_arguments=["--log-level=CRITICAL"],
        )
        _keep_verdicts(_tidy(unfinished), notebook.stem)
        os.replace(unfinished, output)
    except KernelError as error:
        raise NotebookError(f"{notebook} was not run: {error}") from None
    except (PapermillExecutionError, DeadKernelError, RuntimeError) as error:
        if unfinished.exists():
            os.replace(unfinished, failed)
        raise NotebookError(f"{notebook} failed {_place(error)}; see {failed} for its cells and tracebacks") from None
    except OSError as error:
        raise NotebookError(f"{output}: cannot be written ({error.strerror})") from None
    finally:
        unfinished.unlink(missing_ok=True)
    failed.unlink(missing_ok=True)
    return output


def _sweep(output: Path) -> None:
    """Remove the unfinished copies of processes that were killed; those of living ones stay."""
    for unfinished in output.parent.glob(f".{glob.escape(output.stem)}.*.ipynb"):
        number = unfinished.name.split(".")[-2]
        if number.isdecimal() and not _is_alive(int(number)):
            unfinished.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # signal 0 only asks
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def _place(error: Exception) -> str:
    from nbclient.exceptions import DeadKernelError

    if hasattr(error, "cell_index"):
        return f"in cell {error.cell_index} (code cell {error.exec_count}): {error.ename}: {error.evalue}"
    if isinstance(error, DeadKernelError):
        return f"because of its kernel: {error}"
    return f"before its first cell: its kernel did not start ({error}); what it said stands above"


def _with_card(notebook: Path, declared: Mapping[str, Any], given: Mapping[str, Any]) -> nbformat.NotebookNode:
    """The notebook with a last cell for its run card, if it takes a preset: its own kernel knows what it ran on."""
    book = nbformat.v4.upgrade(nbformat.read(notebook, as_version=4))
    if "preset" not in declared:
        return book
    parameters = {name: _literal(about["default"]) for name, about in declared.items()} | given
    code = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
    cells = hashlib.sha256(code.encode()).hexdigest()[:16]
    told = ", ".join(map(repr, (parameters, time.time(), notebook.stem, _modules(code), cells)))
    call = f"from maebook.run_card import run_card\n\nrun_card({told})"
    book.cells.append(nbformat.v4.new_code_cell(call, id="run-card", metadata={"tags": ["remove-input"]}))
    return book


def _literal(text: str) -> Any:
    """A parameter's default as its cell has it; one that is computed stays text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _modules(code: str) -> list[str]:
    """What the cells import of the book's packages; nothing of cells that are not all Python."""
    try:
        return modules_of_code(code)
    except SyntaxError:
        return []


def _tidy(path: Path) -> nbformat.NotebookNode:
    """Hide the injected cell (the run card shows the parameters) and drop papermill's clock times and paths."""
    book = nbformat.read(path, as_version=4)
    book.metadata.pop("papermill", None)
    for cell in book.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags:
            cell.metadata["tags"] = [*tags, "remove-cell"]
    nbformat.write(book, path)
    return book


def _keep_verdicts(book: nbformat.NotebookNode, name: str) -> None:
    verdicts = [Verdict.from_json(one) for one in bundles(book, VERDICT)]
    if verdicts and (run := run_of(book)):
        record(verdicts, verdicts_file(run["parameters"]["preset"], name), run)
