"""The method's formulas in float64 NumPy, as literally as they can be written.

States are [models, layers, samples, width]. Distances and similarities are per layer, models by models.
"""

from itertools import combinations

import numpy as np

RULES = ["anchor-median", "global-median", "layer-median", "dimension", "number"]


def distance(first: np.ndarray, second: np.ndarray, kind: str) -> np.ndarray:
    """Squared Euclidean over the last axis; `relative` divides by the mean of the two squared norms, and 0/0 is 0."""
    squared = ((first - second) ** 2).sum(-1)
    if kind == "absolute":
        return squared
    scale = ((first**2).sum(-1) + (second**2).sum(-1)) / 2
    return np.divide(squared, scale, out=np.zeros_like(squared), where=scale > 0)


def model_distances(states: np.ndarray, kind: str) -> np.ndarray:
    """D [layers, models, models, samples]."""
    pairs = distance(states[:, None], states[None, :], kind)
    return pairs.transpose(2, 0, 1, 3)


def positive_median(distances: list[np.ndarray]) -> float | None:
    """Median of the positive values, the mean of the two middle ones when their number is even; None without any."""
    values = np.concatenate([np.empty(0), *map(np.ravel, distances)])
    values = values[values > 0]
    return float(np.median(values)) if values.size else None


def squared_bandwidths(
    states: np.ndarray, kind: str, rule: str, anchor: int, sigma: float | None = None
) -> list[float | None]:
    """σ² of every layer. None stands for a median of nothing: then every similarity is 1."""
    models, layers, samples, width = states.shape
    distances = model_distances(states, kind)
    model_pairs = list(combinations(range(models), 2))
    if rule == "anchor-median":
        own = states[anchor]
        value = positive_median([distance(own[:, a], own[:, b], kind) for a, b in combinations(range(samples), 2)])
    elif rule == "global-median":
        value = positive_median([distances[:, i, j] for i, j in model_pairs])
    elif rule == "layer-median":
        return [positive_median([distances[layer, i, j] for i, j in model_pairs]) for layer in range(layers)]
    elif rule == "dimension":
        value = width / 2
    else:
        value = sigma * sigma
    return [value] * layers


def similarities(distances: np.ndarray, squared: list[float | None]) -> np.ndarray:
    """S [layers, models, models]: the RBF kernel's mean over the samples."""
    return np.stack(
        [
            np.exp(-layer / (2 * value)).mean(-1) if value is not None else np.ones(layer.shape[:2])
            for layer, value in zip(distances, squared)
        ]
    )


def scores_with_anchor(similarity: np.ndarray, anchor: int) -> np.ndarray:
    """[layers, models]: what the softmax takes; the anchor's own score is 1."""
    return similarity[:, :, anchor]


def scores_without_anchor(similarity: np.ndarray) -> np.ndarray:
    """[layers, models]: every model's mean similarity to the others."""
    models = similarity.shape[1]
    own = np.einsum("lii->li", similarity)
    return (similarity.sum(2) - own) / (models - 1)


def softmax_weights(scores: np.ndarray, temperature: float) -> np.ndarray:
    """[layers, models]: one weight per model, layer by layer."""
    exponentials = np.exp((scores - scores.max(1, keepdims=True)) / temperature)
    return exponentials / exponentials.sum(1, keepdims=True)


def cross_kernel(first: np.ndarray, second: np.ndarray, sigma: float) -> np.ndarray:
    """K[a, b] = exp(−|x_a − y_b|² / 2σ²)."""
    return np.exp(-distance(first[:, None], second[None, :], "absolute") / (2 * sigma * sigma))
