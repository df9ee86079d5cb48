"""Numbers and declared versions change together: a run's address holds the version, so old numbers never stand for new.

`python tests/test_golden.py` writes `golden.json` anew; it is to be run once a version has been raised, and only then.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).with_name("training")))
from small import CONFIG, train_small

from mae_lib.studies import SECTIONS
from mae_lib.studies.section import untrained
from mae_lib.training import Hardware
from mae_lib.training.contrastive import CONTRASTIVE_VERSION, ContrastiveConfig, contrast
from mae_lib.training.engine import TRAINER_VERSION
from mae_lib.transfer.finetune import DETECTOR_VERSION
from mae_lib.transfer.model import DetectorSizes, mask_rcnn
from mae_lib.worlds import make_world

HELD = Path(__file__).with_name("golden.json")
WORLDS = ("figurines", "invertible_tree", "digits", "scenes")


def summary(values: Any) -> list[float]:
    """Eight sums of some numbers with weights that tell their places apart."""
    flat = np.asarray(values, dtype=float).ravel()
    weights = np.sin(np.outer(np.arange(1, 9), 1 + np.arange(flat.size)))
    return [float(f"{total:.8g}") for total in weights @ flat]


def seen(name: str, weights: torch.Tensor) -> torch.Tensor:
    """Without attention's bias of the keys, which softmax does not see: AdamW scales its rounding to full steps."""
    if not name.endswith("qkv.bias"):
        return weights
    query, _, value = weights.chunk(3)
    return torch.cat([query, value])


def trainer() -> tuple[int, dict[str, Any]]:
    """The addresses of two configs, and the losses and weights of a run of forty steps."""
    with tempfile.TemporaryDirectory() as folder:
        run = train_small(folder)
        weights = torch.cat([value.flatten() for value in map(seen, *zip(*run.load().encoder_state().items()))])
        found = {"loss": [line["loss"] for line in run.history()][::4], "weights": summary(weights.numpy())}
    addresses = [CONFIG.key, replace(CONFIG, mask_ratio=0.9, world_options={"classes": 4}).key]
    return TRAINER_VERSION, found | {"addresses": addresses}


def contrastive() -> tuple[int, dict[str, Any]]:
    mae = replace(CONFIG, image_size=32, unique_images=16)
    config = ContrastiveConfig(mae=mae, views="class", images=32, pairs=4, projection=8)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (16, 3, 32, 32), generator=generator, dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder:
        run = contrast(config, folder, Hardware("cpu", progress=False), lambda: images)
        return CONTRASTIVE_VERSION, {"loss": [line["loss"] for line in run.history()], "addresses": [config.key]}


def detector() -> tuple[int, dict[str, Any]]:
    """The loss of a detector with fresh weights on one image: its parts, sizes and targets."""
    sizes = DetectorSizes(channels=16, scales=(2, 1), head_convs=0, head_width=16, sampling=1, proposals=16, samples=16)
    scale = {"image_size": 32, "patch": 8, "unit": 8, "width": 16, "depth": 2, "heads": 2}
    scale |= {"decoder_width": 16, "decoder_heads": 2, "unique_images": 1, "batch": 1, "images": 1}
    mae = untrained(scale, 0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = mask_rcnn(mae, 32, 1, sizes).train()
        box, mask = torch.tensor([[4.0, 4.0, 20.0, 20.0]]), torch.zeros(1, 32, 32, dtype=torch.uint8)
        mask[:, 4:20, 4:20] = 1
        losses = model([torch.ones(3, 32, 32) / 2], [{"boxes": box, "labels": torch.tensor([1]), "masks": mask}])
    return DETECTOR_VERSION, {name: float(f"{value:.6g}") for name, value in sorted(losses.items())}


def world(name: str) -> tuple[int, dict[str, Any]]:
    if name == "scenes":
        from mae_lib.transfer.scenes import Scenes

        made = Scenes(size=32, side=(10.0, 20.0))
    else:
        made = make_world(name)
    images = made.sample(torch.arange(4), "train").images
    return made.version, {"images": summary((images * 255).round()), "address": made.address()}


GOLDEN: dict[str, Callable[[], tuple[int, dict[str, Any]]]] = {
    "trainer": trainer,
    "contrastive": contrastive,
    "detector": detector,
} | {f"world {name}": (lambda name=name: world(name)) for name in WORLDS}


def close(now: Any, then: Any) -> bool:
    """Equal, numbers but for what another processor's rounding does to them."""
    if isinstance(now, dict):
        return now.keys() == then.keys() and all(close(now[key], then[key]) for key in now)
    if isinstance(now, list):
        return len(now) == len(then) and all(map(close, now, then))
    if isinstance(now, float):
        return now == pytest.approx(then, rel=1e-4, abs=1e-4)
    return now == then


@pytest.mark.parametrize("name", GOLDEN)
def test_numbers_change_with_a_declared_version_and_only_then(name):
    version, found = GOLDEN[name]()
    held = json.loads(HELD.read_text())[name]
    assert version == held["version"], f"{name}: run `python tests/test_golden.py` to hold the numbers of {version}"
    assert close(json.loads(json.dumps(found)), held["found"]), f"{name}: other numbers, so raise its version"


def test_a_change_of_one_number_in_the_optimiser_is_seen(monkeypatch):
    from mae_lib.training.engine import Schedule

    monkeypatch.setattr(Schedule.__init__, "__defaults__", (0.05, 0.05, (0.9, 0.951), None))
    assert not close(trainer()[1], json.loads(HELD.read_text())["trainer"]["found"])


def test_sections_are_measured_as_their_versions_say(published_tiny):
    """The means of all scores of two-step models; a hit more or less, of 24 to 72, is rounding."""
    import pandas as pd

    table = pd.read_csv(published_tiny / "scores.csv")
    rows = table[(table["reader"] == "trained") & (table["seed"] == 0)]
    held = json.loads(HELD.read_text())["sections"]
    for name, scores in held.items():
        ours = rows[rows["section"] == name].set_index(["ratio", "metric"])["value"]
        assert SECTIONS[name].version == scores["version"] and len(ours) >= len(scores["found"])
        apart = [abs(ours[float(key.split(" ", 1)[0]), key.split(" ", 1)[1]] - v) for key, v in scores["found"].items()]
        assert np.median(apart) < 2e-3 and max(apart) < 0.15, f"{name}: other numbers, so raise its version"


def sections() -> dict[str, Any]:
    import pandas as pd
    import yaml
    from conftest import TINY

    from mae_lib.studies.publish import publish

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAE_LIB_RUNS", f"{folder}/runs")
        (Path(folder) / "tiny.yaml").write_text(yaml.safe_dump(TINY))
        table = pd.read_csv(publish(Path(folder) / "tiny.yaml", Path(folder) / "tiny", device="cpu") / "scores.csv")
    rows = table[(table["reader"] == "trained") & (table["seed"] == 0)]
    return {
        name: {
            "version": SECTIONS[name].version,
            "found": {f"{row.ratio:g} {row.metric}": float(f"{row.value:.5g}") for row in of.itertuples()},
        }
        for name, of in rows.groupby("section")
    }


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    made = {name: dict(zip(("version", "found"), make())) for name, make in GOLDEN.items()}
    HELD.write_text(json.dumps(made | {"sections": sections()}, indent=1) + "\n")
