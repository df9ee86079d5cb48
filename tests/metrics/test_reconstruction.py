"""Reconstruction scores against scikit-image, the formulas, and what identical images must give."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import nn

from mae_lib.metrics.reconstruction import (
    boundary_lead,
    painted_in_turn,
    pixel_mask,
    reconstruction_scores,
    score_reconstructions,
)
from mae_lib.training.structured_masks import inner_patches


def pair(count: int = 6, side: int = 32, noise: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    images = nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return images, (images + noise * torch.randn(images.shape, generator=generator)).clamp(0, 1)


def test_ssim_and_psnr_agree_with_scikit_image():
    images, guesses = pair()
    scores = reconstruction_scores(images, guesses)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
    for i, (image, guess) in enumerate(zip(images.numpy(), guesses.numpy())):
        assert scores["ssim"][i] == pytest.approx(
            structural_similarity(image, guess, channel_axis=0, **options), abs=1e-5
        )
        assert scores["psnr"][i] == pytest.approx(peak_signal_noise_ratio(image, guess, data_range=1.0), abs=1e-4)
        assert scores["mse"][i] == pytest.approx(np.mean((image - guess) ** 2), rel=1e-5)


@pytest.mark.parametrize("side", [11, 32, 64])
def test_identical_images_score_perfectly(side):
    images, _ = pair(side=side)
    scores = reconstruction_scores(images, images.clone())
    np.testing.assert_allclose(scores["ssim"], 1, atol=1e-6)
    np.testing.assert_allclose(scores["fsim"], 1, atol=1e-6)
    assert (scores["mse"] == 0).all() and np.isposinf(scores["psnr"]).all()


def test_structure_falls_with_noise_and_fsim_is_blind_to_colour():
    images, slight = pair(noise=0.03)
    _, strong = pair(noise=0.3)
    slight_scores, strong_scores = reconstruction_scores(images, slight), reconstruction_scores(images, strong)
    for name in ("ssim", "fsim", "psnr"):
        assert (slight_scores[name] > strong_scores[name]).all()
    # A change along the chroma axis I leaves luminance, and so FSIM, as it was: (0.956, -0.272, -1.106) has Y = 0.
    shift = torch.tensor([0.956, -0.272, -1.106]).view(1, 3, 1, 1) * 0.05
    grey = images.mean(1, keepdim=True).expand(-1, 3, -1, -1) * 0.5 + 0.25
    coloured = reconstruction_scores(grey, grey + shift)
    assert (coloured["fsim"] > 0.999).all() and (coloured["mse"] > 1e-4).all()


def test_scores_do_not_depend_on_the_chunk_and_bytes_count_as_images():
    images, guesses = pair()
    whole, single = reconstruction_scores(images, guesses), reconstruction_scores(images, guesses, chunk=1)
    for name in whole:
        np.testing.assert_allclose(whole[name], single[name], rtol=1e-5)
    as_bytes = (images * 255).round().byte()
    from_bytes = reconstruction_scores(as_bytes, guesses)["mse"]
    np.testing.assert_allclose(from_bytes, reconstruction_scores(as_bytes.float() / 255, guesses)["mse"])


class Brighter(nn.Module):
    """A stand-in for a model that predicts more than white above the middle of the first image."""

    def reconstruct(self, images: torch.Tensor, mask: torch.Tensor | None = None, value: float = 1.7) -> torch.Tensor:
        guess = images.clone()
        guess[0, :, :8] = value
        return guess


def test_what_a_model_predicts_out_of_range_is_clamped_and_counted():
    scores = score_reconstructions(Brighter(), torch.full((2, 3, 16, 16), 0.9))
    np.testing.assert_allclose(scores["clamped"], [0.5, 0])
    np.testing.assert_allclose(scores["mse"], [0.005, 0], atol=1e-7)


def test_an_infinite_prediction_is_no_white_pixel():
    model = Brighter()
    model.reconstruct = lambda images, mask: Brighter().reconstruct(images, value=torch.inf)
    with pytest.raises(ValueError, match="diverged"):
        score_reconstructions(model, torch.full((2, 3, 16, 16), 0.9))


def test_bytes_and_floats_are_taken_alike_on_both_sides():
    images, guesses = (256 * part for part in pair())
    images, guesses = images.clamp(0, 255).byte(), guesses.clamp(0, 255).byte()
    np.testing.assert_allclose(reconstruction_scores(images, images)["ssim"], 1, atol=1e-6)
    wanted = reconstruction_scores(images.float() / 255, guesses.float() / 255)
    for left, right in ((images, guesses), (images.float() / 255, guesses), (images, guesses.double() / 255)):
        found = reconstruction_scores(left, right)
        assert all(np.allclose(found[name], wanted[name], atol=1e-6) for name in wanted)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda x: x * 255, r"span \[.*\]: floats must lie in \[0, 1\]"),
        (lambda x: x * 2 - 1, r"span \[.*\]: floats must lie in \[0, 1\]"),
        (lambda x: (x * 255).int(), "are torch.int32: give floats"),
        (lambda x: x > 0.5, "are torch.bool: give floats"),
    ],
)
def test_another_range_is_refused_on_both_sides(change, says):
    images, _ = pair()
    with pytest.raises(ValueError, match=f"reconstructions .*{says}"):
        reconstruction_scores(images, change(images))
    with pytest.raises(ValueError, match=f"images .*{says}"):
        reconstruction_scores(change(images), images)


def test_half_precision_reconstructions_are_scored_in_single():
    images, guesses = pair()
    assert np.isfinite(reconstruction_scores(images, guesses.bfloat16())["ssim"]).all()


def test_masked_scores_look_at_masked_pixels_only():
    images, _ = pair(count=3)
    masked = torch.zeros(3, 32, 32, dtype=torch.bool)
    masked[:, :8] = True
    guess = torch.where(masked[:, None], (images - 0.5).abs(), images)
    scores = reconstruction_scores(images, guess, masked)
    np.testing.assert_allclose(scores["mse_masked"], scores["mse"] * 4, rtol=1e-5)
    np.testing.assert_allclose(scores["psnr_masked"], -10 * np.log10(scores["mse_masked"]), rtol=1e-5)


def test_pixel_mask_follows_rows_of_patches():
    mask = torch.tensor([[True, False, False, False], [False, False, True, False]])
    pixels = pixel_mask(mask, 4, 6)
    assert pixels.shape == (2, 4, 6)
    assert pixels[0].nonzero().max(0).values.tolist() == [1, 2] and int(pixels[0].sum()) == 6
    assert pixels[1, 2:, :3].all() and int(pixels[1].sum()) == 6
    with pytest.raises(ValueError, match="5 patches"):
        pixel_mask(torch.zeros(1, 5, dtype=torch.bool), 4, 4)


class Dimmer(nn.Module):
    """A stand-in for a model: gives back what it may see, half as bright, and grey where the mask lies."""

    def reconstruct(self, images: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        seen = images / 2
        return seen if mask is None else torch.where(pixel_mask(mask, *images.shape[2:])[:, None], 0.5, seen)


def test_a_model_is_scored_whole_and_masked():
    images, _ = pair(count=5)
    scores = score_reconstructions(Dimmer(), images, batch=2)
    np.testing.assert_allclose(scores["mse"], (images / 2).square().mean((1, 2, 3)), rtol=1e-5)
    assert "mse_masked" not in scores
    mask = torch.zeros(5, 16, dtype=torch.bool)
    mask[:, ::2] = True
    hidden = score_reconstructions(Dimmer(), images, mask, batch=2)
    expected = ((images - 0.5).square().mean(1) * pixel_mask(mask, 32, 32)).sum((1, 2)) / 512
    np.testing.assert_allclose(hidden["mse_masked"], expected, rtol=1e-5)


def test_an_untrained_mae_is_scored_and_probed():
    from mae_lib.metrics.probes import features
    from mae_lib.training.mae import MAE

    images, _ = pair(count=3)
    torch.manual_seed(0)
    model = MAE(
        image_size=32, patch=8, width=16, depth=1, heads=2, decoder_width=16, decoder_depth=1, decoder_heads=2
    ).eval()
    mask = torch.arange(16).expand(3, 16) % 4 > 0
    scores = score_reconstructions(model, images, mask)
    assert all(score.shape == (3,) and np.isfinite(score).all() for score in scores.values())
    cls, mean = features(model, images), features(model, images, pool="mean", batch=2)
    assert cls.shape == mean.shape == (3, 16) and not np.allclose(cls, mean)


@pytest.mark.parametrize(
    ("images", "guess", "masked", "message"),
    [
        (torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 12), None, "must agree"),
        (torch.rand(2, 3, 10, 16), torch.rand(2, 3, 10, 16), None, "sides from 11"),
        (torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 16), None, r"\(B, 3, H, W\)"),
        (torch.rand(2, 3, 16, 16) * 255, torch.rand(2, 3, 16, 16), None, r"lie in \[0, 1\]"),
        (torch.rand(2, 3, 16, 16), torch.full((2, 3, 16, 16), torch.nan), None, "diverged"),
        (torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16), torch.ones(2, 16, 12, dtype=torch.bool), "True = masked"),
        (torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16), torch.ones(2, 16, 16), "True = masked"),
        (torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16), torch.zeros(2, 16, 16).bool(), "no masked pixel"),
        (torch.rand(0, 3, 16, 16), torch.rand(0, 3, 16, 16), None, "at least one"),
    ],
)
def test_bad_input_is_refused(images, guess, masked, message):
    with pytest.raises(ValueError, match=message):
        reconstruction_scores(images, guess, masked)


def test_a_mask_for_each_image():
    with pytest.raises(ValueError, match="1 masks for 2 images"):
        score_reconstructions(Dimmer(), torch.rand(2, 3, 16, 16), torch.ones(1, 16, dtype=torch.bool))


class Neighbours(Dimmer):
    """Right beside visible patches, wrong by 0.1 elsewhere."""

    def reconstruct(self, images, mask=None):
        far = pixel_mask(inner_patches(mask, 1), *images.shape[2:])
        return images + 0.1 * far[:, None]


def test_the_lead_of_patches_beside_visible_ones():
    images = torch.full((3, 3, 32, 32), 0.5)
    mask = torch.ones(3, 64, dtype=torch.bool)
    mask[:, 0] = False  # a corner is seen: three patches stand beside it
    np.testing.assert_allclose(boundary_lead(Neighbours(), images, mask, batch=2), 0.01, rtol=1e-5)
    mask[1] = torch.arange(64) % 2 == 0  # nothing is far: the mean of the others
    np.testing.assert_allclose(boundary_lead(Neighbours(), images, mask), 0.01, rtol=1e-5)
    assert np.isnan(boundary_lead(Neighbours(), images[:1], mask[1:2])).all()


def test_in_turn_every_patch_is_painted_once_while_it_is_hidden():
    class Counts(nn.Module):
        """Paints what is hidden in the number of patches that are, and copies the rest."""

        grid = 4

        def reconstruct(self, images, mask):
            hidden = pixel_mask(mask, *images.shape[2:])[:, None]
            seen.append(mask)
            return torch.where(hidden, mask.sum(1)[:, None, None, None] / 16, images)

    seen: list[torch.Tensor] = []
    images, _ = pair(count=2)
    painted = painted_in_turn(Counts(), images, parts=5)
    assert (torch.stack(seen).sum(0) == 1).all() and len(seen) == 5
    sizes = torch.stack(seen).sum(2)[:, 0].tolist()
    assert sorted(sizes) == [3, 3, 3, 3, 4]
    assert set((painted * 16).unique().tolist()) == set(sizes)  # nothing is left of the images
