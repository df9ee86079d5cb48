"""Ways of keeping a set, one set of images: the same views, to the bit; and packs that are not whole."""

import os
import shutil

import numpy as np
import pytest
import torch
from miniature import picture, save

from mae_lib.data.files import DataError
from mae_lib.data.loading import Visits
from mae_lib.data.packs import opened, pack, resident
from mae_lib.imagenet import sets


@pytest.fixture
def images(real_data):
    return sets.imagenet("train")


def views(images) -> torch.Tensor:
    return Visits(images, 16, 64, (0.2, 1.0), seed=3)(torch.arange(100, 140))[0]


@pytest.mark.parametrize("form", ["packed", "resident"])
def test_every_way_of_keeping_a_set_gives_the_same_views(images, form, tmp_path):
    kept = resident(images) if form == "resident" else pack(images, tmp_path / "train")
    assert torch.equal(views(kept), views(images))
    assert kept.fingerprint == images.fingerprint
    assert np.array_equal(kept.labels, images.labels) and np.array_equal(kept.paths, images.paths)


def test_a_pack_is_found_where_the_folder_was_looked_for(images, tmp_path):
    pack(images, tmp_path / "train")
    body = tmp_path / "train" / "pixels.bin"
    written = body.stat().st_mtime_ns
    again = pack(images, tmp_path / "train")
    assert body.stat().st_mtime_ns == written  # found, not made again
    assert torch.equal(views(sets.imagenet("train", tmp_path)), views(again))


def test_smaller_pixels_are_another_set(images, tmp_path):
    small = pack(images, tmp_path / "train", shorter=20, workers=1)
    assert small.fingerprint != images.fingerprint and small.pixels == "original, shorter side 20"
    assert {min(small.read(n).size) for n in range(len(small))} == {20}
    large = pack(images, tmp_path / "large", shorter=500)  # never enlarged
    assert large.read(0).tobytes() == images.read(0).tobytes()


def test_broken_images_are_left_out_of_a_pack(real_data, tmp_path, caplog):
    root = tmp_path / "imagenet"
    shutil.copytree(real_data["MAE_LIB_IMAGENET"], root)
    for n in range(100):  # one in 164 is below the limit
        save(root / "train" / "n01440764" / f"more_{n:03d}.JPEG", picture(0, n))
    bad = root / "train" / "n01440764" / "more_007.JPEG"
    bad.write_bytes(bad.read_bytes()[:300])
    images = sets.imagenet("train", root)
    kept = pack(images, tmp_path / "packed")
    assert len(kept) == len(images) - 1 and b"n01440764/more_007.JPEG" not in kept.paths.tolist()
    assert sum("more_007" in message for message in caplog.messages) == 1


def test_a_pack_that_is_not_whole_is_refused_or_made_again(images, tmp_path):
    folder = tmp_path / "train"
    pack(images, folder)
    body = folder / "pixels.bin"
    body.write_bytes(body.read_bytes()[:-9000])
    with pytest.raises(DataError, match="pack again"):
        opened(folder)
    (folder / "index.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(DataError, match="missing or damaged"):
        opened(folder)
    body.unlink()  # what a kill leaves is no pack
    assert opened(folder) is None
    assert torch.equal(views(pack(images, folder)), views(images))


def test_a_pack_that_was_cut_off_is_begun_anew(images, tmp_path, monkeypatch):
    folder, replace, moved = tmp_path / "packed", os.replace, []

    def stop(source, target):
        if moved:
            raise KeyboardInterrupt
        moved.append(target)
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", stop)
        pack(images, folder)
    assert moved and opened(folder) is None
    assert torch.equal(views(pack(images, folder)), views(images))
    assert not list(folder.glob("*.part"))


def test_foreign_files_are_refused(images, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "pixels.bin").write_bytes(b"nothing of the kind")
    np.savez(tmp_path / "a" / "index.npz", paths=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(DataError, match="missing or damaged"):
        opened(tmp_path / "a")
    pack(images, tmp_path / "b")
    with pytest.raises(DataError, match="holds a pack of another set"):
        pack(sets.imagenet("val"), tmp_path / "b")
    with pytest.raises(DataError, match="shorter is 0"):
        pack(images, tmp_path / "c", 0)
