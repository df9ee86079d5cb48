"""Does a masked autoencoder find c? Theorem 2 tested on processes whose c is known.

In the theorem the decoder samples, x_m = D(ĉ, ŝ_m) with ŝ_m random, and is assumed to fit the data. Equation 2 does not
require it: under a squared error the best D ignores ŝ_m and predicts E[x_m | c]. The energy score does (Gneiting and
Raftery 2007): the distance is not squared, and a second draw keeps the first from collapsing to a mean. It is strictly
proper: least when D samples the law of x_m given c, and that law determines c (book, Appendix B).

The autoencoders are small and many (masks, seeds, broken assumptions), so all are trained together as stacked matrices.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import LongTensor, Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from mae_lib.limits.nonlinear_hierarchy import NonlinearHierarchy, Values
from mae_lib.randomness import normal
from mae_lib.theory import SharedInformation, locate_shared_information
from mae_lib.theory.graph_checks import Node

_AHEAD = 32  # steps whose data are drawn at once
_BANDWIDTHS = (0.05, 0.2)  # of the Gaussian kernel, times 1 / dimensions of the standardised input
_PENALTIES = np.logspace(-6, 2, 9)
_CENTRES = 150
_TOLERANCE = 1e-8  # on singular values, of matrices whose entries are of order 1


@dataclass(frozen=True, eq=False)
class Problem:
    """One autoencoder to train: a process, the observables masked, the dimensions of ĉ, and the loss.

    width: dimensions of ĉ; by default d_c, how many c fills (the noises of A; less than the sum of c's dimensions
    where its nodes share an ancestor). loss: "energy" is the energy score, "squared" is Equation 2.

    Raises ValueError for a width below 1, an unknown loss, or a mask that leaves nothing to share.
    """

    world: NonlinearHierarchy
    masked: tuple[Node, ...]
    width: int | None = None
    loss: Literal["energy", "squared"] = "energy"
    shared: SharedInformation = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shared", locate_shared_information(self.world.hierarchy, self.masked))
        if not self.shared.c:
            raise ValueError(
                f"masked is {list(self.masked)}: masked and visible share nothing, so there is no c to find"
            )
        object.__setattr__(self, "width", self.d_c if self.width is None else self.width)
        if self.width < 1 or self.loss not in ("energy", "squared"):
            raise ValueError(f"width {self.width!r} must be 1 or more, and loss {self.loss!r} 'energy' or 'squared'")

    @property
    def d_c(self) -> int:
        """Dimensions that c fills: those of the noises of A, which c determines and which determine c."""
        return self._count(self.shared.split)

    @property
    def d_s_m(self) -> int:
        """Dimensions of s_m, and of ŝ_m."""
        return self._count(self.shared.s_m)

    @property
    def visible(self) -> tuple[Node, ...]:
        """The observables that are not masked."""
        return tuple(x for x in self.world.hierarchy.observables if x not in self.masked)

    def _count(self, nodes: Iterable[Node]) -> int:
        return sum(self.world.noise_dims[v] for v in nodes)


Drawn = dict[NonlinearHierarchy, tuple[Values, Values]]  # the variables and the noises of each world


def _stacked(values: Values, nodes: Sequence[Node]) -> Tensor:
    return torch.cat([values[v] for v in nodes], 1)


class _Networks(nn.Module):
    """A multilayer perceptron for each problem, one stack: (problems, B, in) -> (problems, B, out).

    The initial weights depend only on the world's seed, so problems with one seed start alike.
    """

    def __init__(self, name: str, seeds: Sequence[int], inputs: Sequence[int], sizes: Sequence[int]):
        super().__init__()
        self.sizes = tuple(sizes)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for layer, (before, after) in enumerate(zip(sizes, sizes[1:])):
            stack = [normal(seed, torch.arange(before), f"{name} {layer}", (after,)) for seed in seeds]
            fan_in = torch.tensor(inputs).view(-1, 1, 1) if layer == 0 else before  # padding is not input
            self.weights.append(torch.stack(stack) * (2 / fan_in) ** 0.5)
            self.biases.append(torch.zeros(len(seeds), 1, after))

    def forward(self, x: Tensor) -> Tensor:
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            x = torch.baddbmm(bias, F.leaky_relu(x, 0.2) if layer else x, weight)
        return x


class Autoencoders(nn.Module):
    """Encoder E and decoder D of each problem. Sides, ĉ and ŝ_m are padded with zeros to the widest problem's."""

    def __init__(self, problems: Sequence[Problem], hidden: int):
        super().__init__()
        self.problems = problems
        visible = [sum(p.world.dims[x] for x in p.visible) for p in problems]
        masked = [sum(p.world.dims[x] for x in p.masked) for p in problems]
        width, s_m = max(p.width for p in problems), max(p.d_s_m for p in problems)
        seeds = [p.world.seed for p in problems]
        self.encoder = _Networks("encoder", seeds, visible, [max(visible), hidden, hidden, width])
        self.decoder = _Networks(
            "decoder", seeds, [p.width + p.d_s_m for p in problems], [width + s_m, hidden, hidden, max(masked)]
        )
        self.register_buffer("used", _prefixes([p.width for p in problems], width))
        self.register_buffer("random", _prefixes([p.d_s_m for p in problems], s_m))
        self.register_buffer("scored", _prefixes(masked, max(masked)))
        self.register_buffer("squared", torch.tensor([p.loss == "squared" for p in problems]))

    def loss(self, visible: Tensor, masked: Tensor, s_hat: Tensor) -> Tensor:
        """The loss of each problem, (problems,), averaged over the batch.

        visible, masked: padded sides (problems, B, dim). s_hat: (2, B, dim).
        """
        c_hat = self.encoder(visible) * self.used
        one, two = (self._decode(c_hat, s) for s in s_hat)
        energy = energy_score(masked, one, two)
        squared = _distance(one, masked) ** 2 + _distance(two, masked) ** 2
        return torch.where(self.squared[:, None], squared / 2, energy).mean(1)

    def _decode(self, c_hat: Tensor, s_hat: Tensor) -> Tensor:
        return self.decoder(torch.cat([c_hat, s_hat * self.random], 2)) * self.scored

    def sides(self, drawn: Drawn) -> tuple[Tensor, Tensor]:
        """x_mc and x_m of each problem, padded: (problems, B, dim) each."""
        values = [drawn[p.world][0] for p in self.problems]
        visible = [_stacked(v, p.visible) for v, p in zip(values, self.problems)]
        masked = [_stacked(v, p.masked) for v, p in zip(values, self.problems)]
        return _padded(visible, self.encoder.sizes[0]), _padded(masked, self.decoder.sizes[-1])

    @torch.inference_mode()
    def encode(self, drawn: Drawn) -> list[Tensor]:
        """ĉ of each problem: (B, width)."""
        return [c_hat[:, : p.width] for p, c_hat in zip(self.problems, self.encoder(self.sides(drawn)[0]))]


