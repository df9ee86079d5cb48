# The book as a graph: pretraining runs -> executed notebooks -> pages. `make book` runs it; so does any Snakemake executor.
#
#   snakemake --cores 2                                   two cores, minutes: Section 3 from published runs
#   snakemake --cores 2 --config preset=laptop            the same, all of it trained here
#   snakemake --cores 16 --resources gpu=1 --config preset=gpu     one GPU, its jobs one at a time
#   snakemake --executor slurm --jobs 20 --config preset=paper     a cluster (needs its executor plugin; see
#                                                                  mae_lib/training/README.md)
#
# More options of a job's command: --config pretrain="--micro-batches 8", and the same of evaluate and detect.
# What is stale is decided by content: a notebook depends on itself, its preset and the source files that it imports.
# Folders and presets have whatever names their owners like, so a shell line quotes (:q) all that it is given.

import os
import shlex
import sys
from pathlib import Path

sys.path[:0] = [os.getcwd(), os.path.join(os.getcwd(), "book")]
import nbformat
import yaml
from snakemake.logging import logger

from mae_lib.claims.pages import SECTION_OF
from mae_lib.presets import load_preset, opens_published, preset_file, preset_word, series
from maebook import forkserver
from maebook.page_presets import preset_of_page
from maebook.teaching.slides import lecture_notebooks
from mae_lib.sources import modules_of_code, source_files

if workflow.output_settings.quiet:  # who wants no progress is spared this too; errors and warnings are always shown
    logger.setLevel("WARNING")
if not sys.stderr.isatty():
    os.environ.setdefault("TQDM_MININTERVAL", "30")  # a log is no place for a moving bar

PRESET = config.get("preset", "book")
if not isinstance(PRESET, str):  # Snakemake reads it as YAML
    raise ValueError(f"preset {PRESET!r} is not text: as text it is --config \"preset= 'NAME' \"")
PARAMETERS = load_preset(PRESET)
WORD = preset_word(PRESET)
RUNS = os.path.normpath(os.path.expanduser(os.environ.get("MAE_LIB_RUNS") or "runs"))
for name, path in (("preset", PRESET), ("MAE_LIB_RUNS", RUNS)):
    if {"{", "}"} & set(path):
        raise ValueError(f"{name} {path!r} has braces, which Snakemake reads as wildcards: choose another name")


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
    return f"{RUNS}/notebooks/{WORD}/{name}.ipynb"


def options(job):
    """What --config adds to the command of a job, word by word."""
    given = str(config.get(job) or "")
    try:
        return shlex.split(given)
    except ValueError as error:
        raise ValueError(f"{job} adds {given!r}: {error}") from None


def code_of(name):
    book = nbformat.read(f"notebooks/{name}.ipynb", as_version=4)
    return "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")


def named(word):
    """The preset, a name or a file, of a folder's word."""
    return PRESET if word == WORD else word


def gpu(word):
    return 0 if word in ("book", "smoke", "laptop", "longer", "desk", "desk_figurines") else 1


def runs_of(preset, what="series"):
    """What says that each mask's run is there, or its evaluation; nothing where published runs take their place."""
    if opens_published(preset):
        return []
    folder = f"{RUNS}/{what}/{preset_word(preset)}"
    return [f"{folder}/r{ratio}-u{unit}-s{seed}.txt" for ratio, unit, seed in series(load_preset(preset))]


NOTEBOOKS = notebooks_of_book()
SOURCES = {name: local(source_files(*modules_of_code(code_of(name)))) for name in NOTEBOOKS}
TRAINED = [name for name in NOTEBOOKS if "mae_lib/studies/series.py" in SOURCES[name]]
# A book on ImageNet has pages that need no latents; the others run at `laptop`, into the same folder.
AT = {name: preset_of_page(name, PRESET) for name in NOTEBOOKS}
# Published results are inputs of the pages that read them.
TABLES = sorted(map(str, Path("results").glob("*.csv")))
PUBLISHED = TABLES + sorted(
    str(path) for folder in Path("results").glob("*/") for path in folder.rglob("*") if path.is_file()
)
# Where the drawings have been collected, the pages that read published results on them have pictures.
PACK = [path for path in [(os.environ.get("MAE_LIB_DRAWINGS") or f"{RUNS}/drawings") + "/drawings.json"] if os.path.isfile(path)]
# A probe on ImageNet and a detector on COCO take days, so each is a job; a page at another scale makes its own.
PROBED, JOBS = ("pretraining", "separability", "shape_bias"), {}
if PARAMETERS["scale"].get("world") == "imagenet":
    JOBS |= {page: runs_of(PRESET, "evaluate") for page, section in SECTION_OF.items() if section in PROBED}
if PARAMETERS["scale"].get("detection_data") == "coco":
    scratch = [f"{RUNS}/detect/{WORD}/scratch-s{seed}.txt" for seed in PARAMETERS["seeds"]]
    JOBS |= {page: runs_of(PRESET, "detect") + scratch for page, section in SECTION_OF.items() if section == "detection"}
