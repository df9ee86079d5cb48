"""webdataset's shards as others write them: every image with its own label, or a refusal that names the member."""

import gzip
import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from miniature import save
from PIL import Image
from torch.utils.data import default_convert

from mae_lib.data.files import DataError, Folder
from mae_lib.data.packs import _Decoding, opened, pack, resident


def png(red: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (red, 255 - red, 40)).save(buffer, "PNG")
    return buffer.getvalue()


def shard(file: Path, *members: tuple[str, bytes]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, "w") as tar:
        for name, content in members:
            about = tarfile.TarInfo(name)
            about.size = len(content)
            tar.addfile(about, io.BytesIO(content))
    return file


def pair(key: str, label: int) -> list[tuple[str, bytes]]:
    return [(f"{key}.png", png(label)), (f"{key}.cls", str(label).encode())]


def right(folder: Path, count: int) -> None:
    """Each image's red value is its label."""
    found = opened(folder)
    assert len(found) == count == len({*found.paths.tolist()})
    assert [found.read(n).getpixel((0, 0))[0] for n in range(count)] == found.labels.tolist()


def test_keys_may_begin_anew_in_each_shard(tmp_path):
    for number in range(3):
        members = [member for i in range(4) for member in pair(f"{i:06d}", 50 * number + i)]
        shard(tmp_path / f"{number:06d}.tar", *members)
    right(tmp_path, 12)


def test_labels_may_come_first_and_end_a_line(tmp_path):
    shard(tmp_path / "0.tar", *[("a.cls", b"7\n"), ("a.png", png(7)), ("b.cls", b" 9 "), ("b.png", png(9))])
    right(tmp_path, 2)


JUNK = b"\0\5\x16\7" + b"\0" * 60


def test_what_macos_leaves_beside_files_is_no_image(tmp_path):
    junk = [("./._a.png", JUNK), ("./._a.cls", b"\xff"), ("__MACOSX/a.png", JUNK), ("d/.DS_Store", b"x")]
    shard(tmp_path / "0.tar", *junk, *pair("./a", 3), *pair("d/b", 4))
    (tmp_path / "._0.tar").write_bytes(JUNK)
    right(tmp_path, 2)


def test_only_the_picture_of_a_sample_counts(tmp_path):
    more = [("a.mask.png", png(200)), ("a.json", b"{}"), ("a.txt", b"a dog")]
    shard(tmp_path / "0.tar", *more, *pair("a", 3), *pair("v1.2/b", 4))
    right(tmp_path, 2)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([*pair("a", 1), *pair("a", 2)], "a.png is the second picture of key a"),
        ([("a.png", png(1)), ("a.jpg", png(1)), ("a.cls", b"1")], "a.jpg is the second picture of key a"),
        ([("a.png", png(1)), ("a.cls", b"1"), ("a.cls", b"2")], "a.cls is the second label of key a"),
        ([*pair("img.0", 0), *pair("img.1", 1)], r"img.0.png has no label img.cls beside it \(a key ends at the first"),
        ([("a.png", png(1))], "a.png has no label a.cls beside it"),
        ([("a.png", png(1)), ("a.json", b"1")], "a.png has no label a.cls beside it"),
        ([*pair("a", 1), ("b.cls", b"1")], "label b.cls has no picture beside it"),
        ([*pair("a", 1), ("b.tif", b"II"), ("b.cls", b"1")], "label b.cls has no picture beside it"),
        ([("a.in.png", png(1)), ("a.cls", b"1")], "label a.cls has no picture beside it .* a.in.png has another"),
        ([("a.png", png(1)), ("a.cls", b"n01440764")], "a.cls holds b'n01440764'"),
        ([("a.png", png(1)), ("a.cls", b"1000")], "a.cls holds b'1000'"),
        ([("a.png", png(1)), ("a.cls", b"-1")], "a.cls holds b'-1'"),
        ([("a.png", png(1)), ("a.cls", b"1_0")], "a.cls holds b'1_0'"),
        ([("a.png", png(1)), ("a.cls", b"")], "a.cls holds b''"),
        ([("a.txt", b"1")], "no image"),
    ],
)
def test_a_sample_that_is_not_one_picture_with_one_label_is_refused(tmp_path, members, says):
    shard(tmp_path / "0.tar", *members)
    with pytest.raises(DataError, match=says):
        opened(tmp_path)


