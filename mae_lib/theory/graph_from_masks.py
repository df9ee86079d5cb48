"""The graph from its masks: how much the two sides of each mask share, and how far that determines the hierarchy.

    tree, noise = tree_from_products(gromov_products(f, count))

f(M) is the number of unit canonical correlations between the two sides of the mask M, which is the sum of the
dimensions of the split noises (Theorem 1). Computing it needs no graph: `shared_rank` uses a covariance. The masks of
one and two observables determine a tree, but f does not determine a general graph; Appendix A has the proofs.

A set of observables is a frozenset of positions 0, 1, ...; `noise_dim` is the dimension of ε_v, one number for all or
one for each named latent (1 for others), as in `LinearGaussian`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations

import networkx as nx
import numpy as np

from mae_lib.theory.graph_checks import Node
from mae_lib.theory.hierarchy import LatentHierarchy
from mae_lib.theory.shared_information import locate_shared_information

NoiseDim = int | Mapping[Node, int]
Shared = Callable[[frozenset[int]], int]  # f: masked positions to the dimension of what the two sides share

_NULL = 1e-9  # eigenvalues of a covariance below this share of the largest count as 0
_ALL = 1e-6  # how near to 1 the mean of projections must be for a direction to lie in each
_MOST = 12  # observables whose sets are all enumerated


def shared_dimension(hierarchy: LatentHierarchy, masked: Iterable[int], noise_dim: NoiseDim = 1) -> int:
    """f(M) from the graph: the sum of the dimensions of the noises of A, for masked positions in `observables`."""
    names = [hierarchy.observables[i] for i in masked]
    return sum(_dim(noise_dim, z) for z in locate_shared_information(hierarchy, names).split)


def shared_rank(covariance: np.ndarray, sizes: Sequence[int], masked: Iterable[int]) -> int:
    """f(M) from only the observables' covariance: rank of x_m + rank of x_mc - rank of both.

    covariance: (sum of sizes, sum of sizes); sizes: the dimension of each observable, in order.
    Raises ValueError if these do not agree.
    """
    loadings = _loadings(covariance, sizes)
    masked = frozenset(masked)
    sides = [[x for i, x in enumerate(loadings) if (i in masked) == hidden] for hidden in (True, False)]
    return sum(_rank(side) for side in sides) - _rank(loadings)


def gromov_products(f: Shared, count: int) -> np.ndarray:
    """f(i) + f(j) - f(ij) of all pairs, f(i) on the diagonal: int64 (count, count), from masks of one and two.

    In a tree: the dimension of the noises of the common ancestors of i and j, counting twice those of a latent above
    only these two. It grows as the lowest common ancestor moves down, like the Gromov product of path lengths.
    """
    alone = np.array([f(frozenset({i})) for i in range(count)], dtype=np.int64)
    products = np.diag(alone)
    for i, j in combinations(range(count), 2):
        products[i, j] = products[j, i] = alone[i] + alone[j] - f(frozenset({i, j}))
    return products


def tree_from_products(products: np.ndarray) -> tuple[LatentHierarchy, dict[Node, int]]:
    """The tree, or trees, with these Gromov products, and the dimension of each latent's noise.

    Latents are "z1", "z2", ... from the top, each with two children or more; observables "x1", "x2", ... in the order
    of the products. Raises ValueError, naming three observables, where no tree has such products.
    """
    products = np.asarray(products)
    _check_products(products)
    graph, noise, queue = nx.DiGraph(), {}, [(None, 0, list(range(len(products))))]
    graph.add_nodes_from(f"x{i + 1}" for i in range(len(products)))
    while queue:
        parent, height, group = queue.pop(0)
        if len(group) == 1:
            graph.add_edges_from([(parent, f"x{group[0] + 1}")] if parent else [])
            continue
        within = products[np.ix_(group, group)]
        lowest = within[~np.eye(len(group), dtype=bool)].min()
        if lowest > height:  # a latent above the whole group
            name = f"z{len(noise) + 1}"
            noise[name] = _own(lowest - height, len(group), group)
            graph.add_edges_from([(parent, name)] if parent else [])
            parent, height = name, lowest
        queue += [(parent, height, part) for part in _parts(products, group, lowest)]
    return LatentHierarchy(graph, [f"x{i + 1}" for i in range(len(products))]), noise


def descendant_dims(hierarchy: LatentHierarchy, noise_dim: NoiseDim = 1) -> dict[frozenset[int], int]:
    """Dimension of the noises of all latents above exactly these observables, by set; sets of two or more.

    Masks determine nothing else about a graph, and this determines a tree whose latents have two or more children.
    """
    place = {x: i for i, x in enumerate(hierarchy.observables)}
    found: Counter = Counter()
    for z in hierarchy.latents:
        below = frozenset(place[x] for x in hierarchy.descendant_observables(z))
        if len(below) > 1:
            found[below] += _dim(noise_dim, z)
    return dict(found)


def mask_estimates(covariance: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """What each single masked observable shares with all others, as an orthonormal basis (dimensions, rank).

    All bases lie in one space, so they can be intersected. Arguments as in `shared_rank`.
    """
    loadings = _loadings(covariance, sizes)
    rest = [np.vstack([x for j, x in enumerate(loadings) if j != i]) for i in range(len(loadings))]
    return [_common([_rows(x), _rows(others)]) for x, others in zip(loadings, rest)]


def common_dimension(estimates: Sequence[np.ndarray]) -> int:
    """Dimension of the linear functions that these estimates share, bases as from `mask_estimates`."""
    return len(_common(estimates))


def dims_by_intersection(covariance: np.ndarray, sizes: Sequence[int]) -> dict[frozenset[int], int]:
    """`descendant_dims` without the graph: intersect the estimates of single masks, then apply Möbius inversion.

    The estimates of a set share the noises of the latents above all of the set; subtracting those of larger sets leaves
    the latents above exactly this set. Raises ValueError for more than 12 observables.
    """
    if len(sizes) > _MOST:
        raise ValueError(f"{len(sizes)} observables have too many sets to intersect: {_MOST} at most")
    estimates, exactly = mask_estimates(covariance, sizes), {}
    for size in range(len(sizes), 1, -1):  # larger sets first
        for chosen in map(frozenset, combinations(range(len(sizes)), size)):
            above = common_dimension([estimates[i] for i in chosen])
            exactly[chosen] = above - sum(dim for larger, dim in exactly.items() if chosen < larger)
    return {chosen: dim for chosen, dim in exactly.items() if dim}


def random_tree(rng: np.random.Generator, count: int) -> LatentHierarchy:
    """A random tree over `count` observables, two or more; each latent has two or three children."""
    if count < 2:
        raise ValueError(f"count is {count}: a tree needs two observables, or more")
    observables = [f"x{i + 1}" for i in range(count)]
    graph, roots = nx.DiGraph(), list(observables)
    while len(roots) > 1:
        chosen = rng.permutation(len(roots))[: rng.integers(2, 4)]
        name = f"h{graph.number_of_nodes()}"
        graph.add_edges_from((name, roots[i]) for i in chosen)
        roots = [root for i, root in enumerate(roots) if i not in chosen] + [name]
    latents = [node for node in nx.topological_sort(graph) if node not in observables]
    names = {latent: f"z{i + 1}" for i, latent in enumerate(latents)}
    return LatentHierarchy(nx.relabel_nodes(graph, names), observables)


def _dim(noise_dim: NoiseDim, node: Node) -> int:
    return noise_dim.get(node, 1) if isinstance(noise_dim, Mapping) else noise_dim


def _check_products(products: np.ndarray) -> None:
    """Check that i and j share at least the smaller of what each shares with any k."""
    count = len(products)
    if products.shape != (count, count) or not np.array_equal(products, products.T) or count < 2:
        raise ValueError(f"products of shape {products.shape}: give a symmetric matrix of two observables or more")
    least = np.minimum(products[:, :, None], products[None, :, :])  # (i, k, j)
    wrong = least > products[:, None, :]
    i, k, j = np.indices(wrong.shape)
    wrong &= (i != j) & (i != k) & (j != k)
    if wrong.any():
        i, k, j = np.argwhere(wrong)[0]
        raise ValueError(
            f"no tree has these products: x{i + 1} and x{j + 1} share {products[i, j]}, but each shares more with "
            f"x{k + 1}"
        )


def _own(dimension: int, size: int, group: list[int]) -> int:
    """A latent's noise from the rise of the product, which counts it twice above just two observables."""
    own, odd = divmod(int(dimension), 2) if size == 2 else (int(dimension), 0)
    if odd:
        raise ValueError(
            f"no tree has these products: those of x{group[0] + 1} and x{group[1] + 1} rise by an odd number"
        )
    return own


