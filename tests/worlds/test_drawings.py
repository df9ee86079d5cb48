"""The world of drawings, on a pack in miniature: numbered images, true masks, variants that change what they say."""

import json
from dataclasses import replace

import pytest
import torch
from drawn_hands import use_small_pack
from torch.nn.functional import affine_grid, grid_sample

from mae_lib.training import PretrainConfig
from mae_lib.worlds import make_world
from mae_lib.worlds.drawing_pack import HANDS
from mae_lib.worlds.drawing_rendering import boxes_of, placed
from mae_lib.worlds.drawings import DESIGNERS, VARIANTS, Drawings

pytest.importorskip("resvg_py")

STILL = {"scale": (1.0, 1.0), "turn": 0, "shift": 0, "mirror": False, "light": 0, "tint": 0}


@pytest.fixture(scope="module", autouse=True)
def pack(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield use_small_pack(patch, tmp_path_factory.mktemp("drawings"))


def everything(sample):
    return {"images": sample.images, "masks": sample.masks, "boxes": sample.boxes} | sample.latents


@pytest.mark.parametrize("variant", VARIANTS)
def test_image_i_is_the_same_whatever_the_batch_the_order_and_the_threads(variant):
    world = make_world("drawings", variant=variant)
    indices = torch.tensor([3, 1_000_003, 7, 0, 12, 5, 31, 2**40, 8, 9, 64, 65, 77])
    whole = everything(world.sample(indices, "test"))
    for rows in ([0], [12, 3, 1], [1, 2, 3, 4, 5], list(range(12, -1, -1))):
        part = everything(world.sample(indices[rows], "test"))
        assert all(torch.equal(part[key], whole[key][rows]) for key in whole)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert torch.equal(world.sample(indices, "test").images, whole["images"])
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("size", [16, 32, 56, 64])
def test_images_lie_in_the_unit_interval_and_differ_by_split_and_seed(size):
    world, indices = make_world("drawings", size=size), torch.arange(64)
    images = world.sample(indices).images
    assert images.shape == (64, 3, size, size) and images.dtype == torch.float32
    assert images.min() >= 0 and images.max() <= 1 and images.std() > 0.05
    assert len(images.flatten(1).unique(dim=0)) == 64
    for other in (world.sample(indices, "probe"), replace(world, seed=1).sample(indices)):
        assert not torch.equal(images, other.images)
    assert world.sample(torch.arange(0)).images.shape == (0, 3, size, size)


def test_levels_describe_the_latents():
    world = make_world("drawings", concepts=4)
    latents = world.sample(torch.arange(400)).latents
    for name, level in world.levels.items():
        values = latents[name].reshape(400, level.nodes, -1)
        if level.values is not None:
            assert values.unique().tolist() == list(range(level.values)) and values.dtype == torch.int64
        else:
            assert values.shape[2] == level.dim and (values.std(0) > 0).all()
    assert world.hierarchy is None and world.classes == 4
    named = [(world.values["group"][g], k) for g, k in zip(latents["group"].tolist(), latents["class"].tolist())]
    assert all(world.names("group")[k] == group for group, k in named)


def test_an_image_is_its_drawing_on_a_plain_ground():
    """Nothing moves and the pack's side is the image's: what is seen is the pack's own pixels over one colour."""
    world = Drawings(size=24, slope=0, noise=0, **STILL)
    sample, z = world.sample(torch.arange(20)), world.latents(torch.arange(20))
    stored = torch.from_numpy(world._pack.drawings.copy()).float() / 255
    drawing = stored[z["designer"], z["class"]].permute(0, 3, 1, 2)
    expected = drawing[:, :3] + (1 - drawing[:, 3:]) * z["ground"][:, :, None, None]
    assert torch.allclose(sample.images, expected, atol=1e-5)
    assert torch.equal(sample.masks, drawing[:, 3:] > 0.5)


def test_drawings_are_placed_as_torch_places_them():
    """Against affine_grid, with the matrix written out by angle."""
    z = {"scale": torch.tensor([0.7, 1.3]), "turn": torch.tensor([0.2, -0.1]), "mirror": torch.tensor([0, 1])}
    z["shift"] = torch.tensor([[0.3, -0.2], [0.0, 0.4]])
    drawings = torch.rand(2, 4, 24, 24, generator=torch.Generator().manual_seed(0))
    angle = 2 * z["turn"].atan()
    rows = (
        torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()], 1).view(2, 2, 2) / z["scale"][:, None, None]
    )
    rows[1, 0] *= -1  # mirrored
    theta = torch.cat([rows, -rows @ z["shift"][:, :, None]], 2)
    expected = grid_sample(drawings, affine_grid(theta, (2, 4, 32, 32), align_corners=False), align_corners=False)
    assert torch.allclose(placed(drawings, z, 32), expected, atol=1e-4)


def test_the_turn_is_uniform_enough_and_within_its_range():
    turn = Drawings(turn=40).latents(torch.arange(4000))["turn"]
    degrees = torch.rad2deg(2 * turn.atan())
    assert degrees.abs().max() <= 40 and degrees.abs().max() > 38 and degrees.mean().abs() < 1.5
    assert degrees.std() == pytest.approx(40 / 3**0.5, rel=0.05)


