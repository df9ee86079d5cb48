# The book as a graph: pretraining runs -> executed notebooks -> pages. `make book` runs it; so does any Snakemake executor.
#
#   snakemake --cores 2 --config preset=laptop            two cores
#   snakemake --cores 16 --resources gpu=1 --config preset=gpu     one GPU, its jobs one at a time
#   snakemake --executor slurm --jobs 20 --config preset=paper     a cluster (needs its executor plugin)
#
# What is stale is decided by content: a notebook depends on itself, its preset and the source files that it imports.

import os
import sys
from pathlib import Path

sys.path.insert(0, os.getcwd())
import nbformat
import yaml

from mae_lib.presets import load_preset, preset_file, series
from mae_lib.reporting.teaching.slides import lecture_notebooks
from mae_lib.sources import source_files, source_files_of_code

if not sys.stderr.isatty():
    os.environ.setdefault("TQDM_MININTERVAL", "30")  # a log is no place for a moving bar

PRESET = config.get("preset", "laptop")
PARAMETERS = load_preset(PRESET)
GPU = 0 if PRESET in ("smoke", "laptop") else 1
RUNS = os.environ.get("MAE_LIB_RUNS", "runs")


def local(paths):
    return [os.path.relpath(path) for path in paths]


def notebooks_of_book():
    """Notebooks named in the table of contents, in its order."""
    names = []

    def walk(entry):
        if entry.get("file", "").startswith("experiments/"):
            names.append(entry["file"].removeprefix("experiments/"))
        for part in ("parts", "chapters", "sections"):
            for child in entry.get(part, []):
                walk(child)

    walk(yaml.safe_load(Path("book/_toc.yml").read_text()))
    return names


def executed(name):
    return f"{RUNS}/notebooks/{PRESET}/{name}.ipynb"


def code_of(name):
    book = nbformat.read(f"notebooks/{name}.ipynb", as_version=4)
    return "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")


NOTEBOOKS = notebooks_of_book()
SOURCES = {name: local(source_files_of_code(code_of(name))) for name in NOTEBOOKS}
TRAINED = [name for name in NOTEBOOKS if "mae_lib/training/series.py" in SOURCES[name]]
# Published results are inputs of the pages that read them.
PUBLISHED = sorted(
    str(path) for folder in Path("results").glob("*/") for path in folder.rglob("*") if path.is_file()
)
SERIES = [f"{RUNS}/series/{PRESET}/r{ratio}-u{unit}-s{seed}.txt" for ratio, unit, seed in series(PARAMETERS)]


rule all:
    input: "book/_build/built.txt"


rule pretrain:
    input: preset_file(PRESET), local(source_files("mae_lib.commands.pretrain"))
    output: RUNS + "/series/" + PRESET + "/r{ratio}-u{unit}-s{seed}.txt"
    threads: 1
    resources: gpu=GPU
    shell:
        "OMP_NUM_THREADS={threads} {sys.executable} -m mae_lib pretrain --preset {PRESET}"
        " --mask-ratio {wildcards.ratio} --unit {wildcards.unit} --seed {wildcards.seed} > {output}"


rule notebook:
    input:
        notebook="notebooks/{name}.ipynb",
        preset=preset_file(PRESET),
        sources=lambda w: SOURCES[w.name],
        published=lambda w: [p for p in ("results/paper.yaml", "results/claims.yaml") if os.path.exists(p)],
        results=lambda w: PUBLISHED if "mae_lib/reporting/published.py" in SOURCES[w.name] else [],
        runs=lambda w: SERIES if w.name in TRAINED else [],
        # The ledger gathers what all other pages recorded.
        pages=lambda w: [executed(name) for name in NOTEBOOKS if name != "ledger"] if w.name == "ledger" else [],
    output: executed("{name}")
    threads: 1
    resources: gpu=lambda w: GPU if w.name in TRAINED else 0
    shell:
        "OMP_NUM_THREADS={threads} {sys.executable} -m mae_lib execute {input.notebook} {output} --preset {PRESET}"


rule slides:
    input:
        [executed(name) for name in lecture_notebooks()],
        [str(p) for p in Path("book/teaching").glob("*.yml")],
        local(source_files("mae_lib.reporting.teaching.slides")),
    output: "slides/index.html"
    shell: "{sys.executable} -m mae_lib slides --preset {PRESET} --runs {RUNS} --out slides"


rule book:
    input:
        [executed(name) for name in NOTEBOOKS],
        "_config.yml",
        [str(p) for p in Path("book").rglob("*") if p.is_file() and not {"_build", "experiments"} & set(p.parts)],
        local(source_files("mae_lib.reporting.book", "mae_lib.reporting.pages.made", "mae_lib.reporting.pages.dress")),
        PUBLISHED,
        "CITATION.cff",
        [str(p) for p in Path("mae_lib/reporting/teaching").glob("*.py")],
    output: "book/_build/built.txt"
    params: preset=PRESET
    shell: "{sys.executable} -m mae_lib book --preset {PRESET} --runs {RUNS} && echo {PRESET} > {output}"
