"""A detector is trained once, resumes bit for bit, learns, and does not mind an image without objects."""

import dataclasses
import json

import pytest
import torch

from mae_lib.data.files import Broken, DataError
from mae_lib.presets import PRESETS, load_preset
from mae_lib.training import Hardware
from mae_lib.transfer import finetune as module
from mae_lib.transfer.coco import CocoSplit
from mae_lib.transfer.finetune import DetectionConfig, batches, detection_run, finetune, fingerprint
from mae_lib.transfer.jitter import jittered
from mae_lib.transfer.model import DetectorSizes, mask_rcnn
from mae_lib.transfer.scoring import score

CPU = torch.device("cpu")


def tuned(config, mae, data, runs, **options):
    return finetune(config, mae, data, "test", runs, Hardware("cpu", progress=False, **options))


def same(one, other) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items())


def test_a_few_steps_lower_the_loss(mae, config, scenes, tmp_path):
    longer = dataclasses.replace(config, images=160)
    tuned(longer, mae, scenes["train"], tmp_path)
    run = detection_run(longer, mae, scenes["train"], "test", tmp_path)
    losses = [line["loss"] for line in run.history()]
    assert len(losses) == 40 and sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_it_is_trained_once_and_goes_on_after_a_kill_to_the_bit(mae, config, scenes, tmp_path, monkeypatch):
    data = scenes["train"]
    whole = tuned(config, mae, data, tmp_path / "whole")
    real, calls = module.loss_of(config.seed), []

    def killed(net, batch):
        calls.append(batch[0])
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(net, batch)

    monkeypatch.setattr(module, "loss_of", lambda seed: killed)
    with pytest.raises(KeyboardInterrupt):
        tuned(config, mae, data, tmp_path / "cut", save_seconds=0)
    monkeypatch.setattr(module, "loss_of", lambda seed: real)
    resumed = tuned(config, mae, data, tmp_path / "cut", save_seconds=0)
    assert same(whole, resumed)
    monkeypatch.setattr(module, "train", lambda *_: pytest.fail("trained twice"))
    assert same(whole, tuned(config, mae, data, tmp_path / "cut"))


def test_a_lower_layer_learns_less(mae, config, scenes, tmp_path):
    """How far a weight moves in one step goes with its layer's learning rate."""
    first = dict(mask_rcnn(mae, config.size, len(scenes["train"].categories), config.sizes).named_parameters())
    name = next(name for name in first if name.endswith("blocks.0.mlp.fc1.weight"))
    moved = {}
    for decay in (0.5, 1.0):
        one = dataclasses.replace(config, images=config.batch, warmup=0.0, weight_decay=0.0, layer_decay=decay)
        learned = dict(tuned(one, mae, scenes["train"], tmp_path).named_parameters())
        moved[decay] = (learned[name] - first[name]).abs().max().item()
    depth = len(mae.blocks)
    assert 0 < moved[0.5] == pytest.approx(0.5**depth * moved[1.0], rel=1e-3)


def test_the_address_changes_with_all_that_decides(mae, config, scenes):
    names = {detection_run(config, mae, scenes["train"], "test").directory.name}
    names.add(detection_run(dataclasses.replace(config, lr=1e-3), mae, scenes["train"], "test").directory.name)
    names.add(detection_run(config, mae, scenes["val"], "test").directory.name)
    before = fingerprint(mae)
    with torch.no_grad():
        mae.norm.bias[0] += 1
        names.add(detection_run(config, mae, scenes["train"], "test").directory.name)
        mae.norm.bias[0] -= 1
    assert len(names) == 4 and fingerprint(mae) == before


def test_reading_ahead_changes_nothing(mae, config, scenes):
    data = scenes["train"]
    plain, ahead = (batches(config, data, Broken(data, 0), CPU, readers) for readers in (0, 2))
    for step in (0, 1, 2, 5):
        one, other = plain(step, torch.arange(4)), ahead(step, torch.arange(4))
        assert one[0] == other[0] and all(map(torch.equal, one[1], other[1]))
        assert all(torch.equal(a[k], b[k]) for a, b in zip(one[2], other[2]) for k in a)
    one_pass = {round(image.sum().item(), 1) for step in range(3) for image in plain(step, torch.arange(4))[1]}
    assert one_pass == {round(scenes["train"].image(i).float().div(255).sum().item(), 1) for i in range(12)}


def test_coco_itself_is_learned_with_jitter_and_images_without_objects(mae, config, coco, tmp_path):
    wide = dataclasses.replace(config, jitter=(0.1, 2.0), size=64, images=16)
    data = CocoSplit(coco, "train")
    model = tuned(wide, mae, data, tmp_path, workers=2)
    assert model.roi_heads.box_predictor.cls_score.out_features == 4
    assert 0 <= score(model, CocoSplit(coco, "val")).values["AP box"] <= 100
    about = json.loads((tmp_path / detection_run(wide, mae, data, "test").directory.name / "done.json").read_text())
    assert about["steps"] == 4