FORKED = "OMP_NUM_THREADS={threads} {sys.executable:q} -m maebook.forkserver "
MAE_LIB, MAEBOOK = FORKED + "mae_lib ", FORKED + "maebook "
MASK = " --mask-ratio {wildcards.ratio:q} --unit {wildcards.unit:q}"


wildcard_constraints:
    preset="[^/]+",
    ratio=r"[\d.e-]+",
    unit=r"\d+",
    seed=r"\d+",


onstart:
    forkserver.start()


rule all:
    input: "book/_build/built.txt"


rule pretrain:
    input: lambda w: local([preset_file(named(w.preset))]), local(source_files("mae_lib.training.pretrain"))
    output: RUNS + "/series/{preset}/r{ratio}-u{unit}-s{seed}.txt"
    params: preset=lambda w: named(w.preset), more=options("pretrain")
    threads: 1
    resources: gpu=lambda w: gpu(w.preset)
    shell:
        MAE_LIB + "pretrain --preset={params.preset:q}" + MASK +
        " --seed {wildcards.seed} {params.more:q} > {output:q}"


rule evaluate:
    input: RUNS + "/series/{preset}/r{ratio}-u{unit}-s{seed}.txt", local(source_files("mae_lib.imagenet.evaluate"))
    output: RUNS + "/evaluate/{preset}/r{ratio}-u{unit}-s{seed}.txt"
    params: preset=lambda w: named(w.preset), more=options("evaluate")
    threads: 1
    resources: gpu=lambda w: gpu(w.preset)
    shell:
        MAE_LIB + "evaluate --preset={params.preset:q}" + MASK +
        " --seed {wildcards.seed} {params.more:q} > {output:q}"


rule detect:
    input: RUNS + "/series/{preset}/r{ratio}-u{unit}-s{seed}.txt", local(source_files("mae_lib.transfer.publish"))
    output: RUNS + "/detect/{preset}/r{ratio}-u{unit}-s{seed}.txt"
    params: preset=lambda w: named(w.preset), more=options("detect")
    threads: 1
    resources: gpu=lambda w: gpu(w.preset)
    shell:
        MAE_LIB + "detect --preset={params.preset:q}" + MASK +
        " --seeds '[{wildcards.seed}]' --workers {threads} {params.more:q} > {output:q}"


rule detect_from_scratch:
    input: lambda w: local([preset_file(named(w.preset))]), local(source_files("mae_lib.transfer.publish"))
    output: RUNS + "/detect/{preset}/scratch-s{seed}.txt"
    params: preset=lambda w: named(w.preset), more=options("detect")
    threads: 1
    resources: gpu=lambda w: gpu(w.preset)
    shell:
        MAE_LIB + "detect --preset={params.preset:q} --scratch"
        " --seeds '[{wildcards.seed}]' --workers {threads} {params.more:q} > {output:q}"


rule notebook:
    input:
        notebook="notebooks/{name}.ipynb",
        preset=lambda w: local([preset_file(AT[w.name])]),
        sources=lambda w: SOURCES[w.name],
        published=lambda w: [p for p in ("results/paper.yaml", "results/claims.yaml") if os.path.exists(p)],
        results=lambda w: PUBLISHED + PACK if "mae_lib/studies/results.py" in SOURCES[w.name]
            else TABLES if "mae_lib/tables.py" in SOURCES[w.name] else [],
        runs=lambda w: runs_of(AT[w.name]) if w.name in TRAINED else [],
        jobs=lambda w: JOBS.get(w.name, []),
        # The ledger gathers what all other pages recorded.
        pages=lambda w: [executed(name) for name in NOTEBOOKS if name != "ledger"] if w.name == "ledger" else [],
    output: executed("{name}")
    params: preset=lambda w: AT[w.name]
    threads: 1
    resources: gpu=lambda w: gpu(preset_word(AT[w.name])) if w.name in TRAINED else 0
    shell:
        MAEBOOK + "execute {input.notebook:q} {output:q} --preset={params.preset:q}"


rule slides:
    input:
        [executed(name) for name in lecture_notebooks()],
        [str(p) for p in Path("book/teaching").glob("*.yml")],
        local(source_files("maebook.teaching.slides")),
    output: "slides/index.html"
    shell: "{sys.executable:q} -m maebook slides --preset={PRESET:q} --runs={RUNS:q} --out slides"


rule book:
    input:
        [executed(name) for name in NOTEBOOKS],
        "_config.yml",
        [str(p) for p in Path("book").rglob("*") if p.is_file() and not {"_build", "experiments"} & set(p.parts)],
        local(source_files("maebook.render", "maebook.sphinx.made", "maebook.sphinx.annotate",
            "maebook.sphinx.live_cells", "maebook.sphinx.front_door")),
        PUBLISHED,
        "CITATION.cff",
        [str(p) for p in Path("book/maebook/teaching").glob("*.py")],
    output: "book/_build/built.txt"
    params: preset=PRESET
    shell: "{sys.executable:q} -m maebook render --preset={PRESET:q} --runs={RUNS:q} && echo {PRESET:q} > {output:q}"
