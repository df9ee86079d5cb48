"""The settings of Section 3.6: boundaries against counting by hand, units of any shape against squares, blocks."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from small import CONFIG, images, train_small

from mae_lib import randomness
from mae_lib.theory import LatentHierarchy
from mae_lib.theory.mask_levels import subtree_units
from mae_lib.training import MaskSampler, PretrainConfig
from mae_lib.training.batches import mae_batches
from mae_lib.training.structured_masks import BlockMasks, PartitionMasks, inner_patches, inner_weights
from mae_lib.worlds import make_world

ROWS = torch.arange(64)
QUADTREE = LatentHierarchy.quadtree(8)
TREE = make_world("invertible_tree", shuffle=3).hierarchy  # 64 leaves, scattered
ROOT = Path(__file__).resolve().parents[2]


def partition(tree, level, ratio=0.75):
    return PartitionMasks(tuple(subtree_units(tree, level).tolist()), ratio)


SAMPLERS = [partition(TREE, 1), partition(TREE, 2, 0.6), BlockMasks(8, 0.75), BlockMasks(7, 0.4)]


# A boundary left out of the loss


def by_hand(mask, grid, boundary):
    """Patch by patch: masked, and no visible patch within `boundary` rows and columns."""
    spots = [divmod(i, grid) for i in range(grid**2)]
    visible = [spot for spot, hidden in zip(spots, mask.tolist()) if not hidden]
    near = lambda a, b: max(abs(a[0] - b[0]), abs(a[1] - b[1])) <= boundary  # noqa: E731
    return [hidden and not any(near(spot, v) for v in visible) for spot, hidden in zip(spots, mask.tolist())]


@pytest.mark.parametrize("boundary", [0, 1, 2, 7])
@pytest.mark.parametrize("ratio", [0.5, 0.9])
def test_inner_patches_are_those_that_counting_by_hand_leaves(boundary, ratio):
    masks = MaskSampler(7, 4, 8, ratio).sample(0, 0, ROWS[:12])
    assert inner_patches(masks, boundary).tolist() == [by_hand(mask, 7, boundary) for mask in masks]


def test_no_boundary_leaves_every_masked_patch_in():
    masks = MaskSampler(8, 4, 4, 0.75).sample(0, 0, ROWS)
    assert torch.equal(inner_patches(masks, 0), masks)


def test_the_loss_is_the_mean_over_the_patches_that_count():
    config = replace(CONFIG, boundary=1, mask_ratio=0.75, unit=4, flip=False)
    torch.manual_seed(0)
    model = config.model()
    batch, mask, weight = mae_batches(config, images(config), torch.device("cpu"))(3, torch.arange(20))
    inner = inner_patches(mask, 1)
    assert len({int(n) for n in inner.sum(1)}) > 1  # rows differ in how many count
    truth = model._patches(batch)
    predicted = torch.zeros_like(truth)
    predicted[mask] = model(batch, mask).prediction.flatten(0, 1)
    wanted = (predicted - truth).square().mean(-1)[inner].mean()
    torch.testing.assert_close(model(batch, mask, weight).loss, wanted)


def test_pieces_of_a_batch_add_up_to_the_whole():
    config = replace(CONFIG, boundary=1, mask_ratio=0.75, unit=4)
    torch.manual_seed(0)
    model, batch_of = config.model(), mae_batches(config, images(config), torch.device("cpu"))
    whole = model(*batch_of(5, torch.arange(20))).loss
    pieces = torch.stack([model(*batch_of(5, rows)).loss for rows in torch.arange(20).view(4, 5)])
    torch.testing.assert_close(pieces.mean(), whole)


def test_a_batch_without_inner_patches_weighs_nothing():
    mask = torch.ones(2, 16, dtype=torch.bool)
    mask[:, 5] = False  # a visible patch in the middle of 4 x 4 is within 2 of all
    assert not inner_weights(mask, 2).any()
    assert inner_weights(mask, 1).sum() == 2  # seven patches of each image count, together as much as the batch


@pytest.mark.parametrize("changes", [{"boundary": 3}, {"boundary": 1, "mask_ratio": 0.1, "unit": 4}])
def test_a_boundary_that_leaves_nothing_is_refused_before_any_work(changes):
    with pytest.raises(ValueError, match=r"boundary \d leaves nothing to predict: with \d+ of 16 patches visible"):
        replace(CONFIG, **changes)


def test_width_0_is_the_plain_loss():
    torch.manual_seed(0)
    model, batch = CONFIG.model(), mae_batches(CONFIG, images(CONFIG), torch.device("cpu"))(0, torch.arange(20))
    assert len(batch) == 2  # no weight: the plain code, to the bit
    torch.testing.assert_close(model(*batch, inner_weights(batch[1], 0)).loss, model(*batch).loss)


def test_a_boundary_trains_other_weights(tmp_path):
    short = replace(CONFIG, images=100, mask_ratio=0.75)
    plain, one = (train_small(tmp_path, c).load().state_dict() for c in (short, replace(short, boundary=1)))
    assert any(not torch.equal(plain[name], one[name]) for name in plain)


# Units of any shape


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("ratio", [0.3, 0.75, 0.9])
def test_subtrees_of_a_quadtree_are_the_square_units_bit_for_bit(level, ratio):
    squares = MaskSampler(8, 4, 4 * 2**level, ratio).sample(5, 2, ROWS)
    assert torch.equal(partition(QUADTREE, level, ratio).sample(5, 2, ROWS), squares)


@pytest.mark.parametrize(("tree", "level", "ratio"), [(TREE, 1, 0.75), (TREE, 2, 0.75), (TREE, 1, 0.6), (TREE, 2, 0.9)])
def test_masks_are_unions_of_subtrees_but_for_one(tree, level, ratio):
    sampler = partition(tree, level, ratio)
    masks = sampler.sample(0, 0, ROWS)
    assert set((~masks).sum(1).tolist()) == {sampler.visible} == {MaskSampler(8, 4, 4, ratio).visible}
    units = [list(below) for below in subtrees(tree, level)]
    for mask in masks:
        split = [unit for unit in units if len(set(mask[unit].tolist())) == 2]
        assert len(split) == (sampler.visible % 4**level > 0)


def subtrees(tree, level):
    place = {x: i for i, x in enumerate(tree.observables)}
    return [{place[x] for x in tree.descendant_observables(z)} for z in tree.latents if tree.level(z) == level]


def test_every_unit_is_equally_often_visible():
    masks = partition(TREE, 2).sample(0, 0, torch.arange(4000))
    shown = (~masks).double().mean(0)
    assert (shown - 0.25).abs().max() < 5 * (0.25 * 0.75 / 4000) ** 0.5


def test_units_may_differ_in_size():
    sampler = PartitionMasks((0, 0, 0, 0, 0, 1, 1, 2, 2), 0.5)
    masks = sampler.sample(0, 0, ROWS)
    assert set(masks.sum(1).tolist()) == {sampler.masked} == {5}


# Blocks


@pytest.mark.parametrize(("grid", "ratio"), [(4, 0.75), (8, 0.75), (8, 0.1), (14, 0.4), (14, 0.9)])
def test_blocks_hide_the_exact_number_and_hang_together(grid, ratio):
    sampler = BlockMasks(grid, ratio)
    masks = sampler.sample(0, 0, torch.arange(300)).view(-1, grid, grid)
    assert set(masks.flatten(1).sum(1).tolist()) == {sampler.masked} == {MaskSampler(grid, 4, 4, ratio).masked}
    scattered = MaskSampler(grid, 4, 4, ratio).sample(0, 0, torch.arange(300)).view(-1, grid, grid)
    borders = [(m[:, 1:] != m[:, :-1]).sum() + (m[:, :, 1:] != m[:, :, :-1]).sum() for m in (masks, scattered)]
    assert borders[0] < 0.8 * borders[1]


@pytest.mark.parametrize(("grid", "ratio"), [(4, 0.75), (9, 0.5)])
def test_blocks_are_painted_one_over_the_other_until_there_are_enough(grid, ratio):
    """The same blocks, drawn by hand: patch after patch, row by row."""
    sampler, rows = BlockMasks(grid, ratio), torch.arange(20)
    drawn = randomness.uniform(4, 6 * 2**32 + rows, "blocks", (4, 48)).double()
    for row, mask in enumerate(sampler.sample(4, 6, rows).view(-1, grid, grid)):
        painted = torch.zeros(grid, grid, dtype=torch.bool)
        for share, shape, down, right in drawn[row].T.tolist():
            area, aspect = sampler.masked * (0.1 + 0.3 * share), (10 / 3) ** (2 * shape - 1)
            tall, wide = (min(grid, max(1, round(side))) for side in ((area * aspect) ** 0.5, (area / aspect) ** 0.5))
            top, left = int(down * (grid - tall + 1)), int(right * (grid - wide + 1))
            for i in range(top, top + tall):
                for j in range(left, left + wide):
                    if painted.sum() < sampler.masked:
                        painted[i, j] = True
        assert torch.equal(mask, painted)


# All of them


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_a_mask_is_a_function_of_seed_step_and_row(sampler):
    whole = sampler.sample(3, 7, ROWS)
    parts = [sampler.sample(3, 7, rows) for rows in (ROWS[40:], ROWS[:40].flip(0))]
    assert torch.equal(whole, torch.cat([parts[1].flip(0), parts[0]]))
    some = [sampler.sample(seed, step, ROWS[:2]) for seed in (0, 1) for step in (0, 1)]
    assert len({tuple(row.tolist()) for row in torch.cat(some)}) > 4
    assert sampler.sample(0, 0, ROWS[:0]).shape == (0, sampler.patches)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: PartitionMasks((0, 2, 2), 0.5), "without a gap"),
        (lambda: PartitionMasks((0, 0, 0), 0.5), "two or more"),
        (lambda: PartitionMasks((0, 1), 0.8), "must leave a visible and a masked patch of 2"),
        (lambda: BlockMasks(2, 0.9), "must leave a visible and a masked patch of 4"),
        (lambda: BlockMasks(8, 1.0), "1.0"),
        (lambda: inner_patches(torch.ones(2, 15, dtype=torch.bool), 1), "grid"),
        (lambda: replace(CONFIG, boundary=-1), "boundary is -1: it must be 0 or more"),
        (lambda: replace(CONFIG, mask_shape="squares"), "mask_shape is 'squares': it must be units or blocks"),
        (lambda: replace(CONFIG, mask_units=[0, 1]), "mask_units is '2 numbers': it must be one for each of 16"),
        (lambda: replace(CONFIG, mask_units=[0.5] * 16), "a whole number"),
        (lambda: replace(CONFIG, mask_units=[0, 1] * 8, mask_shape="blocks"), "mask_shape is 'blocks'"),
        (lambda: replace(CONFIG, mask_units=[0, 1] * 8, partial_unit=False), "partial_unit is False"),
    ],
)
def test_what_cannot_be_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_configs_with_the_new_settings_come_back_from_json():
    config = replace(CONFIG, mask_units=(0, 1, 2, 3) * 4, boundary=0)
    assert PretrainConfig(**json.loads(json.dumps(asdict(config)))) == config
    assert len({config.key, CONFIG.key, replace(CONFIG, mask_shape="blocks").key}) == 3


def test_configs_of_published_runs_still_load_and_are_plain():
    files = sorted(ROOT.glob("results/*/encoders/*/config.json"))
    assert files
    for file in files:
        config = PretrainConfig(**json.loads(file.read_text()))
        assert (config.boundary, config.mask_shape, config.mask_units) == (0, "units", None)
        assert isinstance(config.masks(), MaskSampler)
