"""What tests of several rooms share: a published series of seconds, the miniature data sets, a browser.

`make test` runs the files of the tests in several processes, each file in one of them, so that what a module made is
made once. What is dear is shared further: `published_tiny` by all processes, and the process from which programs and
kernels are forked by all files that ask for it, which therefore run in one.
"""

import fcntl
import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from maebook import forkserver

os.environ.setdefault(forkserver.THREADS, "1")  # before PyTorch reads it: models are tiny
sys.path[:0] = [str(Path(__file__).with_name("data")), str(Path(__file__).parent)]  # for miniature.py and fakes.py

TINY = {
    "preset": "tiny",
    "seeds": [0, 1],
    "mask_ratios": [0.5, 0.75, 0.9],
    "units": [8],
    "scale": {
        "world": "figurines",
        "world_options": {},
        "image_size": 32,
        "unique_images": 16,
        "patch": 4,
        "width": 16,
        "depth": 1,
        "heads": 2,
        "decoder_width": 16,
        "decoder_depth": 1,
        "decoder_heads": 2,
        "norm_pixels": True,
        "pixel_mean": [0.5, 0.5, 0.5],
        "pixel_std": [0.3, 0.3, 0.3],
        "batch": 16,
        "images": 32,
        "lr": 0.002,
        "warmup": 0.1,
        "clip": 1.0,
        "unit": 8,
        "test_images": 24,
        "probe_images": 72,
    },
}


@pytest.fixture(autouse=True)
def same_numbers_each_time():
    """What a test draws without a generator of its own does not depend on the tests before it."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """A file stays in one process, and all files of which a test is forked in the same."""
    forking = {item.path for item in items if "forked" in getattr(item, "fixturenames", ())}
    for item in items:
        group = "forked" if item.path in forking else f"{item.path.parent.name}/{item.path.stem}"
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def of_all_processes(tmp_path_factory) -> Path:
    """The temporary folder of the whole session, which the processes of pytest-xdist share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def fork_server():
    """A process that has imported PyTorch and the like, and its address: see `maebook.forkserver`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(forkserver.ADDRESS, "")
        started = forkserver.start()
        address = os.environ[forkserver.ADDRESS]
    yield started, address
    if started:
        started.stdin.close()
        started.wait(20)


@pytest.fixture
def forked(fork_server, monkeypatch) -> None:
    """Kernels, and `python -m maebook.forkserver MODULE`, are forked, libraries imported: a second, not ten."""
    monkeypatch.setenv(forkserver.ADDRESS, fork_server[1])
    monkeypatch.setenv(forkserver.THREADS, "1")


@pytest.fixture(scope="session")
def tiny_preset(tmp_path_factory) -> Path:
    """A preset file of three ratios and two seeds, two training steps each."""
    path = tmp_path_factory.mktemp("presets") / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY, sort_keys=False))
    return path


@pytest.fixture(scope="session")
def published_tiny(tiny_preset, of_all_processes) -> Path:
    """A folder of published results, `tiny/`, alone in its folder, for a whole session: tests must not write there."""
    from mae_lib.studies.publish import publish

    with pytest.MonkeyPatch.context() as patch, open(of_all_processes / "tiny.lock", "w") as lock:
        patch.setenv("MAE_LIB_RUNS", str(of_all_processes / "tiny_runs"))
        fcntl.flock(lock, fcntl.LOCK_EX)  # who comes second finds all of it done
        return publish(tiny_preset, of_all_processes / "published" / "tiny", device="cpu")


@pytest.fixture(scope="session")
def drawn_tiny(tmp_path_factory) -> Path:
    """A folder with a pack of five concepts, `runs/`, and `drawn/`, the published series of two masks on it."""
    from drawn_hands import use_small_pack

    from mae_lib.studies.publish import publish

    root = tmp_path_factory.mktemp("drawn")
    sizes = {"world": "drawings", "snapshots": 2, "probe_images": 60, "supervised_images": 32}
    masks = {"preset": "drawn", "seeds": [0], "mask_ratios": [0.75, 0.9]}
    (root / "drawn.yaml").write_text(yaml.safe_dump(TINY | masks | {"scale": TINY["scale"] | sizes}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAE_LIB_RUNS", str(root / "runs"))
        use_small_pack(patch, root)
        publish(root / "drawn.yaml", root / "drawn", device="cpu")
    return root


@pytest.fixture
def only_tiny(published_tiny, tmp_path, monkeypatch) -> Path:
    """`published_tiny` as all that is published, and a runs folder that is empty."""
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(published_tiny.parent))
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path / "no_runs"))
    return published_tiny


@pytest.fixture
def longer(only_tiny, tmp_path, monkeypatch):
    """Two published folders: `tiny`, and `long` of twice the images, two ratios, and values higher by ratio / 10."""
    import pandas as pd

    from mae_lib.studies.results import published

    shutil.copytree(only_tiny, tmp_path / "tiny")
    shutil.copytree(only_tiny, tmp_path / "long")
    preset = yaml.safe_load((tmp_path / "long" / "preset.yaml").read_text())
    preset["scale"]["images"] *= 2
    preset["mask_ratios"] = [0.75, 0.9]
    (tmp_path / "long" / "preset.yaml").write_text(yaml.safe_dump(preset))
    table = pd.read_csv(tmp_path / "long" / "scores.csv")
    table.loc[table["reader"] == "trained", "value"] += table["ratio"] / 10
    table.to_csv(tmp_path / "long" / "scores.csv", index=False)
    monkeypatch.setenv("MAE_LIB_PUBLISHED", str(tmp_path))
    return published()


@pytest.fixture(scope="session")
def miniatures(tmp_path_factory) -> dict[str, str]:
    """A miniature of every real data set on disk: its folder by environment variable. Tests must not write there."""
    from miniature import write_all

    return write_all(tmp_path_factory.mktemp("data"))


@pytest.fixture
def real_data(miniatures, monkeypatch) -> dict[str, str]:
    """The miniatures, named by their environment variables."""
    for variable, folder in miniatures.items():
        monkeypatch.setenv(variable, folder)
    monkeypatch.setenv("MAE_LIB_WORKERS", "0")
    return miniatures


@pytest.fixture(scope="session")
def miniature_preset(tmp_path_factory) -> Path:
    """The paper preset on the miniature ImageNet, with a model and a probe of seconds."""
    from mae_lib.presets import load_preset

    paper = load_preset("paper")
    small = {"image_size": 32, "unique_images": 64, "patch": 8, "unit": 8, "batch": 16, "images": 640}
    small |= {"width": 32, "depth": 1, "heads": 2, "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}
    probe = {"batch": 32, "epochs": 16, "warmup_epochs": 2, "base_lr": 100.0}
    small |= {"test_images": 64, "probe_images": 64, "world_options": {"probe": probe, "max_broken": 0.05}}
    path = tmp_path_factory.mktemp("presets") / "miniature.yaml"
    masks = {"preset": "miniature", "mask_ratios": [0.75], "units": [8], "seeds": [0]}
    path.write_text(yaml.safe_dump(paper | masks | {"scale": paper["scale"] | small}, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium; the test is skipped where there is none."""
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    if binary is None:
        pytest.skip("no browser is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        opened = playwright.chromium.launch(executable_path=binary, args=options)
        yield opened
        opened.close()
