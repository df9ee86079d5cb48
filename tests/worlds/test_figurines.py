"""The grammar world: its codes enumerated, its annotations against its pixels, its interventions against each other."""

import itertools

import pytest
import torch

from mae_lib.worlds import make_world
from mae_lib.worlds.figurine_grammar import corners_of, parts_of
from mae_lib.worlds.figurine_rendering import background, pattern_of, signed_distance, tight_boxes
from mae_lib.worlds.figurines import VARIANTS

INDICES = torch.arange(64)


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one, other)


@pytest.mark.parametrize("classes", [4, 8, 12, 16])
def test_any_two_parts_determine_the_class_and_one_leaves_a_quarter(classes):
    parts = parts_of(torch.arange(classes), classes)
    for i, j in itertools.combinations(range(4), 2):
        assert len({(p[i], p[j]) for p in parts.tolist()}) == classes
    for i in range(4):
        assert parts[:, i].bincount().tolist() == [classes // 4] * 4


def test_any_two_corners_determine_the_part_and_one_tells_nothing_with_four_synonyms():
    part, synonym = torch.arange(4).repeat_interleave(4), torch.arange(4).repeat(4)
    corners = corners_of(part[:, None].expand(-1, 4), synonym[:, None].expand(-1, 4)).view(16, 4, 4)[:, 0]
    for i, j in itertools.combinations(range(4), 2):
        assert len({(c[i], c[j]) for c in corners.tolist()}) == 16
    for i in range(4):
        assert sorted(zip(part.tolist(), corners[:, i].tolist(), strict=True)) == list(
            itertools.product(range(4), range(4))
        )


@pytest.mark.parametrize("synonyms", [1, 3])
def test_synonyms_limit_how_many_ways_a_part_is_made(synonyms):
    z = make_world("figurines", synonyms=synonyms).latents(torch.arange(512))
    glyphs = {
        (part, *c) for part, c in zip(z["parts"].flatten().tolist(), z["corners"].view(-1, 4).tolist(), strict=True)
    }
    assert len(glyphs) == 4 * synonyms


@pytest.mark.parametrize(("style", "area"), list(enumerate([4.0, torch.pi, 2.0, 4 - torch.pi])))
def test_a_blob_has_the_area_of_its_shape(style, area):
    axis = (torch.arange(400) + 0.5) / 100 - 2
    points = torch.stack([axis.expand(400, 400), axis[:, None].expand(400, 400)])
    inside = signed_distance(points, torch.full((4,), style)) < 0
    assert inside.float().mean() * 16 == pytest.approx(area, abs=0.03)


def test_each_corner_shapes_its_own_quadrant():
    axis = (torch.arange(40) + 0.5) / 20 - 1
    points = torch.stack([axis.expand(40, 40), axis[:, None].expand(40, 40)])
    round_ = signed_distance(points, torch.tensor([1, 1, 1, 1]))
    for corner in range(4):
        styles = torch.ones(4, dtype=torch.long)
        styles[corner] = 3
        changed = (signed_distance(points, styles) != round_).view(2, 20, 2, 20).any(3).any(1).flatten()
        assert changed.nonzero().flatten().tolist() == [corner]


@pytest.mark.parametrize("variant", VARIANTS)
def test_masks_boxes_parts_and_pixels_agree(variant):
    world = make_world("figurines", variant=variant)
    sample = world.sample(INDICES, "test")
    assert same(sample.masks[:, 0], sample.parts > 0)
    assert set(sample.parts.unique().tolist()) == {0, 1, 2, 3, 4}
    for mask, box in zip(sample.masks[:, 0], sample.boxes[:, 0], strict=True):
        rows, columns = mask.nonzero().unbind(1)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_the_object_is_where_the_image_differs_from_its_ground():
    world = make_world("figurines")
    z = world.latents(INDICES)
    z = z | {"noise": torch.zeros(64), "day": torch.zeros(64, dtype=torch.long)}
    sample = world.render(z)
    differs = (sample.images - background(z, 32)).abs().amax(1) > 0.02
    assert differs[sample.masks[:, 0]].float().mean() > 0.995
    border = torch.nn.functional.max_pool2d(sample.masks.float(), 3, 1, 1)[:, 0] > 0  # the object and one pixel around
    assert differs[~border].float().mean() < 0.005  # the tips of hollow corners are thinner than a pixel


def test_boxes_of_an_empty_and_of_a_full_mask():
    masks = torch.stack([torch.zeros(4, 6, dtype=torch.bool), torch.ones(4, 6, dtype=torch.bool)])
    empty, full = tight_boxes(masks).tolist()
    assert full == [0, 0, 6, 4]
    assert empty[0] >= empty[2] and empty[1] >= empty[3]


def test_cue_conflict_changes_the_texture_alone_to_that_of_another_class():
    clean = make_world("figurines", cue_strength=1.0).sample(INDICES, "test")
    conflict = make_world("figurines", cue_strength=1.0, variant="cue_conflict").sample(INDICES, "test")
    assert same(clean.textures, clean.labels)
    assert (
        same(conflict.labels, clean.labels) and same(conflict.masks, clean.masks) and same(conflict.parts, clean.parts)
    )
    assert (conflict.textures != conflict.labels).all() and conflict.textures.max() < make_world("figurines").classes
    others = {name for name in clean.latents if not same(clean.latents[name], conflict.latents[name])}
    assert others == {"texture"}


@pytest.mark.parametrize(
    ("variant", "changed"),
    [("sketch", set()), ("rendition", {"texture"}), ("odd_pose", {"shift", "scale", "turn", "slope", "pose"})],
)
def test_a_variant_changes_what_it_says(variant, changed):
    clean = make_world("figurines").latents(INDICES, "test")
    other = make_world("figurines", variant=variant).latents(INDICES, "test")
    assert {name for name in clean if not same(clean[name], other[name])} == changed


def test_the_second_sample_is_another_draw():
    clean, second = (make_world("figurines", variant=v).latents(INDICES, "test") for v in ("clean", "second"))
    assert not same(clean["class"], second["class"]) and not same(clean["grain"], second["grain"])


def test_rendition_shares_no_pattern_and_no_palette_with_training():
    train = [set(values.tolist()) for values in pattern_of(torch.arange(16))]
    held_out = [set(values.tolist()) for values in pattern_of(torch.arange(16, 20))]
    assert len(set(zip(*(v.tolist() for v in pattern_of(torch.arange(20))), strict=True))) == 20
    assert [sorted(values[:4].tolist()) for values in pattern_of(torch.arange(4, 8))] == [[0, 1, 2, 3]] * 2
    assert not train[0] & held_out[0] and not train[1] & held_out[1]
    assert make_world("figurines", variant="rendition").sample(INDICES).textures.min() >= 16


def test_odd_poses_lie_outside_the_range_of_training():
    clean, odd = (make_world("figurines", variant=v).latents(torch.arange(1000)) for v in ("clean", "odd_pose"))
    assert odd["scale"].max() < clean["scale"].min() and odd["turn"].abs().min() > clean["turn"].abs().max()


@pytest.mark.parametrize(("cue_strength", "expected"), [(0.0, 1 / 16), (0.5, 0.5 + 0.5 / 16), (1.0, 1.0)])
def test_cue_strength_is_how_often_the_texture_tells_the_class(cue_strength, expected):
    z = make_world("figurines", cue_strength=cue_strength).latents(torch.arange(8000))
    assert (z["texture"] == z["class"]).float().mean().item() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("size", [16, 32, 64])
def test_a_sketch_has_the_outline_of_the_parts_and_no_filling(size):
    world = make_world("figurines", size=size, variant="sketch")
    sample = world.render(world.latents(INDICES, do={"day": 0, "noise": 0.0}))
    ink = sample.images.mean(1)
    eroded = -torch.nn.functional.max_pool2d(-sample.masks.float(), size // 8 - 1, 1, size // 16 - 1)[:, 0] > 0
    assert ink[sample.parts == 0].mean() < 0.15 and 0.2 < ink[sample.parts > 0].mean() < 0.9
    if size > 16:  # at 16 pixels a part is all rim
        assert ink[eroded].mean() < 0.5 * ink[sample.parts > 0].mean()


def test_an_intervention_reaches_the_levels_below_and_nothing_else():
    world = make_world("figurines")
    z, done = world.latents(INDICES), world.latents(INDICES, do={"class": 5})
    assert same(done["parts"], parts_of(torch.full((64,), 5), world.classes)) and not same(
        done["corners"], z["corners"]
    )
    assert {name for name in z if not same(z[name], done[name])} == {"class", "parts", "corners"}
    with pytest.raises(ValueError, match="colour is no latent of the figurines: they have class, parts"):
        world.latents(INDICES, do={"colour": 1})


def test_resample_keeps_what_it_is_told_and_draws_the_rest_anew():
    world = make_world("figurines")
    z = world.latents(INDICES)
    views = [world.resample(INDICES, keep=("class", "parts"), draw=draw) for draw in (1, 2)]
    for view in views:
        assert same(view.labels, z["class"]) and same(view.latents["parts"], z["parts"])
        assert not same(view.latents["synonyms"], z["synonyms"]) and not same(view.textures, z["texture"])
    assert not same(views[0].images, views[1].images)
    with pytest.raises(ValueError, match="colour is no latent of the figurines"):
        world.resample(INDICES, keep=("colour",))


def test_a_negative_has_the_same_shape():
    """Brightness tells nothing of the shape: the images of night and day average to one half."""
    world = make_world("figurines")
    night, day = (world.render(world.latents(INDICES, do={"day": value})) for value in (0, 1))
    assert torch.allclose(night.images + day.images, torch.ones(()), atol=1e-6) and same(night.parts, day.parts)


@pytest.mark.parametrize("size", [16, 64])
def test_other_sizes_draw_the_same_figurines(size):
    large = make_world("figurines", size=size).sample(INDICES)
    usual = make_world("figurines").sample(INDICES)
    assert large.images.shape == (64, 3, size, size) and same(large.labels, usual.labels)
    assert torch.allclose(large.boxes / size, usual.boxes / 32, atol=2.5 / min(size, 32))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("size", 40),
        ("synonyms", 5),
        ("jitter", -1.0),
        ("texture_contrast", 2.0),
        ("cue_strength", 1.5),
        ("variant", "clear"),
    ],
)
def test_a_bad_option_is_named_with_its_value(option, value):
    with pytest.raises(ValueError, match=f"{option} is {value!r}: it must be"):
        make_world("figurines", **{option: value})
