"""The committed picture is what the world draws."""

import numpy as np

from maebook.redrawn import drawn, redrawn


def test_the_committed_figurines_are_those_of_the_world():
    kept, made = redrawn(), drawn()
    assert list(kept) == list(made)
    assert all(np.array_equal(kept[name], made[name]) for name in made)