def test_broken_images_are_passed_over_and_counted_and_too_many_stop_it(mae, config, coco, tmp_path, caplog):
    for split, number in (("train", 25), ("val", 34)):
        (coco / f"{split}2017" / f"{number:012d}.jpg").write_bytes(b"no image")
    data, held_out = CocoSplit(coco, "train"), CocoSplit(coco, "val")
    some = dataclasses.replace(config, images=8, max_broken=0.25)
    model = tuned(some, mae, data, tmp_path)
    run = detection_run(some, mae, data, "test", tmp_path)
    assert run.done["skipped_images"] == 1 and f"{data.images}/000000000025.jpg" in caplog.text
    assert len(score(model, held_out, 0.25).contributions["AP box"]) == len(held_out) - 1
    with pytest.raises(DataError, match=r"1 of 4 images cannot be read, more than a share of 0; .*000000000034\.jpg"):
        score(model, held_out)
    with pytest.raises(DataError, match=r"1 of 4 images cannot be read, more than a share of 0\.001"):
        tuned(dataclasses.replace(some, max_broken=0.001), mae, data, tmp_path)


def test_a_split_of_empty_images_alone_survives(mae, config, coco, tmp_path):
    path = coco / "annotations" / "instances_train2017.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"annotations": []}))
    small = dataclasses.replace(config, images=8)
    data = CocoSplit(coco, "train")
    run = detection_run(small, mae, data, "test", tmp_path)
    tuned(small, mae, data, tmp_path)
    assert torch.isfinite(torch.tensor(run.history()[-1]["loss"]))


def target_of(mask):
    from mae_lib.worlds.figurine_rendering import tight_boxes

    return {"boxes": tight_boxes(mask.bool()), "labels": torch.ones(len(mask)).long(), "masks": mask}


def test_jitter_moves_boxes_and_masks_with_the_pixels():
    mask = torch.zeros(2, 40, 60, dtype=torch.uint8)
    mask[0, 5:25, 10:40], mask[1, 30:36, 50:58] = 1, 1
    image = (mask.sum(0) * 255).expand(3, -1, -1).to(torch.uint8)
    seen = set()
    for visit in range(20):
        picture, target = jittered(image, target_of(mask), 48, 0, visit, (0.5, 2.0), True)
        again, _ = jittered(image, target_of(mask), 48, 0, visit, (0.5, 2.0), True)
        assert picture.shape == (3, 48, 48) and torch.equal(picture, again)
        union = target["masks"].any(0) if len(target["masks"]) else torch.zeros(48, 48).bool()
        assert ((picture[0] > 127) != union).float().mean() < 0.06  # edges may differ by rounding
        assert torch.equal(target["boxes"], target_of(target["masks"])["boxes"])
        seen.add((len(target["labels"]), target["boxes"].sum().item()))
    assert len(seen) > 15


def test_a_mirror_alone_mirrors_boxes_and_keeps_the_rest():
    mask = torch.zeros(1, 32, 32, dtype=torch.uint8)
    mask[0, 2:8, 3:10] = 1
    target = target_of(mask) | {"iscrowd": torch.zeros(1).long()}
    image = torch.randint(255, (3, 32, 32)).to(torch.uint8)
    flipped = [jittered(image, target, 32, 0, visit, None, True) for visit in range(12)]
    boxes = {tuple(one["boxes"][0].tolist()) for _, one in flipped}
    assert boxes == {(3.0, 2.0, 10.0, 8.0), (22.0, 2.0, 29.0, 8.0)}
    assert all(one["labels"].tolist() == [1] for _, one in flipped)
    assert all(torch.equal(one["boxes"], target_of(one["masks"])["boxes"]) for _, one in flipped)


@pytest.mark.parametrize("preset", [name for name in PRESETS if "detection_data" in load_preset(name)["scale"]])
def test_every_preset_holds_a_config(preset):
    scale = load_preset(preset)["scale"]
    config = DetectionConfig.from_scale(scale, seed=3)
    assert config.seed == 3 and config.size == scale["detection_size"]
    assert config.schedule().steps == config.images // config.batch


def test_a_setting_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match="detection_jitter is"):
        DetectionConfig(jitter=(2.0, 0.1))
    with pytest.raises(ValueError, match="detection_images is 8: it must be at least one batch, 64"):
        DetectionConfig(images=8)
    with pytest.raises(ValueError, match="detection_sizes has no widht: choose among anchor, channels"):
        DetectionConfig.from_scale({"detection_sizes": {"widht": 3}})
    assert DetectionConfig.from_scale({"detection_sizes": {"scales": [1]}}).sizes == DetectorSizes(scales=(1,))
