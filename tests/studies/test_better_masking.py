"""The arms of Section 3.6 differ in one setting each; what they are measured by finds what was planted."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch import nn

from mae_lib.metrics.training_cost import step_cost
from mae_lib.studies.better_masking import (
    LEVELS,
    MASKS,
    TreeLevels,
    boundary_series,
    discovered_tree,
    lowest_units,
    mask_series,
    tree_series,
    world_patches,
)
from mae_lib.studies.low_level import TASKS, LowLevel, noised
from mae_lib.studies.series import Series
from mae_lib.training import PretrainConfig

SCALE = {"unique_images": 16, "images": 32, "batch": 16, "width": 16, "decoder_width": 16, "depth": 1}
SCALE |= {"test_images": 60, "probe_images": 200}


def changed(one: Series, other: Series) -> set[str]:
    """Settings in which two series' configs differ."""
    (a,), (b,) = (map(asdict, series.configs.values()) for series in (one, other))
    return {name for name in a if a[name] != b[name]}


def test_boundaries_differ_in_their_width_alone():
    arms = boundary_series("smoke", [0])
    assert list(arms) == [0, 1, 2]
    assert all(changed(arms[0], arms[width]) == {"boundary"} for width in (1, 2))
    assert arms[0].configs == Series.of("smoke", [0.75], [8], [0]).configs  # the plain run, trained once for all pages
    with pytest.raises(ValueError, match="boundary 6 leaves nothing to predict"):
        boundary_series("smoke", [0], (6,))


def test_a_boundary_is_of_units_of_2_x_2_patches_whatever_the_unit_of_the_preset():
    for width, series in boundary_series("desk_figurines", [0]).items():  # whose own unit is a patch
        assert list(series.configs) == [(0.75, 8, 0)]
        assert series.configs[0.75, 8, 0].boundary == width


def test_masks_differ_in_their_units_alone_and_show_as_much():
    plain = tree_series("smoke", [0])
    arms = mask_series(plain, plain.world.hierarchy)
    settings = {"squares": {"unit"}, "blocks": {"mask_shape"}, "subtrees": {"mask_units"}, "discovered": {"mask_units"}}
    assert {name: changed(arms["patches"], arms[name]) for name in MASKS[1:]} == settings
    masks = {name: next(iter(series.configs.values())).masks() for name, series in arms.items()}
    assert {mask.visible for mask in masks.values()} == {4}
    assert arms["subtrees"].configs == arms["discovered"].configs  # the same tree, the same run


def test_the_tree_of_the_page_is_found_and_noise_hides_it():
    world = tree_series("smoke", [0]).world
    assert lowest_units(discovered_tree(world, 500)) == lowest_units(world.hierarchy)
    assert len(discovered_tree(world, 200, noise=2.0).latents) == 1


def test_patches_are_the_leaves_in_the_images_order():
    world = tree_series("smoke", [0]).world
    found = world_patches(world, 5, first=3)
    leaves = world.sample(torch.arange(3, 8), "probe").latents["pixels"][:, world.leaf_at]  # colour, row, column
    wanted = leaves.double().sigmoid().view(5, 16, 3, 16).swapaxes(2, 3).flatten(2)
    np.testing.assert_allclose(found, wanted, atol=0.5 / 255 + 1e-6)


class Exact(nn.Module):
    """An encoder whose tokens are the pixels themselves, after a class token."""

    def __init__(self, patch: int) -> None:
        super().__init__()
        self.patch = patch

    def encode(self, images, mask=None):
        from mae_lib.training.mae import patchify

        tokens = patchify(images, self.patch)
        return torch.cat([tokens[:, :1], tokens], 1)


def test_every_level_of_the_tree_is_read_from_the_leaves_themselves(tmp_path):
    """Scattered or not: a leaf's probe must look at the patch where that leaf stands."""
    plain = tree_series("smoke", [0])
    section = TreeLevels(plain.world, plain.scale | {"probe_images": 600, "test_images": 200}, tmp_path)
    scores = section.measure((0.75, 4, 0), Exact(4))
    assert set(scores) == {f"{level} probe" for level in LEVELS}
    assert scores["leaves probe"].mean() > 0.9  # the sigmoid is nearly straight
    assert scores["root probe"].mean() > 0.2


def test_an_encoder_that_keeps_pixels_keeps_the_low_level(tmp_path):
    series = Series.of("smoke", [0.75], [8], [0], SCALE)
    section = LowLevel(series.world, series.scale, tmp_path)
    scores = section.measure((0.75, 8, 0), Exact(4))
    assert scores["pixels read"].mean() > 0.999
    assert 0.1 < scores["noise removed"].mean() < 1  # linear shrinkage alone takes some of it away
    assert set(scores) == set(TASKS) and {values.shape for values in scores.values()} == {(60,)}


def test_noise_is_a_function_of_the_image_and_stays_in_range():
    images = torch.full((3, 3, 8, 8), 128, dtype=torch.uint8)
    assert torch.equal(noised(images)[:2], noised(images[:2]))
    assert 0.1 < noised(images).std() < 0.2 and noised(images, 9.0).aminmax() == (0, 1)


def test_a_step_with_more_to_see_costs_more():
    config = PretrainConfig.from_scale(
        SCALE | {"image_size": 64, "batch": 64, "images": 64, "width": 64, "depth": 4, "heads": 4}
    )
    few, many = (step_cost(replace(config, mask_ratio=ratio, unit=4), device="cpu") for ratio in (0.95, 0.05))
    assert len(few.all_seconds) == 3 and min(few.all_seconds) > 0
    assert many.seconds > few.seconds
    if few.peak_bytes is not None:
        assert many.peak_bytes > 1.5 * few.peak_bytes > 0
    with pytest.raises(ValueError, match="at least one must be timed"):
        step_cost(config, steps=0)
