"""Random weights that make a small model behave like a trained one in the ways that matter to a test.

Attention must not be flat, or a wrong position or window would not show; residual contributions must be as large as
the stream, or a wrong block would hide behind the embedding; gains and biases must differ from one and zero, or leaving
them out would go unnoticed.
"""

import hashlib
import math

import torch


def random_weight(family: str, name: str, shape: torch.Size) -> torch.Tensor:
    """A float32 tensor that depends only on the family's and the tensor's name."""
    noise = named_noise(family, name, shape)
    if name.endswith("norm.weight"):
        return 1.0 + 0.2 * noise
    if name.endswith(".bias"):
        return 0.3 * noise
    if name.endswith("embed_tokens.weight"):
        return noise
    gain = 2.0 if ".q_proj." in name or ".k_proj." in name else 1.2
    return gain / math.sqrt(shape[-1]) * noise


def named_noise(family: str, name: str, shape: torch.Size) -> torch.Tensor:
    """Standard normal numbers, seeded by names: one more family or tensor leaves all others as they were."""
    digest = hashlib.sha256(f"{family}/{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:6], "big"))
    return torch.randn(shape, generator=generator)
