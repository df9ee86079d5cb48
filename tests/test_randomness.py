"""Counter-based random numbers: the same whatever the batch, and random."""

import pytest
import torch

from mae_lib.randomness import bits, integers, normal, ranks, uniform

ROWS = torch.arange(2000)


@pytest.mark.parametrize("draw", [bits, uniform, normal])
def test_a_row_does_not_depend_on_its_batch(draw):
    whole = draw(3, ROWS, "pose", (4,))
    order = torch.tensor([1999, 0, 7])
    assert torch.equal(whole[order], draw(3, order, "pose", (4,)))
    assert torch.equal(whole[:, :2], draw(3, ROWS, "pose", (2,))) or draw is normal


def test_splitmix64_reference_values():
    """The finaliser against the published generator (Vigna's splitmix64.c), computed here in Python's integers."""
    from mae_lib.randomness import _GOLDEN, _mix

    def reference(x):
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % 2**64
        return x ^ (x >> 31)

    assert _GOLDEN % 2**64 == 0x9E3779B97F4A7C15
    values = [0, 1, -1, 2**62, -(2**63), 123456789]
    assert [int(v) % 2**64 for v in _mix(torch.tensor(values))] == [reference(v % 2**64) for v in values]


@pytest.mark.parametrize(("other_seed", "other_stream"), [(4, "pose"), (3, "mask")])
def test_seeds_and_streams_are_independent(other_seed, other_stream):
    a, b = uniform(3, ROWS, "pose", (16,)), uniform(other_seed, ROWS, other_stream, (16,))
    assert abs(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1]) < 0.03


def test_moments_and_ranges():
    u, z = uniform(0, ROWS, "u", (50,)), normal(0, ROWS, "z", (50,))
    assert u.min() >= 0 and u.max() < 1
    assert abs(u.mean() - 0.5) < 0.005 and abs(u.var() - 1 / 12) < 0.002
    assert abs(z.mean()) < 0.02 and abs(z.std() - 1) < 0.02 and z.isfinite().all()
    counts = torch.bincount(integers(7, 0, ROWS, "i", (50,)).flatten(), minlength=7)
    assert len(counts) == 7 and (counts / counts.sum() - 1 / 7).abs().max() < 0.01


def test_ranks_are_uniform_permutations():
    drawn = ranks(0, ROWS, "order", 4)
    assert torch.equal(drawn.sort(dim=1).values, torch.arange(4).expand(2000, 4))
    share = torch.stack([(drawn == k).float().mean(0) for k in range(4)])
    assert (share - 0.25).abs().max() < 0.04
