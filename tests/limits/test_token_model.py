"""The divergences of predictions that are known, and a training that lowers them."""

import numpy as np
import pytest
import torch

from mae_lib.limits.token_model import TokenModel, divergences, train_tokens
from mae_lib.theory.grammars import code_grammar, noisy_copies
from mae_lib.theory.sampled_information import level_posteriors, sampled_bits

TREE = code_grammar(8, 2, (3, 3))
RNG = np.random.default_rng(0)
IMAGES = TREE.sample(40, RNG)
MASKS = RNG.random(IMAGES.shape) < 0.6


def exact(level: int):
    """The posterior of one level as a predictor."""
    return lambda tokens, masks: torch.from_numpy(level_posteriors(TREE, masks.numpy(), tokens.numpy())[:, level]).log()


def test_only_exact_inference_is_at_no_distance():
    found = divergences(exact(-1), TREE, MASKS, IMAGES).set_index("level")
    assert found.loc[2, "apart"] == pytest.approx(0, abs=1e-12)
    assert (found["told"].diff().dropna() < 0).all() and found.loc[2, "told"] == 0


@pytest.mark.parametrize("level", (0, 1))
def test_less_than_exact_inference_is_as_far_as_the_levels_above_tell(level):
    found = divergences(exact(level), TREE, MASKS, IMAGES).set_index("level")
    assert found.loc[level, "apart"] == pytest.approx(0, abs=1e-12)
    assert found.loc[2, "apart"] == pytest.approx(found.loc[level, "told"])


def test_what_is_told_is_bits_in_expectation():
    images = TREE.sample(4000, RNG)
    masks = RNG.random(images.shape) < 0.6
    told = divergences(exact(-1), TREE, masks, images).set_index("level")["told"]
    bits = sampled_bits(TREE, masks, images)
    for level in (0, 1):
        above = bits[:, level:].sum(1)
        assert told[level] == pytest.approx(above.mean(), abs=5 * above.std() / len(images) ** 0.5)


def test_a_visible_token_counts_for_nothing_and_a_hidden_one_is_not_seen():
    torch.manual_seed(0)
    model = TokenModel(9, 4, width=8, depth=1, heads=2).eval()
    changed = np.where(MASKS, (IMAGES + 1) % 4, IMAGES)
    tokens, others, masks = map(torch.from_numpy, (IMAGES, changed, MASKS))
    torch.testing.assert_close(model(tokens, masks), model(others, masks))
    shown = np.zeros_like(MASKS)
    assert (divergences(model, TREE, shown, IMAGES)[["apart", "told"]] == 0).all(axis=None)


def test_training_comes_nearer_to_exact_inference():
    tree = noisy_copies((2, 2), 2, (0.05, 0.05))
    found = train_tokens(tree, (0.3, 0.6), (0, 60), width=16, depth=1, batch=64, test=200)
    assert (found["apart"] >= 0).all()
    top = found[found["level"] == 2].pivot(index="step", columns="ratio", values="apart")
    assert (top.loc[60] < top.loc[0] / 2).all()
    again = train_tokens(tree, (0.3, 0.6), (0, 60), width=16, depth=1, batch=64, test=200)
    assert again.equals(found)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"ratios are \[0.5, 1\]"):
        train_tokens(TREE, (0.5, 1), (5,))
    with pytest.raises(ValueError, match=r"checkpoints are \[5, 2\]"):
        train_tokens(TREE, (0.5,), (5, 2))
    with pytest.raises(ValueError, match="bool"):
        divergences(exact(-1), TREE, MASKS[:, :4], IMAGES)
