"""The latent tree from data alone: recursive grouping (Choi et al. 2011) of patches by an information distance.

    tree = discover_tree(x)  # (images, patches, numbers) -> LatentHierarchy
    robinson_foulds(tree, world.hierarchy)

Recursive grouping needs distances that add up along the paths of the tree. For scalar Gaussians -log |correlation| is
one. For vectors a common choice is -log det of what two of them share, but under Assumption 1 a leaf determines its
ancestors: that determinant is 0, or 1 on the shared directions, whatever the tree. What differs is *how many*
directions are shared, so the distance here is

    d(i, j) = -1/2 log( S / sqrt(dim i dim j) ),

S being the sum of squared canonical correlations of i and j. It is -log |correlation| for scalars. Where every variable
is an invertible function of its parent and a noise, S is the dimension of the lowest common ancestor, and each edge
adds 1/4 log(dim child / dim parent).

It is implemented here because existing libraries differ: scikit-bio joins neighbours in pairs, without errors of the
distances; SPFlow's hidden Chow-Liu trees take discrete variables; causal-learn's GIN takes scalars.
"""

import networkx as nx
import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.cluster.hierarchy import linkage, to_tree
from scipy.spatial.distance import squareform

from mae_lib.theory import LatentHierarchy

_NULL = 1e-9  # eigenvalues of a covariance below this share of the largest count as 0
_CONFIDENCE = 0.999  # of the test that accepts a family
_ERRORS = 3.0  # standard errors within which a length is 0


def discover_tree(x: ArrayLike, draws: int = 20, seed: int = 0) -> LatentHierarchy:
    """The latent tree over the variables of x (samples, variables, numbers), rooted at its centre.

    Observables are "x_0", "x_1", ... in the order of x. `draws` resamples of the samples estimate the distances'
    errors, and an edge shorter than 0.01 counts as none. Raises ValueError as `sample_distances` and
    `recursive_grouping` do.
    """
    return rooted(recursive_grouping(sample_distances(x, draws, seed), shortest=0.01))


# Distances