def _parts(products: np.ndarray, group: list[int], lowest: int) -> list[list[int]]:
    """The group in parts that share more than `lowest`."""
    near = nx.Graph()
    near.add_nodes_from(group)
    near.add_edges_from((i, j) for i, j in combinations(group, 2) if products[i, j] > lowest)
    return sorted(map(sorted, nx.connected_components(near)))


def _loadings(covariance: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    """Each observable's loadings on uncorrelated sources of variance 1, from the covariance: (size, rank)."""
    covariance = np.asarray(covariance, dtype=float)
    if covariance.shape != (sum(sizes), sum(sizes)):
        raise ValueError(f"covariance of shape {covariance.shape}: the sizes add up to {sum(sizes)}")
    values, vectors = np.linalg.eigh(covariance)
    kept = values > _NULL * values[-1]
    return np.split(vectors[:, kept] * np.sqrt(values[kept]), np.cumsum(sizes)[:-1])


def _rows(loadings: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the rows: (dimension, rank)."""
    _, values, basis = np.linalg.svd(loadings, full_matrices=False)
    return basis[values > np.sqrt(_NULL) * max(values[:1], default=0)]


def _rank(side: Sequence[np.ndarray]) -> int:
    return len(_rows(np.vstack(side))) if len(side) else 0


def _common(bases: Sequence[np.ndarray]) -> np.ndarray:
    """An orthonormal basis of what lies in the span of each of the bases."""
    values, vectors = np.linalg.eigh(sum(basis.T @ basis for basis in bases) / len(bases))
    return vectors[:, values > 1 - _ALL].T