def draw(problems: Sequence[Problem], indices: LongTensor, split: str = "train") -> Drawn:
    """The variables and noises of every world of `problems`, once for each world."""
    drawn = {}
    for world in {p.world: None for p in problems}:
        noises = world.noises(indices, split)
        drawn[world] = world.grow(noises), noises
    return drawn


def _padded(sides: Sequence[Tensor], width: int) -> Tensor:
    return torch.stack([F.pad(side, (0, width - side.shape[1])) for side in sides])


def _prefixes(lengths: Sequence[int], width: int) -> Tensor:
    """Ones up to each length, then zeros: (problems, 1, width)."""
    return (torch.arange(width) < torch.tensor(lengths)[:, None]).float()[:, None]


def energy_score(x: Tensor, one: Tensor, two: Tensor) -> Tensor:
    """The energy score of a law for the outcome x, estimated without bias
    from two draws of the law; all (..., dim) to (...).

    E|Y - x| - E|Y - Y'| / 2 is least, on average over x, when Y has the law
    of x, and only then.
    """
    return (_distance(one, x) + _distance(two, x) - _distance(one, two)) / 2


def _distance(a: Tensor, b: Tensor) -> Tensor:
    return ((a - b).square().sum(-1) + 1e-12).sqrt()  # a root of zero has no gradient


def train_autoencoders(
    problems: Sequence[Problem], steps: int, batch: int = 128, hidden: int = 48, lr: float = 1e-2
) -> Autoencoders:
    """Train all problems together with Adam and a cosine decay to zero, on new draws at every step.

    Problems that share a world see the same draws. With 0 steps the encoders stay untrained.
    Raises ValueError where `problems` is empty, ArithmeticError when a loss is no longer finite.
    """
    if not problems:
        raise ValueError("problems is empty: give at least one")
    model = Autoencoders(problems, hidden)
    optimiser = torch.optim.Adam(model.parameters(), lr, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, steps))
    for step in tqdm(range(steps), desc=f"{len(problems)} autoencoders", unit="step"):
        first = step % _AHEAD * batch
        if first == 0:
            visible, masked = model.sides(draw(problems, torch.arange(step * batch, (step + _AHEAD) * batch)))
        rows = slice(first, first + batch)
        s_hat = normal(0, torch.arange(step * batch, (step + 1) * batch), "s_m", (2, model.random.shape[2]))
        losses = model.loss(visible[:, rows], masked[:, rows], s_hat.transpose(0, 1))
        optimiser.zero_grad(set_to_none=True)
        losses.sum().backward()  # no problem's loss depends on another's weights
        optimiser.step()
        schedule.step()
    if steps and not losses.isfinite().all():
        raise ArithmeticError(f"the loss of problem {int((~losses.isfinite()).nonzero()[0])} is not finite: lower lr")
    return model


