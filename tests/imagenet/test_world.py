"""Pretraining on files: the paper preset with a model of seconds, on a miniature of ImageNet."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from mae_lib.data.files import DataError
from mae_lib.data.loading import fixed_order
from mae_lib.imagenet.world import ImageNet
from mae_lib.presets import load_preset
from mae_lib.training import Hardware, PretrainConfig, find, pretrain
from mae_lib.worlds import make_world

PAPER = load_preset("paper")["scale"]
SMALL = {"image_size": 32, "unique_images": 60, "patch": 8, "unit": 8, "batch": 12, "images": 120}
SMALL |= {"width": 16, "depth": 1, "heads": 2, "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}
QUIET = Hardware("cpu", progress=False)


def config(**settings) -> PretrainConfig:
    return PretrainConfig.from_scale(PAPER, **SMALL | settings)


def weights(run) -> dict[str, torch.Tensor]:
    return run.load().state_dict()


def test_neither_workers_nor_a_stop_in_between_change_a_bit(real_data, tmp_path, monkeypatch):
    plain = pretrain(config(), tmp_path / "plain", QUIET)
    monkeypatch.setenv("MAE_LIB_WORKERS", "2")
    saved = []
    from mae_lib.training import checkpoints, engine

    save = checkpoints.save_state

    def stop(folder, step, *rest):
        save(folder, step, *rest)
        saved.append(step)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save_state", stop)
    monkeypatch.setattr(engine.time, "perf_counter", iter(range(0, 10**9, 100)).__next__)  # a save at every log line
    with pytest.raises(KeyboardInterrupt):
        pretrain(config(), tmp_path / "stopped", QUIET)
    monkeypatch.setattr(checkpoints, "save_state", save)
    resumed = pretrain(config(), tmp_path / "stopped", QUIET)
    assert saved and resumed.done["steps"] == 10 > saved[0]
    assert all(torch.equal(a, b) for a, b in zip(weights(plain).values(), weights(resumed).values()))


def test_a_run_is_addressed_by_its_files_and_not_by_where_they_lie(real_data, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(real_data["MAE_LIB_IMAGENET"], moved)
    same = config(world_options={"root": str(moved), "resident": True})
    assert same.name == config().name
    assert config(world_options={"crop": [0.5, 1.0]}).name != config().name
    other = tmp_path / "fewer"  # a listing is read once in a process
    moved.rename(other)
    next((other / "val").glob("*/*")).unlink()
    assert config(world_options={"root": str(other)}).name != config().name


def test_a_broken_image_is_skipped_and_counted_in_the_run(real_data, tmp_path):
    root = tmp_path / "imagenet"
    shutil.copytree(real_data["MAE_LIB_IMAGENET"], root)
    bad = sorted((root / "train").glob("*/*.JPEG"))[int(fixed_order(64)[0])]
    bad.write_bytes(b"")
    options = {"root": str(root), "max_broken": 0.05}
    run = pretrain(config(world_options=options), tmp_path / "runs", QUIET)
    assert run.done["skipped_images"] == 1
    strict = config(world_options=options | {"max_broken": 0.001})
    with pytest.raises(DataError, match=r"1 of 64 images cannot be read, more than a share of 0\.001"):
        pretrain(strict, tmp_path / "strict", QUIET)
    assert find(strict, tmp_path / "strict") is None


def test_the_world_shows_validation_centres_in_a_fixed_order(real_data):
    world = make_world("imagenet", size=32)
    one, pair = world.sample(torch.tensor([5]), "test"), world.sample(torch.tensor([2, 5]), "test")
    assert torch.equal(one.images[0], pair.images[1]) and one.images.shape == (1, 3, 32, 32)
    assert one.images.min() >= 0 and one.images.max() <= 1 and one.labels.dtype == torch.int64
    number = int(fixed_order(64)[5])
    assert int(one.labels) == world.images("val").labels[number]
    assert len(set(world.sample(torch.arange(16), "test").labels.tolist())) > 4  # no longer sorted by class
    assert world.classes == 1000 and world.hierarchy is None and json.dumps(world.spec())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"crop": [0.5, 0.2]}, "crop is"),
        ({"crop": [0.5]}, "crop is"),
        ({"max_broken": 2}, "max_broken is 2"),
        ({"size": 4}, "size is 4"),
        ({"rooot": "x"}, "has no option 'rooot': it has size, root, crop"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        make_world("imagenet", **options)


def test_more_images_than_there_are_and_a_set_that_is_not_there_are_refused(real_data, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="number of training images is 90: it must be at most 64, all there are"):
        pretrain(config(unique_images=90), tmp_path, QUIET)
    with pytest.raises(ValueError, match="an image's number is 64: it must be below 64"):
        ImageNet(32).sample(torch.tensor([64]), "test")
    with pytest.raises(ValueError, match="split is 'valid'"):
        ImageNet(32).sample(torch.tensor([0]), "valid")
    monkeypatch.delenv("MAE_LIB_IMAGENET")
    assert config().steps == 10  # a config can be made and checked where the data are not
    with pytest.raises(DataError, match="MAE_LIB_IMAGENET is not set"):
        pretrain(config(), tmp_path, QUIET)
    assert not list(Path(tmp_path).glob("*/log.jsonl"))
