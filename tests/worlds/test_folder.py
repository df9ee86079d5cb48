"""Any folder of images as a world: what is found, what is left out and named, which image is in which split."""

import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from miniature import picture
from PIL import Image

from mae_lib.__main__ import main
from mae_lib.command_line import setting, settings_of
from mae_lib.data.files import DataError
from mae_lib.data.own_images import digest, own_images, splits
from mae_lib.studies import section_class
from mae_lib.training import Hardware, PretrainConfig, Run, find
from mae_lib.worlds import make_world


@pytest.fixture(autouse=True)
def _own_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("MAE_LIB_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("MAE_LIB_WORKERS", "0")


def filled(root: Path, names: list[str], size: tuple[int, int] = (40, 30)) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        kind = "PNG" if name.lower().endswith("png") else "JPEG"
        picture(number % 7, number, size).save(root / name, kind)
    return root


def world(root: Path, **options):
    return make_world("folder", root=str(root), size=16, **options)


def read_names(root: Path) -> list[str]:
    return [os.fsdecode(name) for name in own_images(root)[0].paths]


def test_images_are_found_at_any_depth_and_hidden_ones_are_not(tmp_path):
    root = filled(tmp_path / "mine", ["a.JPG", "b/c.jpeg", "b/d/e.PNG", "b/._c.jpeg", ".hidden/f.jpg", ".g.png"])
    (root / "notes.txt").write_text("no image")
    assert read_names(root) == ["a.JPG", "b/c.jpeg", "b/d/e.PNG"]


def test_a_link_brings_what_lies_outside_and_nothing_twice(tmp_path):
    root = filled(tmp_path / "mine", ["a/one.jpg", "z/two.jpg", ".store/three.jpg"])
    filled(tmp_path / "other", ["four.jpg"])
    (root / "a" / "again.jpg").symlink_to(root / "a" / "one.jpg")
    (root / "a" / "three.jpg").symlink_to(root / ".store" / "three.jpg")  # as git-annex keeps files
    (root / "a" / "loop").symlink_to(root)
    (root / "0").symlink_to(root / "z")  # sorts before what it leads to
    (root / "out").symlink_to(tmp_path / "other")
    (root / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert read_names(root) == ["a/one.jpg", "a/three.jpg", "gone.jpg", "out/four.jpg", "z/two.jpg"]
    assert list(world(root).skipped) == ["gone.jpg"]


def test_subfolders_are_classes_unless_images_lie_beside_them(tmp_path):
    root = filled(tmp_path / "mine", [f"{name}/{n}/x.jpg" for name in ("cat", "dog") for n in range(4)])
    found, classes = own_images(root)
    assert classes == ("cat", "dog") and found.labels.tolist() == [0] * 4 + [1] * 4
    mine = world(root)
    assert mine.classes == 2 and mine.levels["class"].values == 2
    both = torch.cat([mine.sample(torch.arange(len(mine.images(s))), s).labels for s in ("train", "test")])
    assert both.bincount().tolist() == [4, 4]
    shutil.copy(root / "cat" / "0" / "x.jpg", root / "loose.jpg")
    assert own_images(root)[1] == () and set(own_images(root)[0].labels) == {0}
    one = filled(tmp_path / "one", ["cat/a.jpg", "cat/b.jpg", "cat/c.jpg"])
    assert world(one).classes == 1 and world(one).class_names == ()


def test_more_files_move_none_from_one_split_to_another():
    names = np.array([f"photo {n}.jpg".encode() for n in range(500)])

    def of(paths):
        return {split: {paths[n] for n in numbers} for split, numbers in splits(paths, 0.1, 0.2).items()}

    few, many = of(names[::5]), of(names)
    assert all(few[split] <= many[split] for split in many)
    sizes = {split: len(one) for split, one in many.items()}
    assert sum(sizes.values()) == 500 and not many["train"] & many["test"] | many["probe"] & many["test"]
    for split, share in (("train", 0.7), ("probe", 0.1), ("test", 0.2)):
        assert abs(sizes[split] / 500 - share) < 5 * (share * (1 - share) / 500) ** 0.5
    whole = splits(names, 0.0, 0.2)
    assert np.array_equal(whole["probe"], whole["train"])


@pytest.mark.parametrize("count", range(3, 12))
def test_no_split_of_a_few_images_is_empty(count):
    for start in range(20):
        names = np.array([f"{start}-{n}".encode() for n in range(count)])
        found = splits(names, 0.1, 0.1)
        assert sorted(n for numbers in found.values() for n in numbers) == list(range(count))
        assert all(len(numbers) for numbers in found.values())


ODD = {
    "deep.png": lambda: Image.fromarray(np.full((20, 30), 40000, np.uint16)),
    "palette.png": lambda: picture(3, 0).quantize(8),
    "cmyk.jpg": lambda: picture(3, 0).convert("CMYK"),
    "grey.png": lambda: picture(3, 0).convert("L"),
    "alpha.png": lambda: picture(3, 0).convert("RGBA"),
    "tiny.png": lambda: picture(3, 0, (1, 1)),
    "long.png": lambda: picture(3, 0, (300, 2)),
}


def test_every_kind_of_image_is_read(tmp_path):
    root = tmp_path / "mine"
    root.mkdir()
    for name, make in ODD.items():
        make().save(root / name)
    frames = [Image.new("RGB", (24, 24), colour) for colour in ("red", "blue")]
    frames[0].save(root / "moving.gif", save_all=True, append_images=frames[1:])
    mine = world(root, test=0.5)
    assert not mine.skipped and len(mine.images("train")) + len(mine.images("test")) == len(ODD) + 1
    found = {}
    for split in ("train", "test"):
        images = mine.images(split)
        sample = mine.sample(torch.arange(len(images)), split).images
        assert sample.shape == (len(images), 3, 16, 16) and 0 <= sample.min() <= sample.max() <= 1
        found |= dict(zip(map(os.fsdecode, images.paths), sample))
    assert torch.allclose(found["deep.png"], torch.tensor(156 / 255))  # the upper eight of 16 bits
    assert found["moving.gif"][0].min() > 0.9 and found["moving.gif"][2].max() < 0.1  # the first frame
    assert (found["cmyk.jpg"] - found["grey.png"]).abs().mean() < 0.3 and found["cmyk.jpg"].std() > 0


def test_a_photograph_is_turned_as_its_camera_says(tmp_path):
    upright = np.zeros((40, 40, 3), np.uint8)
    upright[:20] = 255  # light above, dark below
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    (tmp_path / "mine").mkdir()
    for name in ("a.jpg", "b.jpg"):
        Image.fromarray(np.rot90(upright)).save(tmp_path / "mine" / name, exif=exif, quality=95)
    image = world(tmp_path / "mine", test=0.5).sample(torch.arange(1)).images[0]
    assert image[:, :5].min() > 0.8 and image[:, -5:].max() < 0.2


def test_the_address_is_of_the_files_and_never_of_the_place(tmp_path):
    root = filled(tmp_path / "mine", [f"{n}.jpg" for n in range(6)])
    shutil.copytree(root, tmp_path / "moved")
    here, there = world(root).address(), world(tmp_path / "moved").address()
    assert here == there and "mine" not in str(here)
    picture(9, 9).save(root / "0.jpg")
    assert world(root).address() != here
    (tmp_path / "moved" / "0.jpg").rename(tmp_path / "moved" / "7.jpg")
    assert world(tmp_path / "moved").address() != here
    for option in ({"test": 0.3}, {"crop": [0.5, 1.0]}, {"flip": False}, {"shorter": 20}):
        assert world(root, **option).address() != world(root).address()
    assert world(root, max_broken=0.1).address() == world(root).address()


def test_a_digest_reads_a_file_once_and_both_ends_of_a_large_one(tmp_path):
    root, cache = filled(tmp_path / "mine", ["a.jpg", "b.jpg"]), tmp_path / "cache.json"
    large = bytes(5 << 20)
    (root / "a.jpg").write_bytes(large)
    first = digest(own_images(root)[0], cache)
    about = os.stat(root / "a.jpg")
    (root / "a.jpg").write_bytes(large[:-1] + b"x")
    os.utime(root / "a.jpg", ns=(about.st_atime_ns, about.st_mtime_ns))
    assert digest(own_images(root)[0], cache) == first  # same size and time: what was read before counts
    cache.write_text("{")
    assert digest(own_images(root)[0], cache) != first


def test_pictures_come_again_in_other_crops_once_all_were_seen(tmp_path):
    root = filled(tmp_path / "mine", [f"{n}.png" for n in range(5)])
    config = PretrainConfig(
        world="folder",
        world_options={"root": str(root)},
        image_size=16,
        patch=4,
        unit=4,
        batch=4,
        images=16,
        unique_images=1000,
    )
    mine = config.make_world()
    batches = mine.batches(config, Hardware("cpu"))
    assert batches.visits.count == len(mine.images("train")) == 4
    passes = [batches(step, torch.arange(4))[0] for step in range(2)]
    flat = torch.cat(passes).flatten(1)
    assert len(flat.unique(dim=0)) == 8  # no two views are alike


def broken(root: Path) -> list[str]:
    whole = io.BytesIO()
    picture(0, 0).save(whole, "JPEG")
    (root / "cut short.jpg").write_bytes(whole.getvalue()[:300])
    (root / "empty.png").write_bytes(b"")
    (root / "text.JPG").write_text("no image")
    return ["cut short.jpg", "empty.png", "text.JPG"]


TINY = [f"--set={pair}" for pair in ("images=64", "batch=8", "width=16", "decoder_width=16")]


@pytest.mark.parametrize("form", ["--folder", "--set"])
def test_one_command_ends_with_a_model_a_picture_and_the_names_of_broken_files(tmp_path, capsys, form):
    root = filled(tmp_path / "my photos", [f"{n}.jpg" for n in range(9)])
    names = broken(root)
    given = ["--folder", str(root)]
    if form == "--set":
        given = ["--set", "world=folder", "--set", f"world_options.root={root}"]
    command = ["pretrain", "--preset", "smoke", "--quiet", "--device", "cpu", "--runs", str(tmp_path / "runs")]
    assert main([*command, *given, *TINY]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"skipped: 3 of 12 files cannot be read: {', '.join(names)}"
    model, drawn = (next(line for line in lines if line.startswith(word)) for word in ("model: ", "picture: "))
    assert Path(model.removeprefix("model: ")).is_file()
    with Image.open(drawn.removeprefix("picture: ").partition(" (")[0]) as image:
        assert image.height == 4 * (96 + 4) and image.width % 100 == 0
    (run,) = (tmp_path / "runs").glob("folder-*")
    assert '"skipped_images": 3' in (run / "done.json").read_text()
    assert main([*command, *given, *TINY]) == 0  # found again, with the same end
    assert capsys.readouterr().out.splitlines()[-1] == lines[-1] and len(list(run.parent.glob("folder-*"))) == 1


def test_the_probe_and_the_sections_take_a_folder_with_classes(tmp_path, capsys):
    root = filled(tmp_path / "mine", [f"{name}/{n}.png" for name in ("a", "b") for n in range(30)])
    command = ["pretrain", "--preset", "smoke", "--quiet", "--device", "cpu", "--folder", str(root), *TINY]
    assert main(command) == 0
    assert "class probe, 2 classes" in capsys.readouterr().out
    run = Run(next((tmp_path / "runs").glob("folder-*r0.75*")))
    mine, scale = run.config.make_world(), {"patch": 4, "probe_images": 1000, "test_images": 1000, "unit": 8}
    assert find(run.config) is not None
    scale |= {"image_size": 32, "world": "folder"}
    reader, count = (0.75, 8, 0), len(mine.images("test"))
    for name in ("pretraining", "reconstruction", "attention"):
        section = section_class(name, mine)(mine, scale, tmp_path / "runs" / "images")
        scores = section.measure(reader, run.load())
        assert scores and all(len(values) == count for values in scores.values())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--folder", "nowhere"], "root is 'nowhere', which is not there: name a folder"),
        (["--folder", "file.jpg"], "root is 'file.jpg', which is a file: name a folder"),
        (["--folder", "empty"], "empty holds nothing; it should hold images, at any depth: .jpeg, .jpg"),
        (["--folder", "words"], "words holds 1 entries: a.txt; it should hold images"),
        (["--folder", "one"], "1 image to be read: at least 2 are needed, for training and for testing"),
        (["--folder", "bad"], "2 of 3 images cannot be read, more than a share of 0.5"),
        (["--set", "world=folder"], "root is '': it must be the folder of images, such as --set world_options.root="),
        (["--set", "width.x=3"], "--set width.x: width is 16, not a mapping, so it has no entries"),
        (["--folder", "good", "--set", "world_options.crop=[0.9, 0.2]"], "crop is (0.9, 0.2): it must be two shares"),
        (["--folder", "good", "--set", "world_options.rot=1"], "world 'folder' has no option 'rot': it has size, root"),
        (["--folder", "good", "--set", "world_options.test=1"], "test is 1.0: it must be a share of the images"),
    ],
)
def test_bad_input_takes_one_line_and_leaves_no_run(tmp_path, monkeypatch, capsys, given, said):
    monkeypatch.chdir(tmp_path)
    filled(tmp_path, ["file.jpg", "good/a.jpg", "good/b.jpg", "one/a.jpg", "bad/a.jpg"])
    (tmp_path / "empty").mkdir()
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "a.txt").write_text("a")
    for name in ("b.jpg", "c.jpg"):
        (tmp_path / "bad" / name).write_text("no image")
    assert main(["pretrain", "--preset", "smoke", "--quiet", "--device", "cpu", *TINY, *given]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in error
    assert not [p for p in (tmp_path / "runs").rglob("*") if p.name.endswith((".part", ".safetensors", "done.json"))]


def test_a_setting_within_a_mapping_goes_on_top_of_what_is_there():
    scale = {"world": "drawings", "world_options": {"noise": 0.1, "probe": {"epochs": 3}}, "width": 8}
    given = [setting(text) for text in ("world_options.light=0.2", "world_options.probe.epochs=4", "width=16")]
    wanted = {"world_options": {"noise": 0.1, "probe": {"epochs": 4}, "light": 0.2}, "width": 16}
    assert settings_of(given, scale) == wanted and scale["world_options"]["probe"] == {"epochs": 3}
    other = [setting("world_options.root=/a b/c"), setting("world=folder")]
    assert settings_of(other, scale) == {"world": "folder", "world_options": {"root": "/a b/c"}}
    with pytest.raises(Exception, match=r"'world_options.=3' is not of the form name=value or name.entry=value"):
        setting("world_options.=3")


def test_too_few_images_are_refused():
    with pytest.raises(DataError, match="2 images to be read: at least 3 are needed"):
        splits(np.array([b"a", b"b"]), 0.1, 0.1)
