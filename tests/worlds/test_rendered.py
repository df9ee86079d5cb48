"""Images drawn once: the same bytes, no second drawing, safe against a kill and against company."""

import threading

import pytest
import torch

from mae_lib.worlds import make_world, rendered
from mae_lib.worlds.figurines import Figurines


def test_rendered_is_sample_rounded_and_is_drawn_once(tmp_path, monkeypatch):
    world = make_world("figurines")
    images = rendered(world, "test", 130, tmp_path)
    expected = (world.sample(torch.arange(130), "test").images * 255).round()
    assert images.dtype == torch.uint8 and torch.equal(images.float(), expected)
    monkeypatch.setattr(Figurines, "sample", lambda *_: pytest.fail("drawn a second time"))
    again = rendered(world, "test", 130, tmp_path)
    again[0] = 0  # a private copy: the file keeps its bytes
    assert torch.equal(rendered(world, "test", 130, tmp_path), images)


def test_what_determines_the_images_determines_the_file(tmp_path):
    rendered(make_world("figurines"), "train", 2, tmp_path)
    for world, split, count in [
        (make_world("figurines", seed=1), "train", 2),
        (make_world("figurines"), "test", 2),
        (make_world("figurines"), "train", 3),
        (make_world("invertible_tree"), "train", 2),
    ]:
        before = len(list(tmp_path.glob("*.npy")))
        rendered(world, split, count, tmp_path)
        assert len(list(tmp_path.glob("*.npy"))) == before + 1


def test_a_drawing_that_was_killed_is_drawn_again(tmp_path, monkeypatch):
    world, draw, calls = make_world("figurines"), Figurines.sample, []

    def dies_at_the_second_chunk(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return draw(*arguments)

    monkeypatch.setattr(Figurines, "sample", dies_at_the_second_chunk)
    with pytest.raises(KeyboardInterrupt):
        rendered(world, "train", 200, tmp_path)
    assert not list(tmp_path.glob("*.npy"))
    monkeypatch.setattr(Figurines, "sample", draw)
    assert torch.equal(rendered(world, "train", 200, tmp_path)[-1:].float() / 255, _rounded(world, 199))


def _rounded(world, index):
    return (world.sample(torch.tensor([index])).images * 255).round() / 255


def test_of_two_that_ask_at_once_one_draws(tmp_path, monkeypatch):
    world, draw, calls = make_world("figurines"), Figurines.sample, []
    monkeypatch.setattr(Figurines, "sample", lambda *arguments: calls.append(1) or draw(*arguments))
    threads = [threading.Thread(target=rendered, args=(world, "train", 100, tmp_path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_no_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match="count is 0"):
        rendered(make_world("figurines"), "train", 0, tmp_path)
