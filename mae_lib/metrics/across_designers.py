"""Whether a representation groups drawings by concept, across designers, or by designer, across concepts.

Nothing is trained: features are standardised by the gallery and compared by cosine similarity.
"""

import numpy as np
from sklearn.preprocessing import StandardScaler


def across_hands(
    gallery: np.ndarray, concepts: np.ndarray, hands: np.ndarray, queries: np.ndarray, asked: np.ndarray, by: np.ndarray
) -> dict[str, np.ndarray]:
    """Scores of `queries` (Q, width) against a `gallery` (G, width): float64 (Q,) each.

    `concepts` and `hands` (G,) are the gallery's concepts and designers, `asked` and `by` (Q,) those of the queries.

    "concept across designers": whether the nearest image by the next designer (in the order of their numbers) is of
    the concept. "nearest is of the concept" and "nearest is of the designer": over the whole gallery. "concept nearer
    than designer": the chance that an image of the same concept by another designer is nearer than one of another
    concept by the same designer, ties counting half; above 0.5 the concept wins. `NaN` where one is missing.
    """
    scaler = StandardScaler().fit(gallery)
    near = _unit(scaler.transform(queries)) @ _unit(scaler.transform(gallery)).T  # (Q, G)
    same_concept, same_hand = asked[:, None] == concepts, by[:, None] == hands
    present = np.unique(np.concatenate([hands, by]))
    following = present[(np.searchsorted(present, by) + 1) % len(present)]
    other = following[:, None] == hands
    first = np.where(other, near, -np.inf).argmax(1)
    found, best = np.arange(len(queries)), near.argmax(1)
    hit = np.where(other.any(1), same_concept[found, first], np.nan)
    won = [_chance(row[c & ~h], row[h & ~c]) for row, c, h in zip(near, same_concept, same_hand)]
    return {
        "concept across designers": hit,
        "nearest is of the concept": same_concept[found, best].astype(float),
        "nearest is of the designer": same_hand[found, best].astype(float),
        "concept nearer than designer": np.array(won),
    }


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True).clip(1e-12)


def _chance(these: np.ndarray, those: np.ndarray) -> float:
    """P(one of `these` is greater than one of `those`), ties counting half."""
    if not len(these) or not len(those):
        return np.nan
    ordered = np.sort(those)
    below, up_to = np.searchsorted(ordered, these, "left"), np.searchsorted(ordered, these, "right")
    return float((below + up_to).mean() / 2 / len(those))
