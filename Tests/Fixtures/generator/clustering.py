"""Goldens for k-means: point sets and scikit-learn's best of ten, in float64.

k-means++ starts differ between implementations, so a test compares inertia, and compares the partition and the samples
nearest the centroids only where the clusters are so far apart that every sensible run finds the same ones.
"""

import json
import warnings
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning


def write_all(fixtures: Path) -> None:
    directory = fixtures / "clustering"
    directory.mkdir(exist_ok=True)
    cases = point_sets()
    save_file({name: points for name, (points, _, _) in cases.items()}, directory / "points.safetensors")
    expected = {name: expectations(*case) for name, case in cases.items()}
    (directory / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


def point_sets() -> dict[str, tuple[np.ndarray, int, bool]]:
    """Points, number of clusters, and whether the partition is beyond doubt."""
    generator = np.random.default_rng(20)

    def blobs(centers: int, each: int, width: int, spread: float) -> np.ndarray:
        means = 10.0 * generator.normal(size=(centers, width))
        points = np.repeat(means, each, axis=0) + spread * generator.normal(size=(centers * each, width))
        return generator.permutation(points).astype(np.float32)

    distinct = generator.normal(size=(10, 6)).astype(np.float32)
    few = generator.normal(size=(3, 6)).astype(np.float32)
    return {
        "separate-blobs": (blobs(5, 12, 8, 0.3), 5, True),
        "overlapping-blobs": (blobs(6, 20, 12, 9.0), 6, False),
        "one-cluster": (blobs(1, 17, 7, 1.0), 1, True),
        "every-point-its-own": (distinct, 10, True),
        "duplicates": (generator.permutation(np.repeat(distinct, 4, axis=0)), 10, True),
        "fewer-distinct-points-than-clusters": (generator.permutation(np.repeat(few, 5, axis=0)), 5, True),
        "all-equal": (np.repeat(few[:1], 6, axis=0), 3, True),
        "one-point": (few[:1], 1, True),
    }


def expectations(points: np.ndarray, clusters: int, certain: bool) -> dict:
    with warnings.catch_warnings():
        # Fewer distinct points than clusters is one of the cases; scikit-learn warns of it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = KMeans(clusters, init="k-means++", n_init=10, random_state=20).fit(points.astype(np.float64))
    result = {"clusters": clusters, "inertia": float(found.inertia_), "nonEmpty": int(len(set(found.labels_)))}
    if certain:
        result["partition"] = in_order_of_appearance(found.labels_)
        result["typical"] = typical_samples(points.astype(np.float64), found.labels_)
    return result


def in_order_of_appearance(labels: np.ndarray) -> list[int]:
    """Labels renamed so that two equal partitions are two equal lists."""
    names: dict[int, int] = {}
    return [names.setdefault(int(label), len(names)) for label in labels]


def typical_samples(points: np.ndarray, labels: np.ndarray) -> list[int]:
    """In ascending order the sample nearest each cluster's mean, the lowest index among equals."""
    chosen = []
    for label in sorted(set(labels)):
        members = np.flatnonzero(labels == label)
        distances = ((points[members] - points[members].mean(0)) ** 2).sum(1)
        nearest = distances <= distances.min() + 1e-12
        chosen.append(int(members[nearest][0]))
    return sorted(chosen)
