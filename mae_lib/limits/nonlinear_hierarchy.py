"""A nonlinear process on any graph with every noise known, and three ways to break what the theorems assume.

The invertible tree of `mae_lib.worlds` makes images; this makes vectors on any graph, small enough to train dozens of
autoencoders on in a minute.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import LongTensor, Tensor

from mae_lib.randomness import normal
from mae_lib.theory import LatentHierarchy
from mae_lib.theory.graph_checks import Node

Values = dict[Node, Tensor]


@dataclass(frozen=True, eq=False)
class NonlinearHierarchy:
    """Draws from v = leakyReLU(Q_v [Pa(v); ε_v]) on any graph, Q_v orthogonal, ε_v standard normal.

    noise_dim: the dimension of ε_v, one number for all or one for each named node (1 for others); a node's own is then
    its parents' plus its noise's. Three options each break an assumption:
    slope: of the leaky ReLU for negative values; 1 is linear, and 0 (a ReLU) is not invertible.
    correlation: between the noises of any two observables (coordinate by coordinate); 0 is independence.
    mean_free: observables made as x = (s Pa(x), s) instead, where s, of one dimension, has a random sign and |s| > 1/2:
    invertible, but E[x | Pa(x)] = 0.

    Raises ValueError for a slope or a correlation outside of [0, 1], a noise without dimensions, or an observable in
    `mean_free` whose noise has more than one.
    """

    hierarchy: LatentHierarchy
    seed: int = 0
    noise_dim: int | Mapping[Node, int] = 1
    slope: float = 0.2
    correlation: float = 0.0
    mean_free: frozenset[Node] = frozenset()

    def __post_init__(self) -> None:
        for name in ("slope", "correlation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}: it must lie in [0, 1]")
        for node in (*(self.noise_dim if isinstance(self.noise_dim, Mapping) else ()), *self.mean_free):
            self.hierarchy.index(node)
        for node, size in self.noise_dims.items():
            if size < 1:
                raise ValueError(f"noise_dim of {node!r} is {size!r}: it must be 1 or more")
            if node in self.mean_free and (size > 1 or node not in self.hierarchy.observables):
                raise ValueError(f"{node!r} cannot be mean-free: it must be an observable with noise of one dimension")

    @cached_property
    def noise_dims(self) -> dict[Node, int]:
        """The dimension of each node's noise."""
        given = self.noise_dim
        return {v: given.get(v, 1) if isinstance(given, Mapping) else given for v in self.hierarchy.nodes}

    @cached_property
    def dims(self) -> dict[Node, int]:
        """The dimension of each node: its parents' plus its noise's."""
        dims: dict[Node, int] = {}
        for v in self.hierarchy.nodes:  # parents come first
            dims[v] = self.noise_dims[v] + sum(dims[p] for p in self.hierarchy.parents(v))
        return dims

    @cached_property
    def turns(self) -> Values:
        """Q_v of each node: (dim, dim), orthogonal."""
        gauss = {
            v: normal(self.seed, torch.arange(dim), f"turn {i}", (dim,)) for i, (v, dim) in enumerate(self.dims.items())
        }
        return {v: torch.linalg.qr(matrix.double()).Q.float() for v, matrix in gauss.items()}

    def noises(self, indices: LongTensor, split: str = "train") -> Values:
        """ε_v of each node for these draws: (B, dim ε_v)."""
        drawn = {
            v: normal(self.seed, indices, f"{split}/noise {i}", (self.noise_dims[v],))
            for i, v in enumerate(self.hierarchy.nodes)
        }
        if self.correlation:
            widest = max(self.noise_dims.values())
            common = normal(self.seed, indices, f"{split}/common", (widest,))
            for x in self.hierarchy.observables:
                own = (1 - self.correlation) ** 0.5 * drawn[x]
                drawn[x] = own + self.correlation**0.5 * common[:, : self.noise_dims[x]]
        return drawn

    def grow(self, noises: Values) -> Values:
        """Every variable from all noises, drawn or chosen: (B, dim)."""
        values: Values = {}
        for v in self.hierarchy.nodes:
            parents = [values[p] for p in self.hierarchy.parents(v)]
            if v in self.mean_free:
                s = noises[v] + 0.5 * noises[v].sign()
                values[v] = torch.cat([s * torch.cat(parents, 1), s], 1)
            else:
                turned = torch.cat([*parents, noises[v]], 1) @ self.turns[v].T
                values[v] = torch.where(turned < 0, self.slope * turned, turned)
        return values
