"""The tree world with its leaves scattered over the image: the same leaves elsewhere, and a hierarchy that knows."""

import numpy as np
import pytest
import torch

from mae_lib.training.mae import patchify
from mae_lib.worlds import make_world

INDICES = torch.arange(6)
PLAIN, SCATTERED = (make_world("invertible_tree", depth=2, root_dim=12, shuffle=s) for s in (None, 1))


def test_the_same_leaves_stand_elsewhere():
    one, other = (world.sample(INDICES, "test") for world in (PLAIN, SCATTERED))
    assert torch.equal(one.latents["pixels"], other.latents["pixels"]) and torch.equal(one.labels, other.labels)
    tiles = [patchify(sample.images, 4) for sample in (one, other)]
    assert not torch.equal(*tiles)
    assert torch.equal(tiles[0][:, SCATTERED.leaf_at], tiles[1])


def test_an_image_still_gives_back_its_leaves():
    sample = SCATTERED.sample(INDICES, "test")
    torch.testing.assert_close(SCATTERED.from_image(sample.images), sample.latents["pixels"], atol=1e-4, rtol=1e-4)


def test_the_hierarchy_names_the_leaf_at_each_patch():
    tree = PLAIN.hierarchy
    assert sorted(SCATTERED.leaf_at.tolist()) == list(range(16))
    assert [tree.observables[leaf] for leaf in SCATTERED.leaf_at] == list(SCATTERED.hierarchy.observables)
    for latent in tree.latents:
        below = set(tree.descendant_observables(latent))
        assert set(SCATTERED.hierarchy.descendant_observables(latent)) == below
        assert SCATTERED.hierarchy.dim(latent) == tree.dim(latent)


def test_no_subtree_is_a_square():
    rows, columns = np.divmod(SCATTERED.leaf_at.argsort().numpy().reshape(2, 2, 2, 2).swapaxes(1, 2).reshape(4, 4), 4)
    assert ((np.ptp(rows, 1) > 1) | (np.ptp(columns, 1) > 1)).all()


def test_a_bad_seed_is_refused():
    with pytest.raises(ValueError, match="shuffle is -1: it must be 0 or more, or null"):
        make_world("invertible_tree", shuffle=-1)