def shared_variance(covariance: np.ndarray, dims: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Sums of squared canonical correlations of all pairs of variables, (variables, variables), and their ranks.

    covariance: (sum of dims, sum of dims); dims: the size of each variable, in order. The sum lies between 0 and the
    smaller of the two ranks, which is reached where one determines the other linearly.
    """
    ends = np.cumsum(dims)
    blocks = [slice(end - size, end) for end, size in zip(ends, dims, strict=True)]
    rows, ranks = [], []
    whiten = [_whitening(covariance[block, block]) for block in blocks]
    for block, white in zip(blocks, whiten):
        row = white.T @ covariance[block]
        rows.append([np.square(row[:, other] @ w).sum() for other, w in zip(blocks, whiten)])
        ranks.append(white.shape[1])
    return np.array(rows), np.array(ranks)


def _whitening(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    kept = values > _NULL * max(values[-1], 0)
    return vectors[:, kept] / np.sqrt(values[kept])


def exact_distances(covariance: np.ndarray, dims: ArrayLike) -> np.ndarray:
    """The information distances of variables whose covariance is known: (variables, variables)."""
    shared, ranks = shared_variance(covariance, dims)
    return _distance(shared, ranks)


def sample_distances(x: ArrayLike, draws: int = 20, seed: int = 0) -> np.ndarray:
    """Information distances estimated from x (samples, variables, numbers), and from resamples of its samples.

    float64 (1 + draws, variables, variables), the estimate first. What two unrelated variables share by chance, dim i
    dim j / samples, is subtracted. Raises ValueError unless there are more samples than numbers in two variables.
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 3 or len(x) <= 2 * x.shape[2]:
        raise ValueError(f"x has shape {x.shape}: give (samples, variables, numbers), more samples than two variables")
    generator = np.random.default_rng(seed)
    samples = [np.arange(len(x)), *(generator.integers(len(x), size=len(x)) for _ in range(draws))]
    return np.stack([_estimated(x[rows], 1 + (number > 0)) for number, rows in enumerate(samples)])


def _estimated(x: np.ndarray, times: int) -> np.ndarray:
    """Distances from samples drawn `times` times, each draw adding its own chance agreement."""
    flat = (x - x.mean(0)).reshape(len(x), -1)
    shared, ranks = shared_variance(flat.T @ flat / len(x), [x.shape[2]] * x.shape[1])
    chance = times * np.outer(ranks, ranks) / len(x)
    np.fill_diagonal(chance, 0)
    # Below one standard deviation of what unrelated variables share by chance, nothing differs from 0.
    return _distance(np.maximum(shared - chance, np.sqrt(2 * chance / len(x))), ranks)


def _distance(shared: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    distance = -0.5 * np.log(shared / np.sqrt(np.outer(ranks, ranks)))
    np.fill_diagonal(distance, 0)
    return distance


# Recursive grouping


def recursive_grouping(distances: ArrayLike, shortest: float = 1e-6) -> nx.Graph:
    """The tree whose path lengths are the distances of its leaves, (leaves, leaves) or (1 + draws, leaves, leaves).

    Leaves are 0, 1, ..., latents are numbered from there; an edge has a `length`. In each round siblings get a parent:
    i and j are siblings when d(i, k) - d(j, k) is the same for every other k, to within `shortest` or, if resamples
    follow the first distances, to within the error that these show (a chi-squared test over a whole family at
    confidence 0.999). A latent at distance 0 from its parent is merged with it. If no node has a sibling, the two most
    alike are joined.

    Raises ValueError for fewer than three leaves or any other shape.
    """
    d = np.asarray(distances, dtype=float)
    d = d[None] if d.ndim == 2 else d
    if d.ndim != 3 or d.shape[1] != d.shape[2] or d.shape[1] < 3:
        raise ValueError(f"distances have shape {d.shape}: give (leaves, leaves), three at least, or a stack of these")
    tree, active, leaves = nx.Graph(), list(range(d.shape[1])), d.shape[1]
    tree.add_nodes_from(active)
    while len(active) > 2:
        families = _families(d, shortest)
        d, up = _with_parents(d, families)
        names = []
        for family, heights in zip(families, up):
            members = [active[i] for i in family]
            names.append(members[0] if len(members) == 1 else _join(tree, members, heights, leaves, shortest))
        active = names
    if len(active) == 2:
        tree.add_edge(*active, length=max(float(d[0, 0, 1]), 0.0))
    return tree


def _differences(d: np.ndarray) -> np.ndarray:
    """d(i, k) - d(j, k), NaN for k = i and k = j: (1 + draws, i, j, k)."""
    phi = d[:, :, None, :] - d[:, None, :, :]
    own = np.eye(d.shape[1], dtype=bool)
    phi[:, own[:, None, :] | own[None, :, :]] = np.nan
    return phi


def _families(d: np.ndarray, shortest: float) -> list[list[int]]:
    """The active nodes in groups of siblings: from all of them down, a group that is not a family is split in two."""
    phi = _differences(d)
    spread = _spread(phi[0])
    errors = np.mean([np.square(_spread(one - phi[0])) for one in phi[1:]] or [np.zeros_like(spread)], axis=0)
    top, families = to_tree(linkage(squareform(spread, checks=False), "average")), []
    queue = [top]
    while queue:
        group = queue.pop()
        members = sorted(group.pre_order())
        if len(members) == 1 or _is_family(spread, errors, members, shortest):
            families.append(members)
        else:
            queue += [group.left, group.right]
    if len(families) < d.shape[1]:
        return families
    likest = np.unravel_index(np.argmin(spread + np.diag([np.inf] * len(spread))), spread.shape)
    return [sorted(map(int, likest)), *([i] for i in range(len(spread)) if i not in likest)]


def _is_family(spread: np.ndarray, errors: np.ndarray, members: list[int], shortest: float) -> bool:
    """Whether the spreads among the members (i, j) are consistent with a star with these errors."""
    few, all_ = len(members), len(spread)
    # Distances of the members, less what a parent's edges and its distances to the others explain.
    free = few * (few - 3) // 2 + (few - 1) * (all_ - few)
    if free == 0:
        return True
    pairs = np.ix_(members, members)
    limit = stats.chi2.ppf(_CONFIDENCE, free) / free
    return np.square(spread[pairs]).sum() <= max(limit * errors[pairs].sum(), few * (few - 1) * shortest**2)


def _spread(phi: np.ndarray) -> np.ndarray:
    """Standard deviation over k: (i, j)."""
    other = ~np.isnan(phi)
    count = other.sum(-1).clip(min=1)
    mean = np.where(other, phi, 0).sum(-1) / count
    return np.sqrt((np.where(other, phi - mean[..., None], 0) ** 2).sum(-1) / count)


def _with_parents(d: np.ndarray, families: list[list[int]]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Distances of the families' parents, and each member's distance to its parent: (1 + draws, members) a family.

    A node without siblings is its own parent.
    """
    phi = np.nan_to_num(_differences(d))
    count = d.shape[1] - 2
    up = []
    for family in families:
        if len(family) == 1:
            up.append(np.zeros((len(d), 1)))
            continue
        pairs = np.ix_(range(len(d)), family, family)
        to_parent = (d[pairs] + phi.sum(-1)[pairs] / count) / 2  # of i, by each sibling j
        up.append((to_parent.sum(-1) - np.diagonal(to_parent, axis1=1, axis2=2)) / (len(family) - 1))
    lifted = np.zeros((len(d), len(families), len(families)))
    for a, one in enumerate(families):
        for b, other in enumerate(families):
            if a != b:
                between = d[np.ix_(range(len(d)), one, other)] - up[a][:, :, None] - up[b][:, None, :]
                lifted[:, a, b] = between.mean((1, 2))
    return lifted, up


def _join(tree: nx.Graph, members: list[int], heights: np.ndarray, leaves: int, shortest: float) -> int:
    """Put the members under a new latent and return its name; a member at distance 0 is merged into it."""
    name = max(max(tree), leaves - 1) + 1
    errors = np.square(heights[1:] - heights[0]).mean(0) if len(heights) > 1 else np.zeros(len(members))
    tree.add_node(name)
    for member, height, tolerance in zip(members, heights[0], np.maximum(_ERRORS * np.sqrt(errors), shortest)):
        if member >= leaves and height < tolerance:
            for child, edge in list(tree[member].items()):
                tree.add_edge(name, child, **edge)
            tree.remove_node(member)
        else:
            tree.add_edge(name, member, length=max(float(height), 0.0))
    return name


def rooted(tree: nx.Graph) -> LatentHierarchy:
    """A tree with edge `length`s, leaves numbered from 0, as a hierarchy whose root is the latent at its centre.

    It minimises the distance to the furthest leaf; in the book's worlds all leaves are equally far from the root.
    """
    leaves = sorted(node for node in tree if tree.degree(node) == 1)
    inner = sorted(set(tree) - set(leaves))
    far = {z: max(nx.single_source_dijkstra_path_length(tree, z, weight="length").values()) for z in inner}
    directed = nx.bfs_tree(tree, min(inner, key=far.get))
    names = {node: f"x_{node}" if node in leaves else f"h_{node}" for node in directed}
    return LatentHierarchy(nx.relabel_nodes(directed, names), [names[leaf] for leaf in leaves])


# Comparison


def robinson_foulds(one: LatentHierarchy, other: LatentHierarchy) -> float:
    """Normalised distance of Robinson and Foulds (1981): the share of inner edges that only one of two trees has.

    Each inner edge splits the leaves in two; 0 if both trees have the same splits, 1 if they share none. Leaves are
    matched by their place in `observables`, roots are ignored. Raises ValueError for different numbers of leaves.
    """
    if len(one.observables) != len(other.observables):
        raise ValueError(f"trees of {len(one.observables)} and {len(other.observables)} leaves cannot be compared")
    a, b = bipartitions(one), bipartitions(other)
    return len(a ^ b) / (len(a) + len(b)) if a or b else 0.0


def bipartitions(hierarchy: LatentHierarchy) -> set[frozenset[int]]:
    """The split of the leaves by each inner edge, given as the part without the first leaf."""
    place = {x: i for i, x in enumerate(hierarchy.observables)}
    everything, found = frozenset(place.values()), set()
    for latent in hierarchy.latents:
        below = frozenset(place[x] for x in hierarchy.descendant_observables(latent))
        part = everything - below if 0 in below else below
        if 1 < len(part) < len(everything) - 1:
            found.add(part)
    return found
