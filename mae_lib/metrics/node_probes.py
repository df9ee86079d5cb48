"""What a masked autoencoder encodes of each level: probes of single nodes, of masked images, and errors per leaf."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from mae_lib.metrics.batches import device_of, unit_images
from mae_lib.metrics.probes import ridge_probe

_NODES = 4  # probed per level, spread over it


@torch.inference_mode()
def patch_features(model: nn.Module, images: Tensor, batch: int = 64) -> np.ndarray:
    """The encoder's tokens of whole images (B, 3, H, W), float in [0, 1] or uint8: float32 (B, patches, width)."""
    chunks = unit_images(images, batch, device_of(model))
    return torch.cat([model.encode(chunk)[:, 1:].float().cpu() for chunk in chunks]).numpy()


@torch.inference_mode()
def masked_features(model: nn.Module, images: Tensor, masks: Tensor, batch: int = 64) -> np.ndarray:
    """The mean of the tokens of the visible patches, all that the encoder saw: float32 (B, width).

    masks: bool (B, patches), True = masked. Raises ValueError for another number of masks than images.
    """
    return torch.cat(
        [model.encode(chunk, hidden)[:, 1:].mean(1).cpu() for chunk, hidden in _paired(model, images, masks, batch)]
    ).numpy()


@torch.inference_mode()
def patch_errors(model: nn.Module, images: Tensor, masks: Tensor, batch: int = 64) -> Tensor:
    """Mean squared error of each masked patch, of pixels in [0, 1]: float64 (B, patches), `NaN` where visible.

    Predictions are clamped to [0, 1], which can only reduce the error. Raises ValueError as `masked_features` does.
    """
    rows = []
    for chunk, hidden in _paired(model, images, masks, batch):
        squared = (model.reconstruct(chunk, hidden).clamp(0, 1).double() - chunk.double()).square().mean(1, True)
        errors = nn.functional.avg_pool2d(squared, model.patch).flatten(1)
        rows.append(torch.where(hidden.to(errors.device), errors, torch.nan).cpu())
    return torch.cat(rows)


def _paired(model: nn.Module, images: Tensor, masks: Tensor, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    if len(masks) != len(images):
        raise ValueError(f"{len(masks)} masks for {len(images)} images: give one mask an image")
    return zip(unit_images(images, batch, device_of(model)), masks.split(batch))


def node_scores(
    train_x: np.ndarray,
    train_truth: list[Tensor],
    test_x: np.ndarray,
    test_truth: list[Tensor],
    pool: Callable[[np.ndarray, int], np.ndarray] | None = None,
) -> list[np.ndarray]:
    """How well each level of a quadtree is read from the patches below its nodes: float64 (test images,) per level.

    x: (images, patches, width), patches in rows; the truths (images, 4^d, dim) for d = 0, 1, ..., nodes in rows. The
    features of a node are the mean over the patches below it, so the root's probe sees the mean of all, and a leaf's
    only that leaf; or another `pool` of these patches, such as `node_stacks`. Up to four nodes per level each have a
    linear probe; an image's score is 1 - squared error / variance, averaged over nodes and dimensions, and its mean is
    R².
    """
    scores = []
    for train_y, test_y in zip(train_truth, test_truth):
        chosen = np.unique(np.linspace(0, train_y.shape[1] - 1, _NODES).round().astype(int))
        train, test = ((pool or node_means)(x, train_y.shape[1]) for x in (train_x, test_x))
        found = []
        for node in chosen:
            y = test_y[:, node].double().numpy()
            errors = ridge_probe(train[:, node], train_y[:, node], test[:, node], y).squared_errors
            found.append((1 - errors / y.var(0)).mean(1))
        scores.append(np.mean(found, axis=0))
    return scores


def ridge_hits(train_x: np.ndarray, train_y: ArrayLike, test_x: np.ndarray, test_y: ArrayLike) -> np.ndarray:
    """Which labels a ridge classifier predicts correctly: bool (test images,), its penalty chosen by leave-one-out.

    Linear like the logistic probe of `mae_lib.metrics.probes`, and a hundred times faster, for pages that need a probe
    for every mask and node.
    """
    reader = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-2, 4, 7)))
    return reader.fit(train_x, np.asarray(train_y)).predict(test_x) == np.asarray(test_y)


def hidden_scores(
    train_x: np.ndarray,
    train_y: ArrayLike,
    train_hidden: ArrayLike,
    test_x: np.ndarray,
    test_y: ArrayLike,
    test_hidden: ArrayLike,
) -> np.ndarray:
    """The share of the latents hidden by a mask that are read correctly: (test images,), `NaN` where none is hidden.

    x: features of masked images; y: int (images, nodes); hidden: bool (images, nodes). Each node has its own linear
    probe (`ridge_hits`), trained and scored on the images that hide it. A node that no test image hides, or that has
    only one value where training images hide it, is left out.
    """
    y, hidden, asked = np.asarray(train_y), np.asarray(train_hidden), np.asarray(test_hidden)
    hits = np.full(asked.shape, np.nan)
    for node in range(hits.shape[1]):
        learn, test = hidden[:, node], asked[:, node]
        if test.any() and len(np.unique(y[learn, node])) > 1:
            truth = np.asarray(test_y)[test, node]
            hits[test, node] = ridge_hits(train_x[learn], y[learn, node], test_x[test], truth)
    known = ~np.isnan(hits)
    return np.divide(np.nansum(hits, 1), known.sum(1), out=np.full(len(hits), np.nan), where=known.any(1))


def node_means(x: np.ndarray, nodes: int) -> np.ndarray:
    """The mean over the patches below each of `nodes` nodes in rows: (B, nodes, width) of x (B, patches, width).

    Raises ValueError if the patches do not tile that many nodes as squares.
    """
    return _below(x, nodes).mean((2, 4)).reshape(len(x), nodes, -1)


def node_stacks(x: np.ndarray, nodes: int) -> np.ndarray:
    """All patches below each of `nodes` nodes in rows, side by side: (B, nodes, patches / nodes * width).

    Raises ValueError as `node_means` does.
    """
    return _below(x, nodes).swapaxes(2, 3).reshape(len(x), nodes, -1)


def pixel_patches(images: Tensor, patch: int) -> np.ndarray:
    """Raw pixels in place of features: float32 (B, patches, 3 patch^2) in [0, 1] of images (B, 3, H, W)."""
    images = images.float() / 255 if images.dtype == torch.uint8 else images.float()
    return nn.functional.unfold(images, patch, stride=patch).swapaxes(1, 2).numpy()


def _below(x: np.ndarray, nodes: int) -> np.ndarray:
    """x by the node that each patch lies below: (B, node rows, patch rows, node columns, patch columns, width)."""
    side, across = int(len(x[0]) ** 0.5), int(nodes**0.5)
    if side**2 != x.shape[1] or across**2 != nodes or side % across:
        raise ValueError(f"{x.shape[1]} patches do not tile {nodes} nodes in squares")
    each = side // across
    return x.reshape(len(x), across, each, across, each, -1)
