"""What can be read from a representation: linear probes, nearest neighbours, and t-SNE's plane.

Features are standardised first, so that a latent encoded at a small scale counts like one at a large scale. The penalty
matters (raw pixels score half as well with a weak one), so every probe has its own: the logistic probe's is chosen on a
held-out fifth of the training set, the ridge's by leave-one-out. Neither looks at the test set.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.manifold import TSNE
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from mae_lib.metrics.batches import device_of, unit_images
from mae_lib.worlds import Level

# scikit-learn's C: the weight of the summed cross-entropy against the L2 penalty.
_INVERSE_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
_CLEAR = 0.1  # the margin by which an accuracy is clearly above guessing
_ITERATIONS = 500


@dataclass(frozen=True)
class ProbeScore:
    """Share of right answers in [0, 1], and whether each one was right: bool, shaped like the test labels."""

    accuracy: float
    hits: np.ndarray


@dataclass(frozen=True)
class RegressionScore:
    """R², averaged over the target's dimensions (1 is perfect, 0 no better than the mean), and each squared error."""

    r2: float
    squared_errors: np.ndarray  # (B, dimensions)


@torch.inference_mode()
def features(
    model: nn.Module, images: Tensor, pool: Literal["cls", "mean", "both"] = "cls", batch: int = 64
) -> np.ndarray:
    """float32 (B, width): the encoder's output on whole images (B, 3, H, W), float in [0, 1] or uint8.

    `pool`: the [CLS] token as in the paper, the mean over patch tokens, or both side by side, (B, 2 width), the [CLS]
    token first. Raises ValueError for another `pool`.
    """
    if pool not in ("cls", "mean", "both"):
        raise ValueError(f"pool {pool!r} is unknown: choose 'cls', 'mean' or 'both'")
    rows = []
    for chunk in unit_images(images, batch, device_of(model)):
        tokens = model.encode(chunk)  # (b, 1 + patches, width)
        pooled = {"cls": tokens[:, 0], "mean": tokens[:, 1:].mean(1)}
        rows.append(torch.cat(list(pooled.values()), 1) if pool == "both" else pooled[pool])
    return torch.cat([row.float().cpu() for row in rows]).numpy()


def _matrix(values: ArrayLike, name: str) -> np.ndarray:
    """Two-dimensional and finite; a flat list of numbers becomes a column."""
    array = np.asarray(values)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or not len(array):
        raise ValueError(f"{name} has shape {array.shape}: give (examples, columns) with at least one example")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinite values")
    return array


def _split(*values: ArrayLike) -> tuple[np.ndarray, ...]:
    """The four arrays of a probe, checked against one another."""
    names = ("train_x", "train_y", "test_x", "test_y")
    train_x, train_y, test_x, test_y = (_matrix(value, name) for value, name in zip(values, names))
    for x, y, what in ((train_x, train_y, "train"), (test_x, test_y, "test")):
        if len(x) != len(y):
            raise ValueError(f"{what}_x has {len(x)} rows, {what}_y {len(y)}: they must agree")
    for a, b, what in ((train_x, test_x, "x"), (train_y, test_y, "y")):
        if a.shape[1] != b.shape[1]:
            raise ValueError(f"train_{what} has {a.shape[1]} columns, test_{what} {b.shape[1]}: they must agree")
    return train_x, train_y, test_x, test_y


def _probe(c: float, warm_start: bool = False) -> LogisticRegression:
    # A tolerance ten times scikit-learn's halves the time and leaves the accuracy as it is.
    return LogisticRegression(C=c, tol=1e-3, max_iter=_ITERATIONS, warm_start=warm_start)


def _fit(probe: LogisticRegression, x: np.ndarray, y: np.ndarray) -> Pipeline:
    with warnings.catch_warnings():  # stopping at the last iteration is a mild penalty of its own
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make_pipeline(StandardScaler(), probe).fit(x, y)


