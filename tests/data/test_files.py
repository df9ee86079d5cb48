"""Broken images: passed over, named, counted, and too many of them an end; whatever a file holds, it is only data."""

import io
import logging
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from miniature import picture
from PIL import Image

from mae_lib.data.files import Broken, DataError, Unreadable, as_rgb, cropped, decoded, readable, safe_name
from mae_lib.data.loading import Visits, centres
from mae_lib.imagenet import sets


def jpeg() -> bytes:
    buffer = io.BytesIO()
    picture(5, 0).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def broken_set(real_data, tmp_path):
    """ImageNet with three bad files among 64: cut short, empty, and a pickle that would run something."""
    root = tmp_path / "imagenet"
    shutil.copytree(real_data["MAE_LIB_IMAGENET"], root)
    files = sorted((root / "train").glob("*/*.JPEG"))
    files[3].write_bytes(files[3].read_bytes()[:400])
    files[10].write_bytes(b"")
    files[20].write_bytes(pickle.dumps({"a": Path("b")}))
    return root


def test_what_is_no_image_is_passed_over_for_the_next_one(broken_set):
    images = sets.imagenet("train", broken_set)
    for bad in (3, 10, 20):
        with pytest.raises(Unreadable):
            images.read(bad)
        image, number, passed = readable(images, bad)
        assert number == bad + 1 and [index for index, _ in passed] == [bad]
        assert image.tobytes() == images.read(bad + 1).tobytes()


def test_broken_images_are_named_once_and_counted(broken_set, caplog):
    images = sets.imagenet("train", broken_set)
    broken, view = Broken(images, limit=0.05), Visits(images, 16, 64, (0.2, 1.0), seed=0)
    with caplog.at_level(logging.WARNING, logger="mae_lib"):
        for turn in range(2):  # each is met in both passes
            found = view(torch.arange(64 * turn, 64 * (turn + 1)))
            assert found[0].shape == (64, 3, 16, 16) and len(found[2]) == 3
            broken.add(found[2])
    assert len(broken) == 3 and len(caplog.messages) == 3
    assert all("n0" in message and ".JPEG" in message for message in caplog.messages)
    assert "(3 so far)" in caplog.messages[-1]


def test_too_many_broken_images_end_the_run(broken_set):
    images = sets.imagenet("train", broken_set)
    with pytest.raises(DataError, match=r"3 of 64 images cannot be read, more than a share of 0\.04; .*JPEG"):
        Broken(images, limit=0.04).add(Visits(images, 16, 64, (0.2, 1.0), 0)(torch.arange(64))[2])
    with pytest.raises(DataError, match="it must lie in"):
        Broken(images, limit=1.5)


def test_an_evaluation_leaves_broken_images_out(broken_set):
    images = sets.imagenet("train", broken_set)
    read = torch.cat([numbers for _, numbers in centres(images, torch.arange(64), 16, limit=0.05, batch=5)])
    assert set(range(64)) - set(read.tolist()) == {3, 10, 20}
    with pytest.raises(DataError, match="cannot be read"):
        list(centres(images, torch.arange(64), 16, limit=0.0, batch=5))


def test_a_folder_that_vanishes_is_not_a_broken_image(broken_set):
    images = sets.imagenet("train", broken_set)
    shutil.rmtree(broken_set)
    with pytest.raises(DataError, match="has vanished: mount it again"):
        images.read(0)


def test_a_set_without_any_image_that_can_be_read_is_refused(tmp_path):
    folder = tmp_path / "train" / "n01440764"
    folder.mkdir(parents=True)
    for n in range(3):
        (folder / f"{n}.JPEG").write_bytes(b"no image")
    with pytest.raises(DataError, match="3 images in a row cannot be read"):
        readable(sets.imagenet("train", tmp_path), 1)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_flipped_and_cut_bytes_give_an_image_or_a_reason(data):
    payload = bytearray(jpeg())
    for place in data.draw(st.lists(st.integers(0, len(payload) - 1), max_size=6)):
        payload[place] ^= data.draw(st.integers(1, 255))
    try:
        image = decoded(io.BytesIO(bytes(payload[: data.draw(st.integers(0, len(payload)))])))
    except Unreadable as error:
        assert str(error)
    else:
        assert image.mode == "RGB"


def test_grey_palette_and_cmyk_images_become_rgb_whatever_they_are_called():
    for mode in ("L", "P", "CMYK", "1"):
        buffer = io.BytesIO()
        picture(5, 0).convert(mode).save(buffer, "JPEG" if mode in ("L", "CMYK") else "PNG")
        buffer.seek(0)
        assert decoded(buffer).mode == "RGB"


def png(image: Image.Image) -> io.BytesIO:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    buffer.seek(0)
    return buffer


def of_a_palette(*colour: int) -> Image.Image:
    """A transparent image of one colour."""
    image = Image.new("P", (4, 4), 0)
    image.putpalette(colour)
    image.info["transparency"] = 0
    return image


def test_sixteen_bits_of_grey_are_the_picture_and_not_white():
    grey = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    found = np.asarray(decoded(png(Image.fromarray(grey))))
    np.testing.assert_allclose(found, np.repeat(grey[..., None] / 257, 3, 2), atol=1)  # 65535 / 255 = 257
    assert np.asarray(as_rgb(Image.fromarray(grey.astype(np.int32)))).tolist() == found.tolist()


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (Image.new("1", (4, 4), 1), (255, 255, 255)),
        (Image.new("L", (4, 4), 7), (7, 7, 7)),
        (Image.new("LA", (4, 4), (7, 0)), (7, 7, 7)),
        (Image.new("RGBA", (4, 4), (9, 8, 7, 0)), (9, 8, 7)),
        (of_a_palette(9, 8, 7), (9, 8, 7)),
        (Image.new("I;16", (4, 4), 514), (2, 2, 2)),
    ],
    ids=lambda value: getattr(value, "mode", ""),
)
def test_every_mode_of_png_becomes_the_colours_that_it_means(image, colour):
    found = decoded(png(image))
    assert found.mode == "RGB" and found.getpixel((1, 1)) == colour


def test_numbers_without_a_range_are_a_broken_image():
    with pytest.raises(Unreadable, match="floats of unknown range"):
        as_rgb(Image.new("F", (4, 4), 0.5))
    with pytest.raises(Unreadable, match="reach from 70000 to 70000: at most 16 bits"):
        as_rgb(Image.new("I", (4, 4), 70000))


def test_a_border_wider_than_the_image_is_a_broken_image():
    assert cropped(picture(0, 0, (9, 8)), 2).size == (5, 4)
    with pytest.raises(Unreadable, match="9 x 4 pixels leave nothing"):
        cropped(picture(0, 0, (9, 4)), 2)


@pytest.mark.parametrize("name", ["/etc/x", "../x.png", "a/../../x", "a\\..\\x", "C:/x", "", "a\0b", "\\\\host\\x"])
def test_names_that_lead_out_of_their_folder_are_refused(name):
    with pytest.raises(DataError, match="may lead out"):
        safe_name(name, "list.txt")
    assert safe_name("n01440764/a b..c.JPEG", "list.txt") == "n01440764/a b..c.JPEG"


def test_an_image_too_large_to_be_one_is_a_broken_image(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(Unreadable, match="decompression bomb"):
        decoded(io.BytesIO(jpeg()))
    assert np.asarray(picture(0, 0)).size
