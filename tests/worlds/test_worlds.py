"""What holds for every world: numbered images, ranges, labels, levels, real splits, errors."""

import json
from dataclasses import fields

import pytest
import torch

from mae_lib.worlds import Sample, make_world
from mae_lib.worlds.real import PHOTOGRAPHS, Photographs

NAMES = ("figurines", "invertible_tree", "photographs", "digits")
BY_NAME = pytest.mark.parametrize("name", NAMES)


def tensors(sample: Sample) -> dict[str, torch.Tensor]:
    values = {field.name: getattr(sample, field.name) for field in fields(sample)}
    return {k: v for k, v in (values | values.pop("latents")).items() if v is not None}


@BY_NAME
def test_image_i_is_the_same_whatever_the_batch_the_order_and_the_threads(name):
    """To the bit. The batch sizes leave every remainder of a vector register."""
    world = make_world(name)
    indices = torch.tensor([3, 1_000_003, 7, 0, 12, 5, 31, 2**40, 8, 9, 64, 65, 77])
    whole = tensors(world.sample(indices, "test"))
    for rows in ([0], [12, 3, 1], [1, 2, 3, 4, 5], list(range(12, -1, -1))):
        part = tensors(world.sample(indices[rows], "test"))
        assert all(torch.equal(part[key], whole[key][rows]) for key in whole)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert torch.equal(world.sample(indices, "test").images, whole["images"])
    finally:
        torch.set_num_threads(before)


@BY_NAME
def test_splits_seeds_and_images_differ(name):
    indices = torch.arange(8)
    images = make_world(name).sample(indices, "train").images
    assert not torch.equal(images, make_world(name).sample(indices, "test").images)
    assert not torch.equal(images, make_world(name, seed=1).sample(indices, "train").images)
    assert len(images.flatten(1).unique(dim=0)) == 8


@BY_NAME
def test_images_are_finite_and_lie_in_the_unit_interval(name):
    world = make_world(name)
    images = world.sample(torch.arange(200), "train").images
    assert images.shape == (200, 3, world.size, world.size) and images.dtype == torch.float32
    assert images.isfinite().all() and images.min() >= 0 and images.max() <= 1
    assert images.std() > 0.05


@BY_NAME
@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_cover_all_classes_near_uniformly(name, split):
    world = make_world(name)
    counts = world.sample(torch.arange(1000), split).labels.bincount(minlength=world.classes)
    assert len(counts) == world.classes
    assert (counts / counts.float().mean() - 1).abs().max() < 0.4  # three standard errors at 16 classes


@BY_NAME
def test_levels_describe_the_latents(name):
    world = make_world(name)
    latents = world.sample(torch.arange(400)).latents
    for level in world.levels.values():
        values = latents[level.key].reshape(400, level.nodes, -1)
        if level.values is not None:
            assert values.shape[2] == 1 and values.dtype == torch.int64
            assert values.min() >= 0 and values.max() < level.values
        else:
            assert values.shape[2] == level.dim and values.is_floating_point() and (values.std(0) > 0).all()


@pytest.mark.parametrize("name", ["figurines", "invertible_tree"])
def test_the_hierarchy_has_patches_that_tile_the_image(name):
    world = make_world(name)
    assert world.size % 8 == 0
    assert world.hierarchy.observables == tuple(f"x_{row}_{column}" for row in range(8) for column in range(8))


@pytest.mark.parametrize("name", ["figurines", "invertible_tree"])
def test_an_empty_batch_is_empty(name):
    world = make_world(name)
    assert world.sample(torch.arange(0)).images.shape == (0, 3, world.size, world.size)


@BY_NAME
def test_spec_is_json_and_makes_the_world_again(name):
    world = make_world(name, seed=3)
    spec = json.loads(json.dumps(world.spec()))
    assert make_world(spec.pop("world"), **spec) == world


def test_unknown_names_and_options_list_what_there_is():
    with pytest.raises(ValueError, match="world 'figurine' is unknown: choose one of figurines, invertible_tree, "):
        make_world("figurine")
    with pytest.raises(ValueError, match="world 'digits' has no option 'sise': it has size, seed, shift"):
        make_world("digits", sise=3)


def test_photographs_of_train_and_test_share_no_pixel():
    """Mark the halves of stand-in photographs: no crop may show the other half's colour."""
    world = Photographs()
    halves = torch.cat([torch.zeros(3, 200, 150), torch.full((3, 200, 151), 255.0)], 2).byte()
    world.__dict__["photographs"] = [halves] * len(PHOTOGRAPHS)
    assert world.sample(torch.arange(300), "train").images.max() == 0
    assert world.sample(torch.arange(300), "test").images.min() > 0.999


def test_digits_of_train_and_test_are_different_digits():
    world = make_world("digits", shift=0)
    train, test = (world.sample(torch.arange(2000), split).images[:, 0].flatten(1) for split in ("train", "test"))
    train, test = train.unique(dim=0), test.unique(dim=0)
    assert len(train) == 1300 and len(test) == 497
    assert torch.cdist(test, train).min() > 0


@pytest.mark.parametrize("name", ["photographs", "digits"])
def test_a_real_set_has_two_splits_and_no_hierarchy(name):
    assert make_world(name).hierarchy is None
    with pytest.raises(ValueError, match="split is 'val': it must be train or test"):
        make_world(name).sample(torch.arange(2), "val")


@pytest.mark.parametrize(("name", "option", "value"), [("photographs", "size", 4), ("digits", "shift", 9)])
def test_a_bad_option_of_a_real_set_is_named(name, option, value):
    with pytest.raises(ValueError, match=f"{option} is {value}: it must be"):
        make_world(name, **{option: value})
