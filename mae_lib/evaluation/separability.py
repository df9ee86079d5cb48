"""What a linear reader finds in a representation: class and discrete latents by logistic regression, the rest by ridge.

Features are standardised first, so that a latent written small counts like one written large. The penalty matters (raw
pixels read half as well with a weak one), so every reader gets its own: the logistic probe's is chosen on a held-out
fifth of the training set, the ridge's by leave-one-out. Neither looks at the test set.
"""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from mae_lib.evaluation.batches import device_of, unit_images

# scikit-learn's C: the weight of the summed cross-entropy against the L2 penalty.
_INVERSE_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_ITERATIONS = 200


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
def features(model: nn.Module, images: Tensor, pool: Literal["cls", "mean"] = "cls", batch: int = 256) -> np.ndarray:
    """float32 (B, width): the encoder's output on whole images (B, 3, H, W), float in [0, 1] or uint8.

    `pool`: the [CLS] token as in the paper, or the mean over patch tokens. Raises ValueError for another `pool`.
    """
    if pool not in ("cls", "mean"):
        raise ValueError(f"pool {pool!r} is unknown: choose 'cls' or 'mean'")
    rows = []
    for chunk in unit_images(images, batch, device_of(model)):
        tokens = model.encode(chunk)  # (b, 1 + patches, width)
        rows.append((tokens[:, 0] if pool == "cls" else tokens[:, 1:].mean(1)).float().cpu())
    return torch.cat(rows).numpy()


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


def _fit(x: np.ndarray, y: np.ndarray, c: float) -> Pipeline:
    with warnings.catch_warnings():  # stopping at the last iteration is a mild penalty of its own
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=_ITERATIONS)).fit(x, y)


def _best_c(x: np.ndarray, y: np.ndarray) -> float:
    """The inverse penalty that reads a held-out fifth best; the strongest of equals."""
    kept = len(y) - len(y) // 5
    if kept == len(y) or len(np.unique(y[:kept])) < 2:
        return _INVERSE_PENALTIES[-1]
    scores = [_fit(x[:kept], y[:kept], c).score(x[kept:], y[kept:]) for c in _INVERSE_PENALTIES]
    return _INVERSE_PENALTIES[int(np.argmax(scores))]


def _column_hits(train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray) -> np.ndarray:
    if len(np.unique(train_y)) < 2:
        raise ValueError(f"train_y has the one value {train_y[0]!r}: a probe needs at least two classes")
    return _fit(train_x, train_y, _best_c(train_x, train_y)).predict(test_x) == test_y


def linear_probe(train_x: ArrayLike, train_y: ArrayLike, test_x: ArrayLike, test_y: ArrayLike) -> ProbeScore:
    """Logistic regression (L-BFGS) of integer labels on features (examples, width), scored on the test set.

    Labels are (examples,), or (examples, nodes) for the latents of a level: each node then gets a probe of its own, and
    accuracy is the mean over nodes. A test class that training never showed counts as a miss.

    Raises ValueError for shapes that do not agree, values that are not finite, or labels of one class only.
    """
    train_x, train_y, test_x, labels = _split(train_x, train_y, test_x, test_y)
    columns = [_column_hits(train_x, train_y[:, k], test_x, labels[:, k]) for k in range(train_y.shape[1])]
    hits = np.stack(columns, axis=1).reshape(np.shape(test_y))
    return ProbeScore(float(hits.mean()), hits)


def ridge_probe(train_x: ArrayLike, train_y: ArrayLike, test_x: ArrayLike, test_y: ArrayLike) -> RegressionScore:
    """Ridge regression of continuous latents, (examples,) or (examples, dimensions), on features (examples, width).

    R² is against the test set's own mean. Raises ValueError as `linear_probe` does, or for a target that never varies.
    """
    train_x, train_y, test_x, test_y = _split(train_x, train_y, test_x, test_y)
    spread = test_y.var(0)
    if not spread.all():
        raise ValueError(f"column {int(spread.argmin())} of test_y never varies, so R² is undefined: leave it out")
    probe = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-6, 4, 11)))
    predicted = probe.fit(train_x, train_y).predict(test_x).reshape(test_y.shape)
    errors = (predicted - test_y) ** 2
    return RegressionScore(float(np.mean(1 - errors.mean(0) / spread)), errors)