def _best_c(x: np.ndarray, y: np.ndarray) -> float:
    """The inverse penalty that is best on a held-out fifth of `y` (examples, nodes); ties go to the strongest.

    Four nodes, spread over the level, represent all: the first may be easier than the others.
    """
    kept, some = len(y) - len(y) // 5, np.unique(np.linspace(0, y.shape[1] - 1, 4).astype(int))
    if kept == len(y) or min(len(np.unique(y[:kept, k])) for k in some) < 2:
        return _INVERSE_PENALTIES[-1]
    guess = np.mean([np.unique(y[:, k], return_counts=True)[1].max() / len(y) for k in some])
    probes, scores = [_probe(1.0, warm_start=True) for _ in some], []
    for c in _INVERSE_PENALTIES:  # each starts where the one before ended
        fits = [_fit(probe.set_params(C=c), x[:kept], y[:kept, k]) for probe, k in zip(probes, some)]
        scores.append(np.mean([fit.score(x[kept:], y[kept:, k]) for fit, k in zip(fits, some)]))
        # Twice no better, though clearly above guessing: weaker penalties only cost time.
        if max(scores) > max(scores[-2:]) and max(scores) > guess + _CLEAR:
            break
    return _INVERSE_PENALTIES[int(np.argmax(scores))]


def _column_hits(
    train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray, c: float
) -> np.ndarray:
    if len(np.unique(train_y)) < 2:
        raise ValueError(f"train_y has the one value {train_y[0]!r}: a probe needs at least two classes")
    return _fit(_probe(c), train_x, train_y).predict(test_x) == test_y


def linear_probe(train_x: ArrayLike, train_y: ArrayLike, test_x: ArrayLike, test_y: ArrayLike) -> ProbeScore:
    """Logistic regression (L-BFGS) of integer labels on features (examples, width), scored on the test set.

    Labels are (examples,), or (examples, nodes) for the latents of a level: each node then gets a probe of its own,
    with one penalty for all, and accuracy is the mean over nodes. A test class absent from training counts as a miss.

    Raises ValueError for shapes that do not agree, values that are not finite, or labels of one class only.
    """
    train_x, train_y, test_x, labels = _split(train_x, train_y, test_x, test_y)
    c = _best_c(train_x, train_y)
    columns = [_column_hits(train_x, train_y[:, k], test_x, labels[:, k], c) for k in range(train_y.shape[1])]
    hits = np.stack(columns, axis=1).reshape(np.shape(test_y))
    return ProbeScore(float(hits.mean()), hits)


def class_probe(x: np.ndarray, y: np.ndarray, searched: int = 4000) -> Pipeline:
    """The fitted probe of classes y (images,) on features x (images, width): `predict(features)` returns classes.

    `linear_probe`'s model for many classes and several sets of images, its penalty chosen on the first `searched`
    images. Raises ValueError for labels of one class only.
    """
    if len(np.unique(y)) < 2:
        raise ValueError(f"y has the one value {y[0]!r}: a probe needs at least two classes")
    return _fit(_probe(_best_c(x[:searched], y[:searched, None])), x, y)


def ridge_hits(x: np.ndarray, y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray) -> np.ndarray:
    """Which test images ridge regression on ±1 per class classifies correctly: bool (images,).

    Its penalty is chosen by leave-one-out. One decomposition serves all penalties and classes; with thousands of
    columns and a hundred classes a logistic regression takes minutes.
    """
    known, number = np.unique(y, return_inverse=True)
    targets = 2 * np.eye(len(known), dtype=x.dtype)[number] - 1
    ridge = make_pipeline(StandardScaler(), RidgeCV(np.logspace(0, 6, 13), gcv_mode="eigen")).fit(x, targets)
    return known[ridge.predict(test_x).argmax(1)] == test_y


def ridge_probe(train_x: ArrayLike, train_y: ArrayLike, test_x: ArrayLike, test_y: ArrayLike) -> RegressionScore:
    """Ridge regression of continuous latents, (examples,) or (examples, dimensions), on features (examples, width).

    R² is relative to the test set's mean. Raises ValueError as `linear_probe` does, or for a target that never varies.
    """
    train_x, train_y, test_x, test_y = _split(train_x, train_y, test_x, test_y)
    spread = test_y.var(0)
    if not spread.all():
        raise ValueError(f"column {int(spread.argmin())} of test_y never varies, so R² is undefined: leave it out")
    probe = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-6, 4, 11)))
    predicted = probe.fit(train_x, train_y).predict(test_x).reshape(test_y.shape)
    errors = (predicted - test_y) ** 2
    return RegressionScore(float(np.mean(1 - errors.mean(0) / spread)), errors)


