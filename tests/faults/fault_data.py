"""A data folder that vanishes, a run folder that vanishes, images that are cut short."""

import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from ground import RUN, assert_one_line, assert_same_bits, lines_of, start, train_run, trains, wait_until
from small import CONFIG

from mae_lib.data.files import DataError, Folder
from mae_lib.presets import load_preset
from mae_lib.training import MAE, Hardware, PretrainConfig, engine, pretrain
from mae_lib.transfer.coco import CocoSplit
from mae_lib.transfer.drawn import drawn as drawn_scenes
from mae_lib.transfer.finetune import DetectionConfig, finetune
from mae_lib.transfer.model import DetectorSizes
from mae_lib.transfer.scenes import Scenes
from mae_lib.worlds import make_world, rendered

FAULT = "data that vanish"
QUIET = Hardware("cpu", progress=False)
COUNT = CONFIG.unique_images


def drawn(folder):
    return rendered(make_world("figurines", size=CONFIG.image_size), "train", COUNT, folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    runs = tmp_path_factory.mktemp("whole")
    return train_run(runs, draw=partial(drawn, runs / "images"))


def begun(runs, said=None):
    """A process that trains on drawn images, after some steps."""
    process = start(trains, runs, said, draw=partial(drawn, runs / "images"))
    wait_until(lambda: lines_of(runs / RUN.name / "log.jsonl") >= 5, process)
    return process


def test_images_that_vanish_while_a_run_trains(tmp_path, whole, saw):
    for number in range(5):
        runs = tmp_path / str(number)
        process = begun(runs)
        shutil.rmtree(runs / "images")
        process.join()
        assert process.exitcode == 0  # the file stays until its last reader lets go
        assert_same_bits(train_run(runs, draw=None), whole)
        saw(FAULT, "the folder of drawn images is removed while a run trains", "trained to its end, the same bits")


def test_images_that_vanish_between_two_parts_of_a_run(tmp_path, whole, saw):
    for number in range(3):
        runs = tmp_path / str(number)
        process = begun(runs)
        process.kill()
        process.join()
        shutil.rmtree(runs / "images")
        assert_same_bits(train_run(runs, draw=partial(drawn, runs / "images")), whole)
        saw(FAULT, "the same, and the run is killed and resumed", "drawn again, the same bits")


def test_a_run_folder_that_vanishes_is_one_line_and_the_run_can_be_had_again(tmp_path, whole, saw):
    for number in range(3):
        runs, said = tmp_path / str(number), tmp_path / f"said{number}"
        process = begun(runs, said)
        os.rename(runs / RUN.name, tmp_path / f"gone{number}")
        process.join()
        if process.exitcode:  # a checkpoint may make the folder anew before the log misses it
            assert_one_line(said.read_text(), f"{runs / RUN.name}")
        assert_same_bits(train_run(runs, draw=partial(drawn, runs / "images")), whole)
        first = "one line that names the file; asked for again, " if process.exitcode else ""
        saw(FAULT, "the folder of a run is moved away while it trains", f"{first}the same bits")


def test_images_that_are_cut_short_or_foreign_are_drawn_again(tmp_path, saw):
    known = drawn(tmp_path).numpy().copy()
    file = next(tmp_path.glob("*.npy"))
    size = file.stat().st_size
    other = tmp_path / "other.npy"
    np.save(other, np.zeros((COUNT, 3, 8, 8), np.uint8))
    objects = tmp_path / "objects.npy"
    np.save(objects, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    cut = [file.read_bytes()[: int(share * size)] for share in (0, 0.001, 0.3, 0.7, 0.999)]
    for content in [*cut, other.read_bytes(), objects.read_bytes()]:
        file.write_bytes(content)
        assert np.array_equal(drawn(tmp_path).numpy(), known)
        saw(FAULT, "a file of drawn images is cut short, or is another array", "drawn again, the same images")


def test_a_process_that_is_killed_while_it_draws_leaves_no_half_file(tmp_path, saw):
    world = partial(make_world, "figurines", size=32)
    known = rendered(world(), "train", 2000, tmp_path / "plain").numpy()
    for number in range(3):
        folder = tmp_path / str(number)
        process = start(rendered, world(), "train", 2000, folder)
        wait_until(lambda folder=folder: any(path.stat().st_size > 9000 for path in folder.glob("*.part")), process)
        process.kill()
        process.join()
        assert not list(folder.glob("*.npy"))
        assert np.array_equal(rendered(world(), "train", 2000, folder).numpy(), known)
        assert not list(folder.glob("*.part"))
        saw(FAULT, "a process is killed while it draws images", "drawn again, the same images")


def vanishes_at(call, owner, name, folder, monkeypatch):
    """`owner.name`, during whose call-th call the folder is moved away; where it is then."""
    original, away, count = getattr(owner, name), folder.with_name(f"{folder.name}-away"), 0

    def deadly(self, index):
        nonlocal count
        count += 1
        if count == call:
            folder.rename(away)
        return original(self, index)

    monkeypatch.setattr(owner, name, deadly)
    return away


def test_imagenet_that_vanishes_while_a_run_trains(real_data, tmp_path, monkeypatch, saw):
    small = {"image_size": 32, "unique_images": 64, "patch": 8, "unit": 8, "batch": 16, "images": 640}
    small |= {"width": 16, "depth": 1, "heads": 2, "decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}
    own = Path(shutil.copytree(real_data["MAE_LIB_IMAGENET"], tmp_path / "imagenet"))
    small |= {"world_options": {"root": str(own), "max_broken": 0.05}}
    config = PretrainConfig.from_scale(load_preset("paper")["scale"], **small)
    monkeypatch.setattr(engine.time, "perf_counter", iter(range(0, 10**9, 100)).__next__)  # a save at every step
    whole = pretrain(config, tmp_path / "whole", QUIET)
    for call in (1, 100, 333):
        runs = tmp_path / str(call)
        with monkeypatch.context() as patch:
            away = vanishes_at(call, Folder, "read", own, patch)
            with pytest.raises(DataError) as error:
                pretrain(config, runs, QUIET)
        assert_one_line(str(error.value), "has vanished: mount it again, and the same command goes on")
        away.rename(own)
        assert any(runs.glob("*/checkpoint-*.json")) == (call > 16)
        assert_same_bits(pretrain(config, runs, QUIET), whole)
        saw(FAULT, "ImageNet's folder, while a run trains", "one line; when it is back, on to the same bits")


def test_coco_that_vanishes_while_a_detector_learns(tmp_path, monkeypatch, saw):
    torch.manual_seed(0)
    mae = MAE(32, 8, width=16, depth=1, heads=2, decoder_width=16, decoder_heads=2, pixel_mean=(0.5,) * 3).eval()
    sizes = DetectorSizes(channels=16, scales=(2, 1), head_convs=0, head_width=16, sampling=1, proposals=16, samples=16)
    small = {"size": 32, "images": 24, "batch": 4, "lr": 2e-3, "jitter": (0.5, 1.5), "flip": True, "clip": 1.0}
    config = DetectionConfig(**small, sizes=sizes)
    data = drawn_scenes(Scenes(size=32, side=(10.0, 20.0), objects=(0, 2)), {"train": 12}, tmp_path)["train"]
    whole = finetune(config, mae, data, "x", tmp_path / "whole", replace(QUIET, save_seconds=0)).state_dict()
    for call in (1, 10, 23):
        learn = partial(finetune, config, mae, data, "x", tmp_path / str(call), replace(QUIET, save_seconds=0))
        with monkeypatch.context() as patch:
            away = vanishes_at(call, CocoSplit, "read", data.images, patch)
            with pytest.raises(DataError) as error:
                learn()
        assert_one_line(str(error.value), "train2017 has vanished: mount it again, and the same command goes on")
        away.rename(data.images)
        assert any((tmp_path / str(call)).glob("*/checkpoint-*.json")) == (call > 4)
        found = learn().state_dict()
        assert all(torch.equal(found[name], whole[name]) for name in whole)
        saw(FAULT, "COCO's images, while a detector learns", "one line; when they are back, on to the same bits")