def test_a_shard_that_is_cut_anywhere_is_refused(tmp_path):
    whole = shard(tmp_path / "0.tar", *pair("a", 1), *pair("b", 2)).read_bytes()
    end = len(whole.rstrip(b"\0")) // 512 * 512 + 512
    for cut in (0, 100, 512, 1024, 1500, 2048, 2600, end - 512, end, end + 100):
        (tmp_path / "0.tar").write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"0\.tar is damaged[^\n]*\Z"):
            opened(tmp_path)


def test_two_archives_in_one_file_are_refused(tmp_path):
    one, other = (shard(tmp_path / f"{n}.tar", *pair("a", n)) for n in (1, 2))
    one.write_bytes(one.read_bytes() + other.read_bytes())
    other.unlink()
    with pytest.raises(DataError, match="comes what is no member of it"):
        opened(tmp_path)


def test_compressed_shards_are_called_so(tmp_path):
    packed = gzip.compress(shard(tmp_path / "0.tar", *pair("a", 1)).read_bytes())
    (tmp_path / "0.tar").write_bytes(packed)
    with pytest.raises(DataError, match="it is compressed by gzip: unpack it first"):
        opened(tmp_path)
    (tmp_path / "0.tar").rename(tmp_path / "0.tar.gz")
    with pytest.raises(DataError, match=r"0\.tar\.gz is compressed: unpack it"):
        opened(tmp_path)
    shard(tmp_path / "1.tar", *pair("a", 1))
    with pytest.raises(DataError, match=r"0\.tar\.gz is compressed: unpack it"):
        opened(tmp_path)


def folder_of(root: Path, *names: str) -> Folder:
    for n, name in enumerate(names):
        save(root / name, Image.new("RGB", (16, 16), (n, 0, 0)))
    return Folder(root, np.array([os.fsencode(name) for name in names]), np.arange(len(names)))


def test_long_and_foreign_names_are_packed_and_found_again(tmp_path):
    names = [
        "n01/" + "x" * 180 + ".png",
        "n01/K\u00e4tzchen \u732b.png",
        "n01/" + os.fsdecode(b"caf\xe9") + ".png",
        "n01/a.png",
    ]
    images = folder_of(tmp_path / "files", *names)
    for _ in ("with the index", "without"):
        kept = pack(images, tmp_path / "packed", "shards")
        assert [kept.read(n).getpixel((0, 0))[0] for n in range(4)] == [0, 1, 2, 3] == kept.labels.tolist()
        assert np.array_equal(kept.paths, images.paths)
        (tmp_path / "packed" / "index.npz").unlink(missing_ok=True)


def test_names_that_share_a_key_are_packed_as_pixels_alone(tmp_path):
    images = folder_of(tmp_path / "files", "img.0.png", "img.1.png")
    with pytest.raises(DataError, match=r"img\.0\.png and img\.1\.png have one key, img, .*: pack --form pixels"):
        pack(images, tmp_path / "packed", "shards")
    assert pack(images, tmp_path / "pixels", "pixels").read(1).getpixel((0, 0))[0] == 1


def test_an_index_of_more_than_the_shards_hold_is_refused(tmp_path):
    images = folder_of(tmp_path / "files", *(f"{n}.png" for n in range(20)))
    pack(images, tmp_path / "packed", "shards")
    file = tmp_path / "packed" / "000000.tar"
    file.write_bytes(file.read_bytes()[:8000])
    with pytest.raises(DataError, match="its tar files are not those of index"):
        opened(tmp_path / "packed")


def test_workers_hand_decoded_images_over_without_shared_memory(tmp_path):
    images = folder_of(tmp_path / "files", *(f"{n}.png" for n in range(6)))
    sent = default_convert(_Decoding(images, None)[0])  # what torch's loader makes of it; tensors take shared memory
    assert not any(isinstance(part, torch.Tensor) for part in sent)
    kept = resident(images, workers=1)
    assert [kept.read(n).getpixel((0, 0))[0] for n in range(6)] == list(range(6))
