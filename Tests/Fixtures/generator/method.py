"""Goldens for distance, bandwidth, similarity and weights: random states in, the float64 reference's numbers out."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

import reference

TEMPERATURES = [0.3, 1.0, 2.0]
SIGMA = 1.7
ANCHOR = 2


def write_all(fixtures: Path) -> None:
    directory = fixtures / "method"
    directory.mkdir(exist_ok=True)
    cases = state_cases()
    first, second = kernel_inputs()
    save_file(cases | {"kernel.first": first, "kernel.second": second}, directory / "states.safetensors")
    expected = {
        "axes": {
            "states": "models, layers, samples, width",
            "distance": "layers, models, models, samples",
            "similarity": "layers, models, models",
            "weights": "layers, models",
        },
        "kernel": {
            "sigma": SIGMA,
            "values": reference.cross_kernel(first.astype(np.float64), second.astype(np.float64), SIGMA).tolist(),
        },
        "cases": {name: expectations(states.astype(np.float64)) for name, states in cases.items()},
    }
    (directory / "expected.json").write_text(json.dumps(expected) + "\n", encoding="utf-8")


def state_cases() -> dict[str, np.ndarray]:
    """States that agree at first and part with depth, and the corners where a formula divides by nothing."""
    generator = np.random.default_rng(20)
    models, layers, samples, width = 3, 6, 7, 24
    shared = generator.normal(size=(1, layers, samples, width))
    own = generator.normal(size=(models, layers, samples, width))
    parting = np.linspace(0.05, 0.9, layers).reshape(1, layers, 1, 1)
    growth = np.geomspace(1.0, 30.0, layers).reshape(1, layers, 1, 1)
    siblings = growth * (shared + parting * own)

    # One layer on which all agree, a model that puts out zeros for one sample, and two that do so for another.
    corners = siblings[:, :3, :4, :5].copy()
    corners[:, 0] = corners[:1, 0]
    corners[1, 1, 2] = 0.0
    corners[:2, 2, 3] = 0.0

    identical = np.repeat(siblings[:1, :2, :3, :5], models, axis=0)
    single_sample = siblings[:2, :4, :1, :]
    return {
        "siblings": siblings.astype(np.float32),
        "corners": corners.astype(np.float32),
        "identical": identical.astype(np.float32),
        "single-sample": single_sample.astype(np.float32),
    }


def kernel_inputs() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(21)
    first = generator.normal(size=(5, 13)).astype(np.float32)
    second = generator.normal(size=(7, 13)).astype(np.float32)
    second[3] = first[1]
    return first * np.float32(0.6), second * np.float32(0.6)


def expectations(states: np.ndarray) -> dict:
    anchor = min(ANCHOR, len(states) - 1)
    return {
        "anchor": anchor,
        "distance": {kind: reference.model_distances(states, kind).tolist() for kind in ("absolute", "relative")},
        "rules": [
            rule_expectations(states, kind, rule, anchor)
            for kind in ("absolute", "relative")
            for rule in reference.RULES
            if not (kind == "relative" and rule == "dimension")
        ],
    }


def rule_expectations(states: np.ndarray, kind: str, rule: str, anchor: int) -> dict:
    """`squaredBandwidth` is null where the rule finds no positive distance."""
    squared = reference.squared_bandwidths(states, kind, rule, anchor, SIGMA)
    similarity = reference.similarities(reference.model_distances(states, kind), squared)
    with_anchor = reference.scores_with_anchor(similarity, anchor)
    without_anchor = reference.scores_without_anchor(similarity)
    return {
        "distance": kind,
        "bandwidth": rule,
        **({"sigma": SIGMA} if rule == "number" else {}),
        "squaredBandwidth": squared,
        "similarity": similarity.tolist(),
        "weights": [
            {
                "temperature": temperature,
                "withAnchor": reference.softmax_weights(with_anchor, temperature).tolist(),
                "withoutAnchor": reference.softmax_weights(without_anchor, temperature).tolist(),
            }
            for temperature in TEMPERATURES
        ],
    }
