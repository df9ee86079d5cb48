"""A build starts where it can, says why where it cannot, and takes folders and presets of any name."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake.cli import parse_config

ROOT = Path(__file__).resolve().parents[1]
ODD = """a 'b' "c" [d] (e) $(touch hacked) `touch hacked`;touch hacked & x: #ä"""
QUOTE = "'"
RECORDER = """#!{python}
import json, os, sys
print(json.dumps([*sys.argv[1:]]), file=open({log!r}, "a"))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A checkout in a folder with a blank, an umlaut and brackets, with a preset of an odd name in it."""
    place = tmp_path_factory.mktemp("odd") / "Köln {Ordner} (1)"
    for package in ("mae_lib", "notebooks"):
        shutil.copytree(ROOT / package, place / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (
        "Snakefile",
        "Makefile",
        "pyproject.toml",
        "constraints.txt",
        "_config.yml",
        "CITATION.cff",
        "results",
        "book",
    ):
        (place / name).symlink_to(ROOT / name)
    text = (ROOT / "notebooks" / "presets" / "smoke.yaml").read_text()
    for one, value in (("preset", "mine"), ("mask_ratios", "[0.75]"), ("units", "[8]")):
        text = re.sub(f"^{one}: .*", f"{one}: {value}", text, flags=re.MULTILINE)
    (place / f"{ODD}.yaml").write_text(text)
    return place


def recorded(place, name="python"):
    """A program that writes down what it is called with, and the file where it does."""
    log, program = place / f"{name}.log", place / "programs" / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(RECORDER.format(python=sys.executable, log=str(log)))
    program.chmod(0o755)
    return log, program


def make(place, *arguments, bin=Path(sys.executable).parent, **settings):
    """make in `place`, with an environment that is there already."""
    settings = {"PYTHONPATH": str(ROOT), "MAE_LIB_RUNS": str(place / "runs")} | settings
    bare = ["make", "-s", f"BIN={bin}", "READY=pyproject.toml", *arguments]
    return subprocess.run(bare, cwd=place, env=os.environ | settings, capture_output=True, text=True)


def quoted(preset):
    return f"preset= '{preset.replace(QUOTE, 2 * QUOTE)}' "


def test_a_shell_hands_each_job_what_was_meant(place):
    log, program = recorded(place)
    options = ["pretrain=--set 'x=$(touch hacked)' ", quoted(f"{ODD}.yaml")]
    dry = ["-n", "-p", "-F", "--cores", "1", "--nolock", "--config", *options, "--", "book/_build/built.txt"]
    command = [sys.executable, "-m", "snakemake", *dry]
    here = {"MAE_LIB_RUNS": ODD, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'book'}"}
    done = subprocess.run(command, cwd=place, env=os.environ | here, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    shell = re.findall("^Shell command: (.*)$", done.stdout + done.stderr, re.MULTILINE)
    of_each = {
        re.search(r" (?:mae_lib|maebook) (\w+) ", line)[1]: line for line in shell
    }  # one command of each kind will do
    (place / ODD / "series" / ODD).mkdir(parents=True)
    for kind in ("pretrain", "execute"):
        ran = of_each[kind].replace(shlex.quote(sys.executable), shlex.quote(str(program)))
        subprocess.run(["bash", "-euo", "pipefail", "-c", ran], cwd=place, check=True)
    trained, executed = (json.loads(line)[2:] for line in log.read_text().splitlines())
    mask = ["--mask-ratio", "0.75", "--unit", "8", "--seed", "0"]
    assert trained == ["mae_lib", "pretrain", f"--preset={ODD}.yaml", *mask, "--set", "x=$(touch hacked)"]
    name = Path(executed[2]).name
    assert executed[1:] == ["execute", f"notebooks/{name}", f"{ODD}/notebooks/{ODD}/{name}", f"--preset={ODD}.yaml"]
    assert [path.name for path in (place / ODD / "series" / ODD).iterdir()] == ["r0.75-u8-s0.txt"]
    python, preset, runs = map(shlex.quote, (sys.executable, ODD + ".yaml", ODD))
    built = f"{python} -m maebook render --preset={preset} --runs={runs}"
    assert of_each["render"].startswith(built) and not list(place.glob("hacked*"))


def test_make_hands_the_preset_on(place):
    log, program = recorded(place, "python3")
    program.rename(program.with_name("python"))
    for preset in (f"{ODD}.yaml", "x$(id).yaml", "it's.yaml"):
        done = make(place, "pdf", f"PRESET={preset}", bin="programs")
        assert f"the book ({preset}): {place}/book/_build/html/index.html" in done.stdout
        graph, printed = map(json.loads, log.read_text().splitlines()[-2:])
        assert parse_config([graph[graph.index("--config") + 1]]) == {"preset": preset}
        assert printed == ["-m", "maebook", "pdf", f"--preset={preset}"]
    assert not list(place.glob("hacked*"))


def test_errors_are_shown_where_progress_is_not(place):
    done = make(place, "book", f"PRESET={ODD}.yaml", MAE_LIB_RUNS="a{b}")
    assert done.returncode and "MAE_LIB_RUNS 'a{b}' has braces" in done.stderr


def test_a_home_that_cannot_be_written_stops_nothing(place):
    done = make(place, "book", "PRESET=laptp", HOME="/proc/1/nowhere", XDG_CACHE_HOME="")
    assert done.returncode and "preset 'laptp' is unknown: choose one of book" in done.stderr
    assert "nowhere" not in done.stderr


POSING = """#!{python}
import sys
arguments, sys.argv[1:] = sys.argv[1:], []
if arguments[0] != "-c":
    sys.exit("a venv is made")
sys.version_info = {version}
exec(arguments[1])
"""


@pytest.mark.parametrize(
    ("version", "suits"), [((2, 7), 0), ((3, 10), 0), ((3, 11), 1), ((3, 13), 1), ((3, 14), 0), ((4, 0), 0)]
)
def test_a_python_that_does_not_suit_is_refused_in_one_line(tmp_path, version, suits):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).symlink_to(ROOT / name)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "cat", "cksum", "cut", "sed", "mkdir", "rm", "getconf"):  # and no uv
        (tools / tool).symlink_to(shutil.which(tool))
    posing = tools / "python3"
    posing.write_text(POSING.format(python=sys.executable, version=version))
    posing.chmod(0o755)
    settings = {"PATH": str(tools), "HOME": str(tmp_path)}
    done = subprocess.run([shutil.which("make"), "lint"], cwd=tmp_path, env=settings, capture_output=True, text=True)
    assert done.returncode and ("a venv is made" in done.stderr) == bool(suits)
    refused = "python3 is no Python >=3.11,<3.14: name one, make PYTHON=python3.12, or install uv, which fetches it\n"
    assert done.stderr.startswith(refused) != bool(suits) and done.stderr.count("\n") == 2  # the other is make's own
    assert not (tmp_path / ".venv").exists()


def test_pytorch_without_cuda_is_asked_for_by_name():
    for asked, flag in (("TORCH=cpu", True), ("TORCH=", False)):
        done = subprocess.run(["make", "-n", asked, "READY=new", "new"], cwd=ROOT, capture_output=True, text=True)
        assert ("--torch-backend cpu" in done.stdout) == ("/whl/cpu " in done.stdout) == flag
