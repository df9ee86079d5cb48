"""A book on photographs: which pages run on them, and where the others are read."""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from mae_lib.claims.claims import Verdict, load_claims
from mae_lib.claims.pages import SECTION_OF
from mae_lib.claims.verdicts import record, verdicts_file
from mae_lib.presets import load_preset
from maebook.ledger_page import gather
from maebook.page_presets import preset_of_page

ROOT = Path(__file__).resolve().parents[2]
PAGES = [path.stem for path in (ROOT / "notebooks").glob("*.ipynb")]
ON_PHOTOGRAPHS = {*SECTION_OF, "ledger"}


def test_pages_that_need_latents_open_published_runs_in_a_book_on_photographs(tmp_path):
    assert {page for page in PAGES if preset_of_page(page, "paper") == "paper"} == ON_PHOTOGRAPHS
    assert {preset_of_page(page, "paper") for page in set(PAGES) - ON_PHOTOGRAPHS} == {"book"}
    assert {preset_of_page(page, "gpu") for page in PAGES} == {"gpu"}
    mine = tmp_path / "mine.yaml"
    mine.write_text(yaml.safe_dump(load_preset("paper") | {"preset": "mine"}))
    assert (preset_of_page("3_2_attention", mine), preset_of_page("3_0_images", mine)) == (mine, "book")


def test_the_ledger_of_such_a_book_reads_each_verdict_where_its_page_left_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path))
    claims = load_claims()
    theory = claims["figure-4"]
    section = next(claim for claim in claims.values() if claim.notebook == "3_2_attention")
    for preset, word in (("book", "mixed"), ("paper", "supported")):
        for claim in (theory, section):
            record([Verdict(claim.id, word, "why")], verdicts_file(preset, claim.notebook), {})
    found = {entry.claim.id: entry.own.verdict for entry in gather("paper") if entry.own}
    assert (found[theory.id], found[section.id]) == ("mixed", "supported")


def plan(runs: Path, *config: str) -> list[tuple[str, str]]:
    """The jobs of `make book`, none of them run: a command and its arguments each."""
    command = [sys.executable, "-m", "snakemake", "-n", "-p", "--nolock", "--cores", "1"]
    command += ["--config", *config] if config else []
    environment = os.environ | {"MAE_LIB_RUNS": str(runs)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return sorted(set(re.findall(r"-m maebook.forkserver \w+ (\w+) (.*)", done.stdout)))


def test_the_default_book_opens_published_runs_and_trains_nothing(tmp_path):
    jobs = plan(tmp_path)
    assert {name for name, _ in jobs} == {"execute"} and all(line.endswith("--preset=book") for _, line in jobs)


def test_the_papers_book_as_a_graph_of_jobs(tmp_path):
    found = plan(tmp_path, "preset=paper", "pretrain=--micro-batches 8")
    at = {Path(line.split()[0]).stem: line.split("=")[-1] for name, line in found if name == "execute"}
    assert set(at) >= ON_PHOTOGRAPHS and {page for page, preset in at.items() if preset == "paper"} == ON_PHOTOGRAPHS
    jobs = {name: [line for each, line in found if each == name and "=paper " in line] for name, _ in found}
    assert [len(jobs[name]) for name in ("pretrain", "evaluate", "detect")] == [6, 6, 7]  # detect: also from scratch
    assert all("--micro-batches 8 >" in line for line in jobs["pretrain"])
    assert not any("--micro-batches" in line for line in jobs["evaluate"] + jobs["detect"])
