"""Goldens for the weighted sum: acc = w₁θ₁, then acc = fma(wᵢ, θᵢ, acc) in float32, rounded once to the output type.

Each case is a group of tensors in one file: `<case>/weights`, `<case>/input.0` … and `<case>/output`. The output must
come out bit for bit.
"""

import ctypes
import ctypes.util
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from rounding import fused_multiply_add, multiply

F32, F16, BF16 = torch.float32, torch.float16, torch.bfloat16
NAMES = {F32: "float32", F16: "float16", BF16: "bfloat16"}
ELEMENTS = 257


def write_all(fixtures: Path) -> None:
    directory = fixtures / "fusion"
    directory.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(20)
    tensors: dict[str, torch.Tensor] = {}
    for inputs, output, weights in cases():
        kinds = "+".join(NAMES[dtype] for dtype in (inputs if len(set(inputs)) > 1 else inputs[:1]))
        name = f"{len(inputs)}-{kinds}-to-{NAMES[output]}"
        members = [random_finite(dtype, output, generator) for dtype in inputs]
        tensors[f"{name}/weights"] = torch.tensor(weights, dtype=F32)
        tensors |= {f"{name}/input.{index}": member for index, member in enumerate(members)}
        tensors[f"{name}/output"] = weighted_sum(tensors[f"{name}/weights"], members).to(output)
    if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
        raise ValueError("the fixtures exclude infinities")
    save_file(tensors, directory / "weighted-sums.safetensors")


def cases() -> list[tuple[list[torch.dtype], torch.dtype, list[float]]]:
    """Input types, output type, weights. Weights need not sum to one: scaled deltas have negative and larger ones."""
    three = [0.2375, 0.4125, 0.35]
    result = [([dtype] * 3, dtype, three) for dtype in (F32, F16, BF16)]
    result += [([dtype] * 3, F32, three) for dtype in (F16, BF16)]
    result += [
        ([F32] * 2, BF16, [0.5, 0.5]),
        ([F32] * 2, F16, [0.3, 0.7]),
        ([F32], BF16, [1.0]),
        ([F32], F16, [1.0]),
        ([BF16], BF16, [1.0]),
        ([F32], F32, [1 / 3]),
        ([BF16] * 5, BF16, [0.11, 0.23, 0.31, 0.05, 0.3]),
        ([BF16] * 4, BF16, [-0.5, 0.75, 0.75, 0.0]),
        ([F32] * 6, F32, [-1.25, 0.5, 0.0, 0.75, -0.25, 1.25]),
        ([BF16, F16, F32], BF16, three),
    ]
    return result


def random_finite(dtype: torch.dtype, output: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    """Ordinary weights, then random bits, then the corners of the type; bounded so that no sum overflows.

    Ordinary values are what a checkpoint holds. Random bits spread over all exponents, so that one term swallows
    another whole or in part. The corners are zeros of both signs and the edges of the subnormals. Where the output is
    narrower, some inputs lie halfway between two of its values; a model alone with weight 1 hands them to the rounding.
    """
    ordinary = 0.05 * torch.randn(ELEMENTS // 2, generator=generator)
    bits = torch.int32 if dtype is F32 else torch.int16
    limits = torch.iinfo(bits)
    count = ELEMENTS - len(ordinary) - 16
    random_bits = torch.randint(limits.min, limits.max, (count,), generator=generator, dtype=torch.int64)
    spread = random_bits.to(bits).view(dtype)
    information = torch.finfo(dtype)
    smallest, normal = information.smallest_normal * information.eps, information.smallest_normal
    edges = [0.0, smallest, 3 * smallest, normal - smallest, normal, normal * 1.5, 1.0, 1.0 + information.eps]
    corners = torch.tensor(edges)
    corners = torch.cat([corners, -corners])[torch.randperm(16, generator=generator)]

    values = torch.cat([ordinary.to(dtype), spread, corners.to(dtype)])
    if dtype is F32 and output is not F32:
        ties = halfway_values(output)
        values[: len(ties)] = ties
    bound = min(information.max, torch.finfo(output).max) / 8
    return torch.where(torch.isfinite(values) & (values.abs() <= bound), values, torch.full_like(values, 0.75))


def halfway_values(output: torch.dtype) -> torch.Tensor:
    """Exact ties of both parities and signs, among the ordinary values and among the subnormal ones."""
    information = torch.finfo(output)
    steps = torch.arange(8, dtype=torch.float64) + 0.5
    ordinary = 1.0 + steps * information.eps
    subnormal = steps * information.smallest_normal * information.eps
    ties = torch.cat([ordinary, subnormal])
    return torch.cat([ties, -ties]).float()


def weighted_sum(weights: torch.Tensor, members: list[torch.Tensor]) -> torch.Tensor:
    """The float32 accumulator, by exact arithmetic, checked against the C library's fused multiply-add."""
    columns = [member.float().numpy() for member in members]
    return torch.from_numpy(
        np.array([_accumulate(weights.numpy(), values) for values in zip(*columns)], dtype=np.float32)
    )


def _accumulate(weights: np.ndarray, values: tuple[np.float32, ...]) -> np.float32:
    accumulator = multiply(weights[0], values[0])
    for weight, value in zip(weights[1:], values[1:]):
        exact = fused_multiply_add(weight, value, accumulator)
        if np.float32(_C_FMA(weight, value, accumulator)).tobytes() != exact.tobytes():
            raise ValueError(f"the C library disagrees on fma({weight}, {value}, {accumulator})")
        accumulator = exact
    return accumulator


_C_FMA = ctypes.CDLL(ctypes.util.find_library("m")).fmaf
_C_FMA.argtypes = [ctypes.c_float] * 3
_C_FMA.restype = ctypes.c_float
