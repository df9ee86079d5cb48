"""Figurines among other things: what is seen of them is annotated, and nothing around them tells of their class."""

import pytest
import torch

from mae_lib.worlds import make_world
from mae_lib.worlds.figurine_clutter import ground_colours, smooth_noise
from mae_lib.worlds.figurine_nuisances import REGIMES, VARIANTS, ranges_of
from mae_lib.worlds.figurine_rendering import object_frame, part_shapes

INDICES = torch.arange(32)
CLUTTER = REGIMES["cluttered"].clutter
OPEN = {"occlusion": 0.0}  # nothing in front


def cluttered(**options):
    return make_world("figurines", regime="cluttered", **options)


def without_grain(world, **do):
    return world.render(world.latents(INDICES, do={"noise": 0.0, "light": 0.0, "relief": 0.0, **do}))


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_image_is_the_same_in_whatever_batch(variant):
    world = cluttered(variant=variant)
    whole = world.sample(INDICES, "test")
    alone, few = world.sample(INDICES[5:6], "test"), world.sample(INDICES[[9, 5, 2]], "test")
    assert torch.equal(alone.images[0], whole.images[5]) and torch.equal(few.images[1], whole.images[5])
    assert torch.equal(alone.parts[0], whole.parts[5]) and torch.equal(few.boxes[1], whole.boxes[5])


def test_the_regime_changes_no_level_of_the_grammar():
    plain, other = (make_world("figurines", regime=regime).latents(INDICES) for regime in ("plain", "cluttered"))
    for name in ("class", "parts", "synonyms", "corners", "texture", "jitter"):
        assert torch.equal(plain[name], other[name])
    assert not torch.equal(plain["pose"], other["pose"]) and other["day"].sum() == 0


def test_what_is_in_front_hides_the_share_that_it_says_to_a_pixel():
    world = cluttered(size=64)
    z = world.latents(torch.arange(64))
    seen = world.render(z).masks.sum((1, 2, 3))
    whole = world.render(world.latents(torch.arange(64), do=OPEN)).masks.sum((1, 2, 3))
    assert ((whole - seen) - z["occlusion"] * whole).abs().max() <= 0.5 + 1e-3
    low, high = CLUTTER.occlusion
    assert low <= z["occlusion"].min() and z["occlusion"].max() <= high


@pytest.mark.parametrize("size", [32, 64])
def test_parts_masks_and_boxes_are_of_what_is_seen(size):
    world = cluttered(size=size)
    z = world.latents(INDICES)
    sample = world.render(z)
    distance, _ = part_shapes(z, object_frame(z, size))
    for k in range(4):  # a part is marked only where its own shape is
        assert (distance[:, k][sample.parts == k + 1] < 0).all()
    assert torch.equal(sample.masks[:, 0], sample.parts > 0) and sample.masks.flatten(1).any(1).all()
    for mask, box in zip(sample.masks[:, 0], sample.boxes[:, 0], strict=True):
        rows, columns = mask.nonzero().unbind(1)
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_lone_parts_and_ground_stay_behind_the_figurine():
    """Another ground and other lone parts, and not a part, nor a pixel that the figurine covers, is another."""
    world = cluttered(size=64)
    z = world.latents(INDICES)
    others = {"lone_corners": (z["lone_corners"] + 1) % 4, "lone_pose": z["lone_pose"].flip(1)}
    one = without_grain(world, **OPEN)
    other = without_grain(world, **OPEN, **others, ground_contrast=0.0)
    distance, _ = part_shapes(z, object_frame(z, 64))
    covered = distance.amin(1) <= -0.5
    assert torch.equal(one.parts, other.parts)
    assert torch.allclose(one.images.movedim(1, -1)[covered], other.images.movedim(1, -1)[covered], atol=1e-6)
    assert not torch.equal(one.images, other.images)


def test_without_contrast_the_ground_is_the_mean_of_its_two_colours():
    world = cluttered()
    mean = ground_colours(world.latents(INDICES)).mean(1)[..., None, None]
    images = without_grain(world, **OPEN, ground_contrast=0.0).images
    assert ((images - mean).abs().amax(1) < 1e-3).flatten(1).float().mean(1).min() > 0.1  # what nothing covers


def test_what_is_in_front_lies_on_the_figurine_and_changes_nothing_that_is_still_seen():
    world = cluttered()
    shown, hidden = without_grain(world, **OPEN), without_grain(world)
    changed = (shown.images != hidden.images).any(1)
    gone = (shown.parts > 0) & (hidden.parts == 0)
    assert changed[gone].float().mean() > 0.99
    # What stays is the same but for a soft edge of one pixel.
    near = torch.nn.functional.max_pool2d((~hidden.masks).float(), 3, 1, 1)[:, 0] > 0
    assert not changed[hidden.masks[:, 0] & ~near].any()
    assert torch.equal(hidden.parts[hidden.parts > 0], shown.parts[hidden.parts > 0])


def test_the_clutter_is_the_same_whatever_the_class():
    world = cluttered()
    z, other = world.latents(INDICES), world.latents(INDICES, do={"class": 3})
    assert {name for name in z if not torch.equal(z[name], other[name])} == {"class", "parts", "corners"}


def test_a_figurine_stays_in_the_image_but_for_its_overhang():
    z = cluttered().latents(torch.arange(2000))
    ranges = REGIMES["cluttered"]
    beyond = z["shift"].abs().amax(1) + z["scale"] - 1
    assert beyond.max() <= ranges.overhang + 1e-6 and z["shift"].abs().max() <= ranges.shift
    assert z["scale"].min() >= ranges.scale[0] and z["scale"].max() <= ranges.scale[1]


def test_odd_poses_lie_outside_the_range_of_training_in_every_regime():
    for regime in REGIMES:
        clean, odd = (ranges_of(regime, variant) for variant in ("clean", "odd_pose"))
        assert odd.scale[1] < clean.scale[0] and odd.turn[0] > clean.turn[1]


def test_held_out_textures_are_all_that_a_rendition_shows():
    z = cluttered(variant="rendition").latents(INDICES)
    assert z["texture"].min() >= 16 and z["thing_textures"].min() >= 16
    assert cluttered().latents(INDICES)["thing_textures"].max() < 16


def test_light_varies_smoothly_and_at_every_scale():
    noise = smooth_noise(torch.arange(200), "light", 64)
    assert noise.abs().max() < 1 and noise.mean().abs() < 0.02
    assert (noise[..., 1:] - noise[..., :-1]).abs().max() < noise.std() / 2
    for cells in (2, 4, 8):
        means = noise.view(200, cells, 64 // cells, cells, 64 // cells).mean((2, 4))
        assert means.std() > 0.1


def test_an_unknown_regime_is_named():
    with pytest.raises(ValueError, match="regime is 'wild': it must be one of plain, cluttered"):
        make_world("figurines", regime="wild")
