"""Three models that were one: what a merge takes, with every model's states and the weights that follow from them."""

import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file

import reference
from checkpoints import check, expected_shapes, write_json, write_weights
from families import Family, llama
from representations import tokenize, write_representations, write_samples
from tiny_tokenizers import write_tokenizer
from weights import named_noise, random_weight

CONFIGURATION = llama(rope_theta=10000.0, torch_dtype="bfloat16")
# How far each has moved from the base, as a share of a tensor's own spread.
EXPERTS = {"first": 0.1, "second": 0.2, "third": 0.3}
ANCHOR = "third"


def write_all(fixtures: Path) -> None:
    root = fixtures / "siblings"
    shutil.rmtree(root, ignore_errors=True)
    origin = {name: random_weight("siblings", name, shape) for name, shape in expected_shapes(CONFIGURATION).items()}

    write_sibling(root / "base", origin)
    for name, share in EXPERTS.items():
        write_sibling(root / name, fine_tuned(origin, name, share))

    samples = tokenize(root / "base")
    write_samples(root, "samples", samples)
    for name in ["base", *EXPERTS]:
        write_representations(root / f"{name}.representations.safetensors", root / name, samples)
    write_json(root / "expected.json", expectations(root))


def fine_tuned(origin: dict[str, torch.Tensor], name: str, share: float) -> dict[str, torch.Tensor]:
    """The origin with noise in proportion to each tensor's own spread, so that no tensor stays as it was."""
    return {
        tensor_name: tensor + share * tensor.std() * named_noise(f"siblings/{name}", tensor_name, tensor.shape)
        for tensor_name, tensor in origin.items()
    }


def write_sibling(directory: Path, weights: dict[str, torch.Tensor]) -> None:
    family = Family(directory.name, dtype="bfloat16", tokenizer="byte-level", configuration=CONFIGURATION)
    directory.mkdir(parents=True)
    write_json(directory / "config.json", family.configuration)
    write_tokenizer(family.tokenizer, directory)
    write_weights({name: tensor.to(torch.bfloat16) for name, tensor in weights.items()}, directory, shards=1)
    check(family, directory)


def expectations(root: Path) -> dict:
    """Similarities and weights over all samples, by the method's defaults, from the mean representations."""
    states = np.stack(
        [load_file(root / f"{name}.representations.safetensors")["mean"] for name in EXPERTS]
    ).astype(np.float64)
    anchor = list(EXPERTS).index(ANCHOR)
    squared = reference.squared_bandwidths(states, "relative", "anchor-median", anchor)
    similarity = reference.similarities(reference.model_distances(states, "relative"), squared)
    weights = reference.softmax_weights(reference.scores_with_anchor(similarity, anchor), 1.0)
    return {
        "models": list(EXPERTS),
        "anchor": ANCHOR,
        "recipe": {"distance": "relative", "bandwidth": "anchor-median", "temperature": 1.0, "pooling": "mean"},
        "squaredBandwidth": squared[0],
        "similarity": similarity.tolist(),
        "weights": weights.tolist(),
    }