def test_boxes_hold_the_masks_and_nothing_more():
    masks = Drawings(size=32).sample(torch.arange(50)).masks
    for mask, box in zip(masks[:, 0], boxes_of(masks)[:, 0].tolist()):
        rows, columns = mask.nonzero(as_tuple=True)
        assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert boxes_of(torch.zeros(1, 1, 4, 4, dtype=torch.bool)).tolist() == [[[0, 0, 0, 0]]]


def test_designers_draw_what_they_are_asked_for_and_variants_let_others_draw():
    def drew(**options):
        world = make_world("drawings", **options)
        return {HANDS[k] for k in world.sample(torch.arange(300)).latents["designer"].tolist()}

    assert drew() == set(HANDS)
    assert drew(designers="seen") == set(DESIGNERS["seen"])
    assert drew(designers=["noto", "fluent-3d"]) == {"noto", "fluent-3d"}
    assert drew(designers="seen", variant="unseen") == set(DESIGNERS["unseen"])
    assert drew(designers="seen", variant="outline") == {"openmoji-black"}
    assert drew(designers="seen", variant="silhouette") == {"fluent-high-contrast"}
    assert not set(DESIGNERS["seen"]) & {*DESIGNERS["unseen"], "openmoji-black", "fluent-high-contrast"}


def test_variants_keep_concept_pose_and_ground():
    clean, indices = make_world("drawings", designers="seen"), torch.arange(40)
    before = clean.sample(indices, "test")
    for variant in VARIANTS:
        after = replace(clean, variant=variant).sample(indices, "test")
        assert torch.equal(before.labels, after.labels)
        assert torch.equal(before.latents["pose"], after.latents["pose"])
        assert torch.equal(before.latents["ground"], after.latents["ground"])


def test_a_conflict_has_the_outline_of_one_concept_and_the_colours_of_another():
    """In miniature every colour drawing of OpenMoji is of one red, its outlines are black and as large."""
    world = Drawings(size=24, variant="cue_conflict", slope=0, noise=0, **STILL)
    sample = world.sample(torch.arange(60))
    assert (sample.textures != sample.labels).all() and sample.textures.max() < world.classes
    shapes = Drawings(size=24, designers=["openmoji"], **STILL).sample(torch.arange(60)).masks
    assert (sample.masks | ~shapes).all()  # the outline adds what of a border it covers
    fill = world._filled(torch.zeros(60, 4, 24, 24), sample.latents)  # as if the outline were empty
    red = torch.tensor([0xD0, 0x30, 0x20]) / 255
    assert torch.allclose(fill.permute(0, 2, 3, 1)[fill[:, 3] == 1][:, :3], red, atol=0.02)
    assert torch.equal(fill[:, 3:] > 0.5, shapes)


def test_spec_is_json_without_a_path_and_makes_the_world_again(pack):
    world = make_world("drawings", seed=3, designers=["noto"], scale=[0.5, 1.0])
    spec = json.loads(json.dumps(world.spec()))
    assert str(pack.parent) not in json.dumps(spec) and spec["pack"]
    assert make_world(spec.pop("world"), **spec).address() == world.address()


def test_another_pack_gives_another_run(tmp_path_factory, monkeypatch):
    config = PretrainConfig(world="drawings")
    before = config.key
    folder = tmp_path_factory.mktemp("other")
    monkeypatch.setattr("drawn_hands.COLOURS", ("#ffffff",) * 8)
    use_small_pack(monkeypatch, folder)
    assert config.key != before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"designers": "picasso"}, "designers is 'picasso': it must be one of all, colour, seen, unseen, or a list"),
        ({"designers": ["picasso"]}, "designer is 'picasso': it must be one of openmoji, openmoji-black"),
        ({"designers": []}, r"designers is \(\): it must be at least one designer"),
        ({"concepts": 6}, "concepts is 6: it must be 0 for all, or from 2 to the pack's 5"),
        ({"concepts": 1}, "concepts is 1: it must be 0 for all"),
        ({"scale": [1.0, 0.5]}, r"scale is \(1.0, 0.5\): it must be two numbers in order"),
        ({"turn": 200}, r"turn is 200.0: it must be in \[0, 180\] degrees"),
        ({"noise": 2}, r"noise is 2.0: it must be in \[0, 1\]"),
        ({"size": 8}, "size is 8: it must be from 16 to 512"),
        ({"variant": "cubist"}, "variant is 'cubist': it must be one of clean, unseen, outline, silhouette"),
        ({"pack": "0123456789abcdef"}, "pack is '0123456789abcdef': it must be [0-9a-f]{16}, of the pack that is here"),
    ],
)
def test_a_bad_option_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        make_world("drawings", **options).address()


def test_without_a_pack_it_says_how_to_build_one(monkeypatch, tmp_path):
    monkeypatch.setenv("MAE_LIB_DRAWINGS", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match=r"there is no pack of drawings in .*none: python -m mae_lib drawings"):
        make_world("drawings").address()
