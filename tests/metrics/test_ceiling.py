"""The supervised ceiling and the latents that evaluations read."""

import pytest
import torch

from mae_lib.metrics.ceiling import supervised_ceiling
from mae_lib.metrics.ground_truth import ground_truth
from mae_lib.worlds import make_world


def corners(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Grey images with one white corner; the label says which. Only place tells, so pooling it away would fail."""
    labels = torch.arange(count) % 4
    images = torch.full((count, 3, 16, 16), 90, dtype=torch.uint8)
    for k in range(4):
        rows, columns = 8 * (k // 2), 8 * (k % 2)
        images[labels == k, :, rows : rows + 8, columns : columns + 8] = 200
    return images, labels


def test_what_labels_can_teach_is_learned_and_noise_is_not():
    images, labels = corners(256)
    assert supervised_ceiling(images, labels, *corners(64)).accuracy == 1
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 4, (512,), generator=generator)
    score = supervised_ceiling(*corners(512), images[:1].expand(512, -1, -1, -1), noise)
    assert abs(score.accuracy - 0.25) < 0.08 and score.hits.shape == (512,)


def test_the_same_seed_gives_the_same_hits_and_leaves_the_generator_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = (supervised_ceiling(*corners(64), *corners(32), epochs=1, seed=3) for _ in range(2))
    assert (first.hits == second.hits).all() and torch.equal(before, torch.get_rng_state())


def test_sizes_that_do_not_fit_are_named():
    images, labels = corners(8)
    with pytest.raises(ValueError, match="8 images of side 16 for 7 labels"):
        supervised_ceiling(images, labels[:7], images, labels)


@pytest.mark.parametrize("world", ["figurines", "invertible_tree", "digits"])
def test_ground_truth_is_that_of_the_images(world):
    world = make_world(world)
    truth, sample = ground_truth(world, "test", 300), world.sample(torch.arange(250, 300), "test")
    assert torch.equal(truth["class"][250:], sample.labels)
    for level in world.levels.values():
        assert truth[level.key].shape[0] == 300
        assert torch.equal(truth[level.key][250:], sample.latents[level.key])