def _flat(latents: ArrayLike, count: int) -> np.ndarray:
    """Latents of a level as (count, columns); one column stays flat."""
    array = np.asarray(latents).reshape(count, -1)
    return array[:, 0] if array.shape[1] == 1 else array


def level_scores(
    levels: Mapping[str, Level],
    train_x: ArrayLike,
    train_truth: Mapping[str, ArrayLike],
    test_x: ArrayLike,
    test_truth: Mapping[str, ArrayLike],
) -> dict[str, np.ndarray]:
    """How well each level of a world is read linearly from features (examples, width): float64 (test examples,) each.

    For a categorical level, the share of nodes read correctly, whose mean is the accuracy. For a continuous one, 1 -
    squared error / variance, averaged over its numbers, whose mean is R². The truths are those of
    `mae_lib.metrics.ground_truth`. Raises ValueError as the probes do.
    """
    scores = {}
    for name, level in levels.items():
        train_y = _flat(train_truth[level.key], len(train_x))
        test_y = _flat(test_truth[level.key], len(test_x))
        if level.categorical:
            hits = linear_probe(train_x, train_y, test_x, test_y).hits
            scores[name] = hits.reshape(len(hits), -1).mean(1)
        else:
            errors = ridge_probe(train_x, train_y, test_x, test_y).squared_errors
            scores[name] = (1 - errors / test_y.reshape(errors.shape).var(0)).mean(1, dtype=float)
    return scores


def nearest_neighbours(
    train_x: ArrayLike, train_y: ArrayLike, test_x: ArrayLike, test_y: ArrayLike, k: int = 20
) -> ProbeScore:
    """Vote of the `k` training examples at the smallest angle (cosine), the nearer ones with more weight.

    Arguments and score as for `linear_probe`: nothing is trained, so latents that need a learned weighting of features
    are not found. Raises ValueError as that does, or for a `k` not between 1 and the number of examples.
    """
    train_x, train_y, test_x, labels = _split(train_x, train_y, test_x, test_y)
    if not 1 <= k <= len(train_x):
        raise ValueError(f"k is {k}: choose between 1 and the {len(train_x)} training examples")
    voters = KNeighborsClassifier(k, weights="distance", metric="cosine")
    votes = make_pipeline(StandardScaler(), voters).fit(
        train_x, train_y.squeeze(1) if train_y.shape[1] == 1 else train_y
    )
    hits = (votes.predict(test_x).reshape(labels.shape) == labels).reshape(np.shape(test_y))
    return ProbeScore(float(hits.mean()), hits)


def tsne(x: ArrayLike, seed: int = 0) -> np.ndarray:
    """A t-SNE plane (van der Maaten and Hinton 2008) of features (examples, width): float32 (examples, 2).

    Perplexity 30, or a third of the others if that is less; initialised by the principal components. It runs on one
    thread, so that the picture does not depend on the number of cores. Raises ValueError for fewer than 4 examples.
    """
    x = _matrix(x, "x")
    if len(x) < 4:
        raise ValueError(f"x has {len(x)} examples: t-SNE needs at least 4")
    plane = TSNE(perplexity=min(30, (len(x) - 1) / 3), init="pca", random_state=seed)
    with threadpool_limits(1):
        return plane.fit_transform(StandardScaler().fit_transform(x))


def neighbour_purity(x: ArrayLike, y: ArrayLike, k: int = 10) -> np.ndarray:
    """Share of the `k` nearest others (Euclidean) in `x` (examples, width) with an example's label `y`: (examples,).

    On a t-SNE plane it quantifies how separate the classes look. Raises ValueError for shapes that do not agree, or a
    `k` that is not below the number of examples.
    """
    x, labels = _matrix(x, "x"), np.asarray(y)
    if labels.shape != (len(x),):
        raise ValueError(f"y has shape {labels.shape}: give one label for each of the {len(x)} examples")
    if not 1 <= k < len(x):
        raise ValueError(f"k is {k}: choose between 1 and the {len(x) - 1} others")
    others = NearestNeighbors(n_neighbors=k).fit(x).kneighbors(return_distance=False)  # never the example itself
    return (labels[others] == labels[:, None]).mean(1)
