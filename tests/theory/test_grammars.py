"""The grammars as tables: against the figurines of `mae_lib.worlds` and their exact posterior, and their properties."""

import numpy as np
import pytest
import torch

from mae_lib.limits.grammar_posterior import posterior
from mae_lib.theory.grammars import code_grammar, noisy_copies
from mae_lib.theory.information import mask_bits
from mae_lib.theory.sampled_information import sampled_bits
from mae_lib.worlds.figurine_grammar import corners_of, parts_of


@pytest.mark.parametrize(("classes", "synonyms"), [(4, 1), (8, 2), (12, 2), (16, 4)])
def test_the_tables_make_the_figurines_of_the_worlds(classes, synonyms):
    tree = code_grammar(classes, synonyms)
    parts = parts_of(torch.arange(classes), classes)
    choices = torch.cartesian_prod(*[torch.arange(synonyms)] * 4).view(-1, 4)
    words = {tuple(row) for p in parts for row in corners_of(p.expand(len(choices), 4), choices).tolist()}
    images = tree.sample(3000, np.random.default_rng(0))
    drawn = {tuple(row) for row in images.tolist()}
    assert drawn <= words and (drawn == words or len(words) > 300)


@pytest.mark.parametrize("synonyms", [1, 2, 4])
def test_bits_are_those_of_the_exact_posterior_of_the_figurines(synonyms):
    tree, rng = code_grammar(12, synonyms), np.random.default_rng(0)
    images, masks = tree.sample(100, rng), rng.random((100, 16)) < 0.6

    def entropies(seen):
        p = posterior(torch.from_numpy(images), torch.from_numpy(seen), 12, synonyms).corners
        return (torch.special.entr(p).sum(-1) / np.log(2)).numpy()

    part, nothing = np.arange(16) // 4, np.zeros_like(masks)
    own = sum(entropies(~masks & (part == k)) * (part == k) for k in range(4))
    wanted = [((a - b) * masks).sum(1) for a, b in ((entropies(nothing), own), (own, entropies(~masks)))]
    np.testing.assert_allclose(sampled_bits(tree, masks, images), np.stack(wanted, 1), atol=1e-9)


@pytest.mark.parametrize("symbols", [2, 4, 8])
def test_two_children_tell_their_parent_and_one_does_not(symbols):
    tree = code_grammar(symbols**2, symbols, (symbols,), symbols=symbols)
    for shown, left in ((1, 1), (2, 0)):
        mask = np.arange(symbols)[None] >= shown
        found = mask_bits(tree, mask)
        hidden = symbols - shown
        assert found.hidden[0] - found.by_level.sum() == pytest.approx(left * hidden * np.log2(symbols))


def test_noise_spreads_over_the_other_symbols():
    tree = code_grammar(noise=0.3)
    np.testing.assert_allclose(tree.tables[-1].sum(1), 1)
    assert set(tree.tables[-1].ravel().round(12)) == {0.1, 0.7}
    copied = noisy_copies((2, 3), 3, (0.0, 0.4))
    np.testing.assert_allclose(copied.tables[1], np.eye(3))
    np.testing.assert_allclose(np.diag(copied.tables[-1]), 0.6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"classes": 10}, "classes is 10: it must be a multiple of 4, up to 16"),
        ({"synonyms": 5}, "synonyms is 5: it must lie between 1 and 4"),
        ({"branching": (4, 5)}, r"branching is \(4, 5\)"),
        ({"branching": ()}, "branching is"),
        ({"copies": 0}, "copies is 0"),
        ({"noise": 1.5}, "noise is 1.5"),
        ({"symbols": 3}, "symbols is 3: it must be 2, 4 or 8"),
    ],
)
def test_a_grammar_out_of_range_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        code_grammar(**wrong)


def test_noisy_copies_out_of_range_are_refused():
    with pytest.raises(ValueError, match="states is 1"):
        noisy_copies((2,), 1, (0.1,))
    with pytest.raises(ValueError, match="give 2 probabilities"):
        noisy_copies((2, 2), 2, (0.1,))
