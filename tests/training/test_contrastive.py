"""Contrastive runs: the loss against brute force, views that share what they should, and runs as MAE's."""

import math
from dataclasses import replace

import pytest
import torch
from torchvision.transforms import functional as reference

from mae_lib.training import Hardware, PretrainConfig, contrastive
from mae_lib.training.contrastive import (
    ContrastiveConfig,
    contrast,
    crop_and_jitter,
    nt_xent,
    pair_batches,
)

MAE = PretrainConfig(
    unique_images=24, image_size=32, patch=8, unit=8, width=16, depth=1, heads=2, decoder_width=16, decoder_heads=2
)
CONFIG = ContrastiveConfig(MAE, "class", images=96, pairs=4, projection=8)
CPU = torch.device("cpu")
QUIET = Hardware("cpu", progress=False)


def never():
    raise AssertionError("a finished run must not ask for images")


def draw():
    return torch.randint(256, (24, 3, 32, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def test_the_loss_is_the_published_sum():
    first, second = torch.randn(2, 5, 7, dtype=torch.float64)
    rows = torch.cat([first, second])
    total = 0.0
    for i in range(10):
        partner = (i + 5) % 10
        like = [math.exp(torch.cosine_similarity(rows[i], rows[k], dim=0) / 0.3) for k in range(10)]
        total -= math.log(like[partner] / (sum(like) - like[i]))
    assert math.isclose(nt_xent(first, second, 0.3).item(), total / 10, rel_tol=1e-12)


def test_the_loss_of_a_guess_and_of_certainty():
    same = torch.ones(6, 3)
    assert math.isclose(nt_xent(same, same, 0.2).item(), math.log(11), rel_tol=1e-6)
    apart = torch.eye(6)
    assert nt_xent(apart, apart, 0.01) < 1e-6
    assert nt_xent(apart, apart.flip(0), 0.01) > 10


def test_the_whole_image_is_a_crop_and_a_plain_one_stays_plain():
    images = torch.rand(3, 3, 16, 16)
    whole = torch.tensor([[1.0, 0.5, 0.0, 0.0]]).expand(3, 4)
    assert torch.allclose(contrastive._crop(images, whole), images, atol=1e-5)
    plain = torch.full((4, 3, 16, 16), 0.3)
    assert torch.allclose(contrastive._crop(plain, torch.rand(4, 4)), plain, atol=1e-6)
    ramp = torch.linspace(0, 1, 16).expand(1, 3, 16, 16)
    cut = contrastive._crop(ramp, torch.tensor([[0.0, 0.5, 1.0, 0.0]]))  # a small crop at the right edge
    assert cut.min() > 0.5 and (cut.diff(dim=-1) >= -1e-6).all()


def test_colours_change_as_torchvision_changes_them():
    images, factors = torch.rand(4, 3, 8, 8), 0.6 + 0.8 * torch.rand(4, 3)
    ours = contrastive._jitter(images, factors)
    for image, (b, c, s), mine in zip(images, factors.tolist(), ours):
        theirs = reference.adjust_brightness(image, b)
        theirs = reference.adjust_saturation(reference.adjust_contrast(theirs, c), s)
        assert torch.allclose(mine, theirs, atol=1e-3)


def test_a_crop_is_a_function_of_its_visit():
    images, visits = torch.rand(6, 3, 16, 16), torch.arange(6)
    together = crop_and_jitter(images, 1, visits, "one")
    alone = crop_and_jitter(images[4:5], 1, visits[4:5], "one")
    assert torch.allclose(together[4:5], alone, atol=1e-6)
    assert together.shape == images.shape and together.min() >= 0 and together.max() <= 1
    assert not torch.allclose(together, crop_and_jitter(images, 1, visits, "other"), atol=0.05)


@pytest.mark.parametrize("views", ["class", "class+corners", "texture"])
def test_the_second_view_keeps_what_is_named_and_nothing_else(views, monkeypatch):
    config = replace(CONFIG, views=views)
    world, seen = MAE.make_world(), []
    render = type(world).render
    monkeypatch.setattr(type(world), "render", lambda self, z: (seen.append(z), render(self, z))[1])
    first, second = pair_batches(config, draw(), CPU)(2, torch.arange(4))
    assert first.shape == second.shape == (4, 3, 32, 32)
    numbers = [int((draw().float().div(255) == image).flatten(1).all(1).nonzero()) for image in first]
    before, (after,) = world.latents(torch.tensor(numbers)), seen
    for name in ("class", "corners", "texture", "pose"):
        kept = name in config.keep
        assert torch.equal(before[name], after[name]) == kept, name


def test_pairs_differ_by_step_and_by_seed():
    batch_of, rows = pair_batches(CONFIG, draw(), CPU), torch.arange(4)
    again = pair_batches(CONFIG, draw(), CPU)
    assert all(torch.equal(a, b) for a, b in zip(batch_of(3, rows), again(3, rows)))
    assert not torch.equal(batch_of(3, rows)[1], batch_of(4, rows)[1])
    other = pair_batches(replace(CONFIG, mae=replace(MAE, seed=1)), draw(), CPU)
    assert not torch.equal(batch_of(3, rows)[1], other(3, rows)[1])


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return contrast(CONFIG, tmp_path_factory.mktemp("runs"), QUIET, draw)


def test_a_run_is_trained_once_and_says_what_it_is(finished):
    assert finished.config == CONFIG and finished.done["steps"] == CONFIG.steps == 12
    assert finished.directory.name == f"figurines-contrastive-class-s0-{CONFIG.key}"
    assert contrast(CONFIG, finished.directory.parent, QUIET, never) == finished


def test_the_encoder_learns_from_the_mae_s_first_weights_and_the_decoder_does_not(finished):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(MAE.seed)
        fresh = MAE.model()
    saved = contrastive.checkpoints.load(finished.directory / "model")[0]
    encoder = set(fresh.encoder_state())
    moved = {name for name, value in fresh.state_dict().items() if not torch.equal(value, saved[name])}
    assert moved <= encoder and "blocks.0.attn.qkv.weight" in moved
    model = finished.load()
    assert not model.training and model.encode(torch.rand(2, 3, 32, 32)).shape == (2, 17, 16)
    assert torch.equal(model.norm.weight, saved["norm.weight"])


def test_a_run_that_was_cut_off_goes_on_to_the_same_bits(finished, tmp_path, monkeypatch):
    calls = []

    def cut(*views):
        if len(calls) == 7:
            raise KeyboardInterrupt
        calls.append(1)
        return nt_xent(*views)

    monkeypatch.setattr(contrastive, "nt_xent", cut)
    with pytest.raises(KeyboardInterrupt):
        contrast(CONFIG, tmp_path, replace(QUIET, save_seconds=0), draw)
    monkeypatch.undo()
    assert list(tmp_path.glob("*/checkpoint-*"))
    again = contrast(CONFIG, tmp_path, QUIET, draw)
    for name, value in finished.load().encoder_state().items():
        assert torch.equal(value, again.load().encoder_state()[name]), name


def test_what_determines_the_result_is_in_the_address():
    others = [
        replace(CONFIG, views="crop"),
        replace(CONFIG, temperature=0.3),
        replace(CONFIG, mae=replace(MAE, seed=1)),
        replace(CONFIG, mae=replace(MAE, lr=1e-3)),
    ]
    assert len({config.name for config in [CONFIG, *others]}) == 5


def test_the_tree_is_contrasted_too(tmp_path):
    config = replace(CONFIG, mae=replace(MAE, world="invertible_tree"), views="level0+level1", images=16)
    run = contrast(config, tmp_path, QUIET)
    assert run.config == config and (tmp_path / "images").is_dir()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"views": "shape"}, "views are 'shape': shape is no latent of the figurines"),
        ({"mae": replace(MAE, world="digits")}, "world 'digits' has no latents to keep"),
        ({"images": 7}, "images is 7: it must be at least 8"),
        ({"pairs": 1}, "pairs is 1: it must be at least 2"),
        ({"temperature": 0.0}, "temperature is 0.0: it must be above 0"),
    ],
)
def test_what_cannot_be_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **changes)
