"""Each set in its own layout: what it holds, how a prediction is judged, and what is said where it is not right."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from miniature import LABELS, OBJECTS, PER_CLASS, picture, save
from timm.data import ImageNetInfo

from mae_lib.data.files import DataError
from mae_lib.imagenet import sets
from mae_lib.imagenet.cue_conflict import CLASSES


def one_hot(*classes: int) -> torch.Tensor:
    return torch.eye(1000)[list(classes)]


def test_labels_are_imagenets_numbers_whatever_classes_a_folder_holds(real_data):
    for split, first in (("train", 0), ("val", 100)):
        images = sets.imagenet(split)
        assert len(images) == len(LABELS) * PER_CLASS and set(images.labels.tolist()) == set(LABELS)
        for path, label in zip(images.paths.tolist(), images.labels.tolist()):
            folder, file = path.decode().split("/")
            assert folder == ImageNetInfo().index_to_label_name(label) and file.startswith(folder)
            assert int(file.split("_")[1].split(".")[0]) >= first
    first = sets.imagenet("train").read(0)
    assert first.mode == "RGB" and first.size == (40, 60)


def test_folders_of_version_two_are_numbers_and_not_in_the_order_of_their_names(real_data):
    images = sets.imagenet_v2().images
    assert set(images.labels.tolist()) == set(LABELS)
    assert all(int(path.split(b"/")[0]) == label for path, label in zip(images.paths.tolist(), images.labels))


def test_a_variant_of_version_two_is_named(real_data):
    with pytest.raises(DataError, match=r"'v3' is unknown: choose one of matched-frequency, threshold"):
        sets.imagenet_v2("v3")
    with pytest.raises(DataError, match="it should hold imagenetv2-top-images-format-val"):
        sets.imagenet_v2("top-images")
    inside = Path(real_data["MAE_LIB_IMAGENET_V2"]) / "imagenetv2-matched-frequency-format-val"
    assert len(sets.imagenet_v2(root=inside).images) == len(LABELS)
    with pytest.raises(DataError, match=r"is another variant than 'threshold-0\.7'"):
        sets.imagenet_v2("threshold-0.7", inside)


@pytest.mark.parametrize("letter, names", [("a", sets.imagenet_a), ("r", sets.imagenet_r)])
def test_only_the_sets_own_200_classes_can_win(real_data, letter, names):
    one, among = names(), sets.subset(letter)
    assert len(among) == 200 == len(set(among)) and set(one.images.labels.tolist()) <= set(among)
    outside = next(label for label in range(1000) if label not in among)
    logits = 5 * one_hot(outside) + 3 * one_hot(among[7])  # a class that the set does not have is ahead
    assert one.hits(logits, np.array([among[7]])).tolist() == [True]
    assert one.hits(logits, np.array([among[8]])).tolist() == [False]


def test_subsets_are_the_ones_whose_synsets_timm_lists():
    from importlib.resources import files

    for letter in "ar":
        listed = (files("timm.data") / "_info" / f"imagenet_{letter}_synsets.txt").read_text().split()
        assert {sets.WNIDS[label] for label in sets.subset(letter)} == set(listed)


def test_an_object_counts_as_each_of_its_imagenet_classes(real_data):
    one = sets.objectnet()
    assert [one.accepted[number] for number in range(3)] == [(409, 530), (440,), (559, 765)]  # by folder
    assert len(one.images) == 9  # the air freshener has no counterpart
    labels = np.array([0, 0, 0, 1])
    assert one.hits(one_hot(409, 530, 440, 440), labels).tolist() == [True, True, False, True]


def test_objectnets_red_border_is_cut_off(real_data):
    image = np.asarray(sets.objectnet().images.read(0))
    assert image.shape == (44, 56, 3)
    assert np.abs(image.astype(int) - np.asarray(picture(409, 400)).astype(int)).max() == 0


def test_mapping_files_that_are_missing_damaged_or_lead_outside_are_refused(real_data, tmp_path):
    root = tmp_path / "objectnet"
    shutil.copytree(real_data["MAE_LIB_OBJECTNET"], root)
    mappings = root / "objectnet-1.0" / "mappings"

    def refused(file: str, text: str | None, says: str) -> None:
        before = (mappings / file).read_text()
        (mappings / file).unlink() if text is None else (mappings / file).write_text(text)
        with pytest.raises(DataError, match=says):
            sets.objectnet(root)
        (mappings / file).write_text(before)

    refused("objectnet_to_imagenet_1k.json", None, r"objectnet_to_imagenet_1k\.json cannot be read")
    refused("objectnet_to_imagenet_1k.json", '{"Chair": "barber ch', "truncated or is not JSON")
    refused("objectnet_to_imagenet_1k.json", '{"Chair": "sofa"}', "'Chair' counts as 'sofa', which is no class")
    refused("objectnet_to_imagenet_1k.json", '{"Sofa": "studio couch, day bed"}', "names 'Sofa', which has no folder")
    refused("folder_to_objectnet_label.json", '["chair"]', "should be a mapping of names to names")
    refused("folder_to_objectnet_label.json", '{"../../chair": "Chair"}', "'../../chair', which may lead out")
    refused("pytorch_to_imagenet_2012_id.json", '{"0": 4000}', "maps '0' to 4000: no such class")
    refused("imagenet_to_label_2012_v2", None, "it should hold imagenet_to_label_2012_v2")
    assert len(sets.objectnet(root).images) == 3 * sum(1 for _, known in OBJECTS.values() if known)


def test_cue_conflict_images_know_both_of_their_classes(real_data):
    one = sets.cue_conflict()
    assert len(one.images) == 48 and (one.shapes == one.textures).sum() == 16
    name = one.images.paths[0].decode()
    assert name.startswith(f"airplane/airplane1-{CLASSES[one.textures[0]]}")


def test_a_cue_conflict_image_in_the_wrong_folder_is_named(tmp_path):
    save(tmp_path / "dog" / "cat1-dog2.png", picture(0, 0))
    with pytest.raises(DataError, match=r"dog/cat1-dog2\.png lies in the folder of another shape"):
        sets.cue_conflict(tmp_path)
    (tmp_path / "dog" / "cat1-dog2.png").rename(tmp_path / "dog" / "holiday.png")
    with pytest.raises(DataError, match=r"holiday\.png is no cue-conflict image"):
        sets.cue_conflict(tmp_path)


@pytest.mark.parametrize(
    "variable, opens",
    [
        ("MAE_LIB_IMAGENET", lambda root=None: sets.imagenet("train", root)),
        ("MAE_LIB_IMAGENET_V2", lambda root=None: sets.imagenet_v2(root=root)),
        ("MAE_LIB_IMAGENET_R", sets.imagenet_r),
        ("MAE_LIB_IMAGENET_A", sets.imagenet_a),
        ("MAE_LIB_IMAGENET_SKETCH", sets.imagenet_sketch),
        ("MAE_LIB_OBJECTNET", sets.objectnet),
        ("MAE_LIB_CUE_CONFLICT", sets.cue_conflict),
    ],
)
def test_a_missing_or_wrong_folder_says_what_was_looked_for_and_what_was_found(variable, opens, tmp_path, monkeypatch):
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(DataError, match=f"{variable} is not set: it should name the folder with "):
        opens()
    with pytest.raises(DataError, match=rf"nowhere \({variable}\) is not there: it should hold "):
        opens(tmp_path / "nowhere")
    (tmp_path / "holiday.jpg").write_text("")
    with pytest.raises(DataError, match="is a file: it should hold "):
        opens(tmp_path / "holiday.jpg")
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match=r"holds 2 entries: holiday\.jpg, photos; it should hold "):
        opens(tmp_path)


def test_validation_images_that_are_not_sorted_by_class_are_told_apart_from_none(tmp_path):
    (tmp_path / "train").mkdir()
    save(tmp_path / "val" / "ILSVRC2012_val_00000001.JPEG", picture(0, 0))
    with pytest.raises(DataError, match="holds images and no folders: sort them into one for each class"):
        sets.imagenet("val", tmp_path)
    with pytest.raises(DataError, match="train holds nothing; it should hold a folder of images for every class"):
        sets.imagenet("train", tmp_path)


def test_mappings_are_read_and_not_known(real_data, tmp_path):
    shutil.copytree(real_data["MAE_LIB_OBJECTNET"], tmp_path / "objectnet")
    file = tmp_path / "objectnet" / "objectnet-1.0" / "mappings" / "objectnet_to_imagenet_1k.json"
    names = json.loads(file.read_text())
    names["Chair"], names["Beer bottle"] = names["Beer bottle"], names["Chair"]
    file.write_text(json.dumps(names))
    assert sets.objectnet(tmp_path / "objectnet").accepted == {0: (409, 530), 1: (559, 765), 2: (440,)}
