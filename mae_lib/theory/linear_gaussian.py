"""Exact instances of Assumption 1, on which every condition of Theorem 1 is a statement about matrices.

Each variable is v = T_v [Pa(v); ε_v] with T_v square and orthogonal, so a node's dimension is its parents' plus its
noise's. Every variable is kept as its loadings, a matrix (dim, sources) on independent standard normal sources: "a
function of" becomes a rank, "independent of" a zero product, and a set of latents is tested without assuming a form of
s_m and s_mc.
"""

from collections.abc import Iterable, Mapping
from itertools import chain, combinations
from numbers import Integral

import numpy as np

from mae_lib.theory.graph_checks import Node, names_in
from mae_lib.theory.hierarchy import LatentHierarchy

_TOLERANCE = 1e-8  # on singular values, of matrices whose entries are of order 1
_MOST_LATENTS = 16


class LinearGaussian:
    """A random linear-Gaussian instance of `hierarchy`'s graph; the dimensions follow from the noises.

    seed: draws the matrices T_v. noise_dim: the dimension of ε_v, one number for all or one for each named node (1 for
    others); 0 makes a node a function of its parents. noise_covariance: (sources, sources) positive definite, over the
    noises in the order of `hierarchy.nodes`; the identity by default, as the theorem requires independence.

    Raises ValueError for a noise of negative dimension, a root without noise, or an invalid covariance.
    """

    def __init__(
        self,
        hierarchy: LatentHierarchy,
        seed: int = 0,
        noise_dim: int | Mapping[Node, int] = 1,
        noise_covariance: np.ndarray | None = None,
    ):
        self.hierarchy = hierarchy
        sizes = {v: noise_dim.get(v, 1) if isinstance(noise_dim, Mapping) else noise_dim for v in hierarchy.nodes}
        _check_noise(hierarchy, sizes, noise_dim)
        self.sources = sum(sizes.values())
        rows = np.split(_square_root(noise_covariance, self.sources), np.cumsum(list(sizes.values()))[:-1])
        self._noise = dict(zip(hierarchy.nodes, rows, strict=True))
        self._loadings: dict[Node, np.ndarray] = {}
        rng = np.random.default_rng(seed)
        for v in hierarchy.nodes:  # parents come first
            inputs = np.vstack([*(self._loadings[p] for p in hierarchy.parents(v)), self._noise[v]])
            orthogonal, _ = np.linalg.qr(rng.standard_normal((len(inputs), len(inputs))))
            self._loadings[v] = orthogonal @ inputs

    def dim(self, nodes: Iterable[Node]) -> int:
        """Ambient dimension of the variables together: the sum of their dimensions, as condition 3 counts it."""
        return len(self.loadings(nodes))

    def loadings(self, nodes: Iterable[Node]) -> np.ndarray:
        """The variables of `nodes`, stacked: (dim, sources)."""
        return np.vstack([np.empty((0, self.sources)), *(self._loadings[v] for v in names_in(nodes))])

    def noise(self, nodes: Iterable[Node]) -> np.ndarray:
        """E_S, the exogenous noises of `nodes`, stacked: (dim, sources)."""
        return np.vstack([np.empty((0, self.sources)), *(self._noise[v] for v in names_in(nodes))])

    def admits(self, c: Iterable[Node], masked: Iterable[Node]) -> bool:
        """Whether conditions 1 and 2 hold for the latents c with *some* s_m and s_mc.

        They do if and only if c is a function of x_m and of x_mc, and x_m ⟂ x_mc given c: s_m is then the residual of
        x_m on c. (If s_m ⟂ x_mc, and x_m is a function of c and s_m, then c is all that the two parts share.)
        """
        c = self.loadings(c)
        x_m, x_mc = self._parts(masked)
        if not (rank(x_m, c) == rank(x_m) and rank(x_mc, c) == rank(x_mc)):
            return False
        basis = _row_space(c)
        residual = x_m - x_m @ basis.T @ basis
        return bool(np.all(np.abs(residual @ x_mc.T) < _TOLERANCE))

    def admissible_sets(self, masked: Iterable[Node]) -> list[frozenset[Node]]:
        """Every c ⊆ Z that `admits` accepts, by trying all 2^|Z| (condition 3 requires the smallest of them).

        Raises ValueError for more than 16 latents.
        """
        latents, masked = self.hierarchy.latents, list(masked)
        if len(latents) > _MOST_LATENTS:
            raise ValueError(f"{len(latents)} latents have too many subsets to try: {_MOST_LATENTS} at most")
        subsets = chain.from_iterable(combinations(latents, size) for size in range(len(latents) + 1))
        return [frozenset(c) for c in subsets if self.admits(c, masked)]

    def satisfies(self, masked: Iterable[Node], c: Iterable[Node], s_m: Iterable[Node], s_mc: Iterable[Node]) -> bool:
        """Whether conditions 1 and 2 hold for the latents c and the noises of the nodes s_m and s_mc."""
        c, s_m, s_mc = self.loadings(c), self.noise(s_m), self.noise(s_mc)
        x_m, x_mc = self._parts(masked)
        invertible = all(rank(c, s) == rank(x) == rank(c, s, x) for x, s in ((x_m, s_m), (x_mc, s_mc)))
        return invertible and bool(np.all(np.abs(s_m @ np.vstack([c, s_mc]).T) < _TOLERANCE))

    def canonical_correlations(self, masked: Iterable[Node]) -> np.ndarray:
        """Canonical correlations between x_m and x_mc, descending: (min of the two ranks,).

        With independent noises each is exactly 0 or 1, and Σ dim ε_v over v in A of them are 1.
        """
        x_m, x_mc = self._parts(masked)
        return np.linalg.svd(_row_space(x_m) @ _row_space(x_mc).T, compute_uv=False)

    def _parts(self, masked: Iterable[Node]) -> tuple[np.ndarray, np.ndarray]:
        masked = frozenset(names_in(masked, "masked"))
        unknown = masked.difference(self.hierarchy.observables)
        if unknown:
            raise ValueError(f"{sorted(map(repr, unknown))[0]} is not an observable: only observables can be masked")
        visible = [x for x in self.hierarchy.observables if x not in masked]
        return self.loadings(x for x in self.hierarchy.observables if x in masked), self.loadings(visible)


def rank(*loadings: np.ndarray) -> int:
    """Rank of variables stacked: the dimension of their support."""
    return len(_row_space(np.vstack(loadings)))


def _row_space(matrix: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the rows: (rank, sources)."""
    _, values, basis = np.linalg.svd(matrix, full_matrices=False)
    return basis[values > _TOLERANCE]


def _square_root(covariance: np.ndarray | None, size: int) -> np.ndarray:
    if covariance is None:
        return np.eye(size)
    if np.shape(covariance) != (size, size) or not np.allclose(covariance, np.transpose(covariance)):
        raise ValueError(f"noise_covariance of shape {np.shape(covariance)}: it must be symmetric, ({size}, {size})")
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        raise ValueError("noise_covariance is not positive definite") from None


def _check_noise(hierarchy: LatentHierarchy, sizes: Mapping[Node, int], noise_dim: int | Mapping[Node, int]) -> None:
    for v in noise_dim if isinstance(noise_dim, Mapping) else ():
        hierarchy.index(v)
    for v, size in sizes.items():
        if not isinstance(size, Integral) or size < 0:
            raise ValueError(f"noise_dim of {v!r} is {size!r}: it must be an integer, 0 or more")
        if size == 0 and not hierarchy.parents(v):
            raise ValueError(f"noise_dim of the root {v!r} is 0: without parents it needs noise")
