"""Three ways of keeping a set, one set of images: the same views, to the bit; and packs that are not whole."""

import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
import webdataset
from miniature import picture, save

from mae_lib.data.files import DataError, Unreadable
from mae_lib.data.loading import Visits
from mae_lib.data.packs import opened, pack, resident
from mae_lib.imagenet import sets


@pytest.fixture
def images(real_data):
    return sets.imagenet("train")


def views(images) -> torch.Tensor:
    return Visits(images, 16, 64, (0.2, 1.0), seed=3)(torch.arange(100, 140))[0]


@pytest.mark.parametrize("form", ["pixels", "shards", "resident"])
def test_every_way_of_keeping_a_set_gives_the_same_views(images, form, tmp_path):
    kept = resident(images) if form == "resident" else pack(images, tmp_path / "train", form)
    assert torch.equal(views(kept), views(images))
    assert kept.fingerprint == images.fingerprint
    assert np.array_equal(kept.labels, images.labels) and np.array_equal(kept.paths, images.paths)


@pytest.mark.parametrize("form", ["pixels", "shards"])
def test_a_pack_is_found_where_the_folder_was_looked_for(images, form, tmp_path):
    pack(images, tmp_path / "train", form)
    body = next(path for path in (tmp_path / "train").iterdir() if path.suffix in (".bin", ".tar"))
    written = body.stat().st_mtime_ns
    again = pack(images, tmp_path / "train", form)
    assert body.stat().st_mtime_ns == written  # found, not made again
    assert torch.equal(views(sets.imagenet("train", tmp_path)), views(again))


def test_smaller_pixels_are_another_set(images, tmp_path):
    small = pack(images, tmp_path / "train", "pixels", shorter=20, workers=1)
    assert small.fingerprint != images.fingerprint and small.pixels == "original, shorter side 20"
    assert {min(small.read(n).size) for n in range(len(small))} == {20}
    tiny = pack(images, tmp_path / "other", "shards", shorter=20)
    assert [tiny.read(n).size for n in range(9)] == [small.read(n).size for n in range(9)]
    large = pack(images, tmp_path / "large", "pixels", shorter=500)  # never enlarged
    assert large.read(0).tobytes() == images.read(0).tobytes()


def test_webdataset_reads_our_shards(images, tmp_path):
    pack(images, tmp_path / "train", "shards")
    shard = str(tmp_path / "train" / "000000.tar")
    read = list(webdataset.WebDataset(shard, shardshuffle=False).decode("pil").to_tuple("jpeg", "cls"))
    assert len(read) == len(images)
    for n, (image, label) in enumerate(read):
        assert label == images.labels[n] and image.convert("RGB").tobytes() == images.read(n).tobytes()


def test_shards_that_webdataset_wrote_are_read_without_an_index(images, tmp_path):
    (tmp_path / "train").mkdir()
    with webdataset.ShardWriter(str(tmp_path / "train" / "%06d.tar"), maxcount=40, verbose=0) as writer:
        for n in range(len(images)):
            payload = (images.root / os.fsdecode(images.paths[n])).read_bytes()
            writer.write({"__key__": f"{n:09d}", "jpg": payload, "cls": int(images.labels[n])})
    kept = opened(tmp_path / "train")
    assert len(kept.files) == 2 and np.array_equal(kept.labels, images.labels)
    assert torch.equal(views(kept), views(images))


def test_broken_images_are_left_out_of_a_pack(real_data, tmp_path, caplog):
    root = tmp_path / "imagenet"
    shutil.copytree(real_data["MAE_LIB_IMAGENET"], root)
    for n in range(100):  # one in 164 is below the limit
        save(root / "train" / "n01440764" / f"more_{n:03d}.JPEG", picture(0, n))
    bad = root / "train" / "n01440764" / "more_007.JPEG"
    bad.write_bytes(bad.read_bytes()[:300])
    images = sets.imagenet("train", root)
    for form in ("pixels", "shards"):
        kept = pack(images, tmp_path / form, form)
        assert len(kept) == len(images) - 1 and b"n01440764/more_007.JPEG" not in kept.paths.tolist()
    assert sum("more_007" in message for message in caplog.messages) == 2


@pytest.mark.parametrize("form", ["pixels", "shards"])
def test_a_pack_that_is_not_whole_is_refused_or_made_again(images, form, tmp_path):
    folder = tmp_path / "train"
    pack(images, folder, form)
    body = folder / ("pixels.bin" if form == "pixels" else "000000.tar")
    body.write_bytes(body.read_bytes()[:-9000] if form == "pixels" else body.read_bytes()[:2000])
    with pytest.raises(DataError if form == "pixels" else (DataError, Unreadable), match=r"pack again|anew|truncated"):
        opened(folder).read(len(images) - 1)
    (folder / "index.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(DataError, match="missing or damaged"):
        opened(folder)
    body.unlink()  # what a kill leaves is no pack
    assert opened(folder) is None
    assert torch.equal(views(pack(images, folder, form)), views(images))


def test_a_pack_that_was_cut_off_is_begun_anew(images, tmp_path, monkeypatch):
    for form in ("shards", "pixels"):
        folder, replace, moved = tmp_path / form, os.replace, []

        def stop(source, target, moved=moved, replace=replace):
            if moved:
                raise KeyboardInterrupt
            moved.append(target)
            replace(source, target)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(os, "replace", stop)
            pack(images, folder, form)
        assert moved and opened(folder) is None
        assert torch.equal(views(pack(images, folder, form)), views(images))
        assert not list(folder.glob("*.part"))


def test_foreign_files_are_refused(images, tmp_path):
    (tmp_path / "a").mkdir()
    with tarfile.open(tmp_path / "a" / "0.tar", "w") as tar:
        tar.add(Path(__file__), "../../escape.jpg")
    with pytest.raises(DataError, match="may lead out of its folder"):
        opened(tmp_path / "a")
    (tmp_path / "a" / "0.tar").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(DataError, match=r"0\.tar is damaged or is no shard"):
        opened(tmp_path / "a")
    np.savez(tmp_path / "a" / "index.npz", paths=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(DataError, match="missing or damaged"):
        opened(tmp_path / "a")
    pack(images, tmp_path / "b", "pixels")
    with pytest.raises(DataError, match="holds a pack of another set"):
        pack(sets.imagenet("val"), tmp_path / "b", "pixels")
    with pytest.raises(DataError, match="form 'zip' is unknown: choose one of shards, pixels"):
        pack(images, tmp_path / "c", "zip")
    with pytest.raises(DataError, match="shorter is 0"):
        pack(images, tmp_path / "c", "pixels", 0)