@dataclass(frozen=True)
class Scores:
    """R² of nonlinear regressions, averaged over the target's dimensions: 1 is perfect, 0 or less explains nothing.

    If ĉ = h(c) with h one-to-one, the first two are 1 and the third is 0. `noises`: R² of each node's noise from ĉ, 1
    for the nodes of A, since c determines their noises, and 0 for all others.
    """

    c_from_estimate: float
    estimate_from_c: float
    private_from_estimate: float
    noises: dict[Node, float]


def score_autoencoders(model: Autoencoders, train: int = 1500, test: int = 1000) -> list[Scores]:
    """How well each encoder's ĉ and the true latents predict each other, on draws unseen in training."""
    sets = []
    for split, count in (("probe", train), ("test", test)):
        drawn = draw(model.problems, torch.arange(count), split)
        sets.append([(c_hat, *drawn[p.world]) for p, c_hat in zip(model.problems, model.encode(drawn))])
    return [_scores(problem, *both) for problem, *both in zip(model.problems, *sets)]


def _scores(problem: Problem, *sets: tuple[Tensor, Values, Values]) -> Scores:
    nodes = problem.world.hierarchy.nodes
    c = [v for v in nodes if v in problem.shared.c]
    (c_hat, truth, told), (test_c_hat, test_truth, test_told) = (
        (c_hat, _stacked(values, c), torch.cat([_stacked(values, c), _stacked(noises, nodes)], 1))
        for c_hat, values, noises in sets
    )
    forth = np.split(nonlinear_r2(c_hat, told, test_c_hat, test_told), [truth.shape[1]])
    back = nonlinear_r2(truth, c_hat, test_truth, test_c_hat)
    ends = np.cumsum([problem.world.noise_dims[v] for v in nodes])
    noises = {v: float(r2.mean()) for v, r2 in zip(nodes, np.split(forth[1], ends[:-1]))}
    private = float(np.mean([noises[v] for v in problem.shared.s_mc]))
    return Scores(float(forth[0].mean()), float(back.mean()), private, noises)


def nonlinear_r2(train_x: ArrayLike, train_y: ArrayLike, test_x: ArrayLike, test_y: ArrayLike) -> np.ndarray:
    """R² on the test set of each column of y, regressed on x by kernel ridge: (columns,).

    Gaussian kernel in Nyström's approximation (Williams and Seeger 2001) on standardised inputs; bandwidth and
    penalties are chosen by leave-one-out on the training set. Raises ValueError for a column that never varies.
    """
    train_x, train_y, test_x, test_y = (np.asarray(a, dtype=np.float64) for a in (train_x, train_y, test_x, test_y))
    spread = test_y.var(0)
    if not spread.all():
        raise ValueError(f"column {int(spread.argmin())} of test_y never varies, so R² is undefined: leave it out")
    fits = []
    for bandwidth in _BANDWIDTHS:
        kernel = Nystroem(gamma=bandwidth / train_x.shape[1], n_components=min(_CENTRES, len(train_x)), random_state=0)
        ridge = RidgeCV(_PENALTIES, alpha_per_target=True)
        fits.append(make_pipeline(StandardScaler(), kernel, ridge).fit(train_x, train_y / train_y.std(0)))
    best = max(fits, key=lambda fit: fit[-1].best_score_.mean())
    predicted = best.predict(test_x).reshape(test_y.shape) * train_y.std(0)
    predicted = predicted.clip(train_y.min(0), train_y.max(0))  # a kernel extrapolates wildly
    return 1 - ((predicted - test_y) ** 2).mean(0) / spread


def linear_estimate(x_m: np.ndarray, x_mc: np.ndarray, width: int | None = None) -> np.ndarray:
    """ĉ of the best linear masked autoencoder under Equation 2: loadings
    (width, sources), as x_m and x_mc are (see `LinearGaussian.loadings`).

    The best linear prediction of x_m from x_mc is a projection. ĉ is its
    leading `width` principal components, by default all (reduced-rank
    regression, Izenman 1975).
    """
    _, values, basis = np.linalg.svd(x_mc, full_matrices=False)
    seen = basis[values > _TOLERANCE]
    told = x_m @ seen.T @ seen
    _, values, components = np.linalg.svd(told, full_matrices=False)
    return components[: np.sum(values > _TOLERANCE) if width is None else width]
