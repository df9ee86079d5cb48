"""`python -m mae_lib series`: the folder it leaves, twice, after a kill, on a bare machine, and what it refuses."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mae_lib.__main__ import main
from mae_lib.studies import SECTIONS
from mae_lib.studies import publish as module
from mae_lib.studies.publish import different, publish, shipped_runs
from mae_lib.training.mae import MAE

ROOT = Path(__file__).resolve().parents[2]

NEEDED = ("torch", "timm", "torchvision", "scikit-learn", "piq")
BARE = """
import sys

class WithoutThem:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in MISSING else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(WithoutThem, sys.meta_path)  # in the processes that it starts, too

if __name__ == "__main__":
    from mae_lib.__main__ import main
    code = main(["series", "--preset", sys.argv[1], "--out", sys.argv[2], *sys.argv[3:]])
    assert not MISSING & {name.split(".")[0] for name in sys.modules}
    sys.exit(code)
"""


def rows(folder: Path, name: str = "scores.csv") -> list[dict[str, str]]:
    with open(folder / name, newline="") as file:
        return list(csv.DictReader(file))


def required(names: Iterable[str], found: frozenset[str] = frozenset()) -> frozenset[str]:
    """The packages `names` with all that they require here, by their normalised names."""
    for name in {canonicalize_name(name) for name in names} - found:
        asked = map(Requirement, metadata.requires(name) or [])
        here = [one.name for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
        found = required(here, found | {name})
    return found


def unneeded() -> set[str]:
    """The modules of every installed package that is neither named in `NEEDED` nor required by one that is."""
    kept = required(NEEDED) | {"mae-lib"}
    owners = metadata.packages_distributions().items()
    return {module for module, packages in owners if not kept & {canonicalize_name(name) for name in packages}}


def start(preset: Path, out: Path, runs: Path, *more: str) -> subprocess.Popen:
    """The command in a process of its own, without the libraries that a bare machine lacks."""
    environment = os.environ | {"MAE_LIB_RUNS": str(runs), "OMP_NUM_THREADS": "1"}
    program = preset.with_name("bare.py")
    program.write_text(f"MISSING = {unneeded()!r}\n{BARE}")
    command = [sys.executable, str(program), str(preset), str(out), *more]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def test_the_folder_holds_every_section_reader_and_run(published_tiny):
    assert {path.name for path in published_tiny.iterdir()} == {
        "preset.yaml",
        "scores.csv",
        "training.csv",
        "provenance.json",
        "encoders",
        "scores",
    }
    scores = rows(published_tiny)
    assert {row["section"] for row in scores} == set(SECTIONS)
    assert {row["reader"] for row in scores} == {"trained", "untrained", "pixels", "nothing", "uniform"}
    names = [(*(row[name] for name in module.SCORES[:6]),) for row in scores]
    assert len(names) == len(set(names))
    ssim = {(row["ratio"], row["unit"], row["seed"]): row for row in scores if row["metric"] == "SSIM"}
    assert set(ssim) == {(r, "8", s) for r in ("0.5", "0.75", "0.9") for s in "01"}
    assert all(row["count"] == "24" and len(row["value"]) > 8 for row in ssim.values())
    assert len(rows(published_tiny, "training.csv")) == 6


def test_encoders_open_as_runs_in_half_precision_with_a_shorter_log(published_tiny):
    runs = shipped_runs(published_tiny)
    assert set(runs) == {(ratio, 8, 0) for ratio in (0.5, 0.75, 0.9)}
    run = runs[0.5, 8, 0]
    assert isinstance(run.load(), MAE) and run.done["steps"] == 2 and 1 <= len(run.history()) <= 60
    parameters = sum(value.numel() for value in run.load().state_dict().values())
    assert (run.directory / "model.safetensors").stat().st_size < 4 * parameters


def test_a_long_log_is_thinned_to_averages():
    lines = [{"step": step, "loss": float(step)} for step in range(1, 1001)]
    thin = module._thinned(lines)
    assert len(thin) == 60 and thin[-1]["step"] == 1000
    assert sum(line["loss"] for line in thin) / 60 == pytest.approx(500, rel=0.01)
    assert module._thinned(lines[:60]) == lines[:60]


def test_provenance_names_no_place_of_a_machine(published_tiny):
    text = "".join(path.read_text() for path in published_tiny.rglob("*") if path.suffix in {".json", ".yaml", ".csv"})
    assert "/" not in json.loads((published_tiny / "provenance.json").read_text())["device"]
    assert os.uname().nodename not in text and str(Path.home()) not in text and "/tmp" not in text
    provenance = json.loads((published_tiny / "provenance.json").read_text())
    assert {"versions", "code_hash", "git_commit", "finished", "training_seconds"} <= provenance.keys()
    assert provenance["wall_seconds"] > 0 and provenance["parameters"]["preset"] == "tiny"


def test_a_second_call_trains_and_measures_nothing(published_tiny, tiny_preset, monkeypatch, capsys):
    before = {path: path.read_bytes() for path in published_tiny.rglob("*") if path.is_file()}
    monkeypatch.setattr(module, "_do", lambda *_: pytest.fail("there was nothing to do"))
    publish(tiny_preset, published_tiny, device="cpu")
    assert "complete already" in capsys.readouterr().out
    assert before == {path: path.read_bytes() for path in published_tiny.rglob("*") if path.is_file()}


def test_the_folder_alone_is_gone_on_from(published_tiny, tiny_preset, tmp_path, monkeypatch, capsys):
    """Nothing of `runs` is kept: a third of the seeds is added, stopped and gone on with, and the first two stand."""
    import shutil

    folder = tmp_path / "tiny"
    shutil.copytree(published_tiny, folder)
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path / "other machine"))
    before = rows(folder)
    publish(tiny_preset, folder, seeds=[0, 1, 2], device="cpu", minutes=1e-6)
    assert "4 parts to do" in (said := capsys.readouterr().out) and "3 parts are left" in said
    assert [row for row in rows(folder) if row["seed"] != "2"] == before
    assert module.finished_seeds(folder, yaml.safe_load((folder / "preset.yaml").read_text())) == [0, 1]
    publish(tiny_preset, folder, seeds=[0, 1, 2], device="cpu")
    assert "3 parts to do" in capsys.readouterr().out
    assert module.finished_seeds(folder, yaml.safe_load((folder / "preset.yaml").read_text())) == [0, 1, 2]
    assert len(rows(folder, "training.csv")) == 9


def test_the_number_of_each_image_is_kept_beside_the_means(published_tiny):
    with np.load(published_tiny / "scores" / "r0.75-u8-s1.npz") as kept:
        images = kept["reconstruction/SSIM"]
    (row,) = [r for r in rows(published_tiny) if (r["metric"], r["ratio"], r["seed"]) == ("SSIM", "0.75", "1")]
    assert len(images) == int(row["count"]) and images.mean() == pytest.approx(float(row["value"]), abs=1e-3)


def test_a_bare_machine_has_nothing_that_draws_or_reads_tables():
    assert {"pandas", "matplotlib", "seaborn", "skimage", "IPython", "papermill", "transformers"} <= unneeded()
    assert not {"torch", "timm", "torchvision", "sklearn", "piq", "numpy", "yaml"} & unneeded()


@pytest.mark.slow
def test_a_killed_command_goes_on_on_a_bare_machine(published_tiny, tiny_preset, tmp_path):
    short = yaml.safe_load(tiny_preset.read_text()) | {"mask_ratios": [0.75, 0.9], "seeds": [0]}
    (tmp_path / "short.yaml").write_text(yaml.safe_dump(short))
    given = tmp_path / "short.yaml", tmp_path / "out", tmp_path / "runs"
    first = start(*given)
    while not (kept := list(given[2].glob("*/scores/reconstruction-*.npz"))):
        assert first.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    times = {path: path.stat().st_mtime_ns for path in [*kept, *given[2].glob("*/done.json")]}
    finished = {row["reader"] for row in rows(given[1])}  # what was finished, and not the part begun
    assert times and finished == {"pixels", "untrained", "nothing", "uniform"}

    second = start(*given, "--ship", "0")
    out, _ = second.communicate(timeout=300)
    assert second.returncode == 0 and "2 of 2: " in out and "min left" in out
    assert not (given[1] / "encoders").exists()
    assert all(path.stat().st_mtime_ns == before for path, before in times.items())
    ours = [row for row in rows(given[1]) if row["reader"] == "trained"]
    key = module.SCORES[:6]
    whole = {tuple(row[name] for name in key): float(row["value"]) for row in rows(published_tiny)}
    for row in ours:
        expected = whole[tuple(row[name] for name in key)]
        assert float(row["value"]) == pytest.approx(expected, abs=1e-6, nan_ok=True), row
    metrics = {row["metric"] for row in ours}
    assert "SSIM" in metrics and not any(metric.startswith("photographs") for metric in metrics)


def test_another_presets_or_trainers_results_are_refused_by_name(published_tiny, tiny_preset, tmp_path, monkeypatch):
    other = yaml.safe_load(tiny_preset.read_text())
    other["scale"]["width"] = 32
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other))
    with pytest.raises(ValueError, match=r"tiny holds another preset's results \(width is 16 there, not 32\)"):
        publish(tmp_path / "other.yaml", published_tiny)
    with pytest.raises(ValueError, match=r"seeds is \[0, 1\] there, not \[0\]"):
        publish(tiny_preset, published_tiny, seeds=[0])
    monkeypatch.setattr(module, "TRAINER_VERSION", 99)
    with pytest.raises(ValueError, match=r"tiny was made by trainer 1, and this is trainer 99"):
        publish(tiny_preset, published_tiny)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear reader")
    with pytest.raises(ValueError, match="full is not empty and holds no published series"):
        publish(tiny_preset, tmp_path / "full")


def test_more_seeds_may_be_added():
    held = {"preset": "tiny", "seeds": [0, 1], "scale": {"width": 16}}
    assert different(held | {"seeds": [0, 1, 2]}, held, more_seeds=True) == []
    assert different(held | {"seeds": [1, 2]}, held, more_seeds=True) == ["seeds is [0, 1] there, not [1, 2]"]
    assert different(held, held) == []


def test_what_is_newer_than_a_published_preset_cannot_have_mattered_to_it():
    held = {"preset": "tiny", "seeds": [0], "scale": {"width": 16, "test_images": 24, "flip": True}}

    def against(**scale) -> list[str]:
        return different(held | {"scale": held["scale"] | scale}, held)

    assert against(detection_images=500) == []  # the size of an evaluation that there was not
    assert against(clip=None, pixel_mean=[0.5, 0.5, 0.5]) == []  # settings at the defaults that they had
    assert against(clip=1.0) == ["clip is None there, not 1.0"]
    assert against(detection_images=500, width=32) == ["width is 16 there, not 32"]
    gone = {"preset": "tiny", "seeds": [0], "scale": {"width": 16}}
    assert different(gone, held) == ["flip is True there, not False", "test_images is 24 there, not None"]


def test_settings_of_detection_matter_to_detection_alone():
    held = {"preset": "tiny", "seeds": [0], "scale": {"width": 16, "detection_images": 500}}
    asked = held | {"scale": held["scale"] | {"detection_images": 600}}
    assert different(asked, held) == []
    assert different(asked, held, detection=True) == ["detection_images is 500 there, not 600"]
    assert different({"preset": "tiny", "seeds": [0], "scale": {"width": 16}}, held) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ship", "-1"], "ship is -1"),
        (["--minutes", "0"], "ship is 1 and minutes 0.0: encoders"),
        (["--seeds", "0, 1"], "seeds is '0, 1': it must be a list"),
        (["--preset", "tiny"], "preset 'tiny' is unknown"),
        (["--device", "abacus"], "device 'abacus'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_folder(arguments, message, tmp_path, capsys):
    assert main(["series", "--preset", "smoke", "--out", str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()
