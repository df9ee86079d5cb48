"""A trained model against exact inference: a small transformer that fills in masked tokens of a discrete tree.

The tokens are the tree's observables themselves, so there is no vision or rendering, and the exact posterior of every
hidden token is known (`level_posteriors`). A prediction q is scored by its Kullback-Leibler divergence from the
posterior given all visible tokens, 0 only for exact inference. The same divergence from the posterior given a *lower*
part of the tree shows what q has learned: it is 0 if q uses only that part.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import LongTensor, Tensor, nn

from mae_lib.theory.discrete_tree import DiscreteTree
from mae_lib.theory.sampled_information import level_posteriors

Predictor = Callable[[Tensor, Tensor], Tensor]  # tokens int64 and masks bool (B, pixels) -> logits (B, pixels, values)


class TokenModel(nn.Module):
    """A transformer encoder over all tokens, hidden ones replaced by one learned embedding (as in BERT)."""

    def __init__(self, pixels: int, values: int, width: int = 64, depth: int = 2, heads: int = 4):
        super().__init__()
        self.values = values
        self.tokens = nn.Embedding(values + 1, width)  # the last one stands for "hidden"
        self.places = nn.Parameter(torch.randn(pixels, width) / width**0.5)
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, values))

    def forward(self, tokens: LongTensor, masks: Tensor) -> Tensor:
        """tokens int64 (B, pixels), masks bool of the same shape, True = hidden, to logits (B, pixels, values)."""
        return self.head(self.body(self.tokens(tokens.masked_fill(masks, self.values)) + self.places))


def divergences(predict: Predictor, tree: DiscreteTree, masks: np.ndarray, images: np.ndarray) -> pd.DataFrame:
    """Bits per image between exact posteriors of the hidden tokens and a prediction: one row per level, 0 = the prior.

    Columns: level; `apart`, KL(posterior given what is visible below the ancestor of that level || prediction); `told`,
    KL(posterior given all || that posterior), what levels above add. So `told` minus the top level's `apart` is how
    many bits from above a level the prediction has, less what it loses elsewhere. All are means over the images. masks
    bool and images int (images, pixels). Raises ValueError for arrays that do not fit the tree.
    """
    return _compared(predict, level_posteriors(tree, masks, images), masks, images)


def _compared(predict: Predictor, exact: np.ndarray, masks: np.ndarray, images: np.ndarray) -> pd.DataFrame:
    with torch.no_grad():
        logits = predict(torch.from_numpy(images), torch.from_numpy(masks)).double()
    found = (logits.log_softmax(-1) / np.log(2)).numpy()
    with np.errstate(divide="ignore"):
        known = np.log2(exact)
    rows = [
        {
            "level": k,
            "apart": _mean_divergence(exact[:, k], known[:, k], found, masks),
            "told": _mean_divergence(exact[:, -1], known[:, -1], known[:, k], masks),
        }
        for k in range(exact.shape[1])
    ]
    return pd.DataFrame(rows)


def train_tokens(
    tree: DiscreteTree,
    ratios: Sequence[float],
    checkpoints: Sequence[int],
    seed: int = 0,
    width: int = 64,
    depth: int = 2,
    batch: int = 128,
    lr: float = 3e-3,
    test: int = 500,
) -> pd.DataFrame:
    """Train one model to fill in tokens that are hidden independently, and measure it at each ratio during training.

    ratios: each image of a batch gets a random one, in (0, 1). checkpoints: numbers of steps, ascending, at which
    `divergences` are taken on `test` held-out images per ratio; training ends with the last. No batch is seen twice.
    The learning rate rises over the first tenth and falls to 0 as a cosine.
    Columns: step, ratio, seed, level, apart, told. Deterministic on one machine.
    Raises ValueError for a ratio outside (0, 1), or checkpoints that do not ascend from 0 or more.
    """
    if not len(ratios) or not all(0 < r < 1 for r in ratios):
        raise ValueError(f"ratios are {list(ratios)}: give one or more, between 0 and 1")
    if not len(checkpoints) or list(checkpoints) != sorted(set(checkpoints)) or checkpoints[0] < 0:
        raise ValueError(f"checkpoints are {list(checkpoints)}: give numbers of steps, ascending from 0 or more")
    rng, first = np.random.default_rng(seed), tree.hierarchy.latent_count
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = TokenModel(len(tree.tables) - first, max(map(len, tree.marginals[first:])), width, depth)
    held = {r: _draw(tree, [r], test, rng) for r in ratios}
    exact = {r: level_posteriors(tree, *drawn) for r, drawn in held.items()}
    tables = []
    for step in _steps(model, lambda: _draw(tree, ratios, batch, rng), checkpoints[-1], lr):
        if step in checkpoints:
            tables += [_compared(model, exact[r], *held[r]).assign(step=step, ratio=r, seed=seed) for r in ratios]
    return pd.concat(tables, ignore_index=True)


def _draw(tree: DiscreteTree, ratios: Sequence[float], count: int, rng: np.random.Generator) -> tuple:
    """Masks and images, (count, pixels) each."""
    images = tree.sample(count, rng)
    return rng.random(images.shape) < rng.choice(np.asarray(ratios), (count, 1)), images


def _steps(model: TokenModel, draw: Callable[[], tuple], steps: int, lr: float) -> Iterator[int]:
    """Train, and yield how many steps have been done: 0, 1, ..., steps."""
    optimiser = torch.optim.AdamW(model.parameters(), lr, betas=(0.9, 0.95), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, steps))
    for step in range(steps):
        yield step
        masks, tokens = map(torch.from_numpy, draw())
        loss = nn.functional.cross_entropy(model(tokens, masks)[masks], tokens[masks])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    yield steps


def _rate(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / max(1, steps / 10)) * (1 + np.cos(np.pi * step / max(1, steps))) / 2


def _mean_divergence(p: np.ndarray, log_p: np.ndarray, log_q: np.ndarray, masks: np.ndarray) -> float:
    """Mean over images of KL(p || q) in bits, summed over the hidden tokens; 0 log 0 is 0."""
    terms = p * np.subtract(log_p, log_q, out=np.zeros_like(p), where=(p > 0) & masks[..., None])
    return float(terms.sum((1, 2)).mean())
