"""A figurine's tree: its blocks are the picture's, its symbols the latents', and its order part by part."""

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup

from mae_lib.theory import locate_shared_information
from mae_lib.worlds import make_world
from mae_lib.worlds.figurine_grammar import parts_of
from maebook.figures import figure, figure_html
from maebook.figurine_drawing import PLACES, blocks, draw_picture, draw_tree, figurine_tree, symbols

TREE = figurine_tree()


def picture(side: int = 8) -> np.ndarray:
    return np.random.default_rng(0).random((side, side, 3))


def test_blocks_are_the_whole_picture_each_once():
    assert sorted(PLACES) == [(r, c) for r in range(4) for c in range(4)]
    image, again = picture(), np.empty((8, 8, 3))
    for (r, c), piece in zip(PLACES, blocks(image)):
        again[2 * r : 2 * r + 2, 2 * c : 2 * c + 2] = piece
    assert np.array_equal(image, again)


def test_a_part_is_a_quadrant():
    """A change of one part's latent shows in that part's four blocks, and nowhere else."""
    world = make_world("figurines", size=32, jitter=0.0)
    z = world.latents(torch.tensor([3]), "test", do={"turn": 0.0, "shift": 0.0})
    before = world.render(z).images[0].permute(1, 2, 0).numpy()
    for p in range(4):
        corners = z["corners"].clone()
        corners[:, 4 * p : 4 * p + 4] = (corners[:, 4 * p : 4 * p + 4] + 2) % 4
        after = world.render(z | {"corners": corners}).images[0].permute(1, 2, 0).numpy()
        change = [np.abs(a - b).max() for a, b in zip(blocks(before), blocks(after))]
        moved = {TREE.observables[k] for k in range(16) if change[k] > 0.05}
        assert moved and moved <= set(TREE.children(f"p{p + 1}"))


def test_symbols_are_those_of_the_class():
    world = make_world("figurines")
    z = world.latents(torch.arange(5), "test")
    for row in range(5):
        text = symbols(z, row)
        letters = parts_of(torch.tensor([int(text["class"])]), world.classes)[0].tolist()
        assert [text[f"p{p}"] for p in range(1, 5)] == ["ABCD"[k] for k in letters]


def test_masks_are_drawn_and_leaves_are_pictures():
    fig, (left, right) = figure(1, 2)
    masked = ["5", "6", "7", "8"]
    draw_picture(left, picture(), masked)
    draw_tree(right, picture(), {"class": "11"}, locate_shared_information(TREE, masked), masked)
    html = figure_html(fig, "A figurine.", "A tree.")
    assert html.count("<image") == 1 + 12 and ">11<" in html
    assert "p2" in "".join(BeautifulSoup(html, "html.parser").get_text().split())  # a subscript is a text of its own
    assert sum(line.get_marker() == "x" for line in left.lines) == 4


def test_a_picture_that_has_no_sixteen_blocks_is_refused():
    with pytest.raises(ValueError, match=r"shape \(6, 8, 3\)"):
        blocks(np.zeros((6, 8, 3)))
