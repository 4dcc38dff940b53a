"""Time PyTorch and transformers on a GPU on what `recall bench --device cuda --json` measured there.

    python Benchmarks/peers/gpu_comparison.py bench.json [--device cuda] [--repeats 5]

bench.json is what recall printed. Two of its stages are compared, each at the size it has there: the RBF matrix with
torch.exp(-torch.cdist(x, y)² / 2σ²) in float32 as people write it, TF32 off, and the hidden states of a whole model with a
transformers Llama in bfloat16, mean over tokens, at the fastest of three batch sizes; it looks tokens up and norms the last
states as well, which is a hundredth of its time. The best time counts after a warm-up, as it does in bench, by the device's
own events on CUDA. Standard output is a markdown list; a ratio is the peer's time over Recall's, so above
1 Recall is faster; below 1 it says MISSED, and the exit code is 3. What cannot be compared is named with the reason.
"""

import argparse
import json
import math
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

try:
    import torch
except ModuleNotFoundError as error:
    print(f"- not compared: {error.name} is not installed")
    sys.exit(0)
try:
    import transformers
except ModuleNotFoundError as error:
    transformers = None
    missing = error.name

BATCH_SIZES = [8, 16, 64]
WARM_UP_SECONDS = 0.5
# Exact differences are timed once, and only where that takes no longer.
MOST_EXACT_SECONDS = 60
CHECKED_ROWS = 256
DEFAULT_MODE = "use_mm_for_euclid_dist_if_necessary"
EXACT_MODE = "donot_use_mm_for_euclid_dist"


class NotComparedError(Exception):
    """Why a stage has no peer's time beside it."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path, help="what recall bench --json printed")
    parser.add_argument("--device", type=torch.device, default=torch.device("cuda"), help="as torch names it")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs; the best counts")
    return parser.parse_args()


def measured_stage(bench: dict, operation: str) -> dict:
    for stage in bench["stages"]:
        case = stage["case"]
        if case["operation"] == operation:
            if case.get("reason") or not case.get("seconds"):
                raise NotComparedError(f"recall bench did not measure {operation}: {case.get('reason') or 'no time'}")
            return stage
    raise NotComparedError(f"recall bench has no stage {operation}")


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1000
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def best_seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """The warm-up is long enough for clocks to rise and libraries to choose their kernels."""
    started = time.perf_counter()
    seconds_of(work, device)
    while time.perf_counter() - started < WARM_UP_SECONDS:
        seconds_of(work, device)
    return min(seconds_of(work, device) for _ in range(repeats))


def ratio_text(peer: float, recall: float) -> str:
    return f"ratio {peer / recall:.3g}{'' if peer > recall else ' MISSED'}"


# The RBF matrix


def kernel(x: torch.Tensor, y: torch.Tensor, sigma: float, mode: str = DEFAULT_MODE) -> torch.Tensor:
    return torch.exp(-torch.cdist(x, y, compute_mode=mode).square() / (2 * sigma**2))


def exact_seconds(x: torch.Tensor, y: torch.Tensor, sigma: float, device: torch.device) -> float | None:
    """One run, unless a part of the rows foretells that it takes too long."""
    part = x[: math.ceil(len(x) / 16)]
    seconds_of(lambda: kernel(part[:1], y, sigma, EXACT_MODE), device)
    foretold = seconds_of(lambda: kernel(part, y, sigma, EXACT_MODE), device) * len(x) / len(part)
    return seconds_of(lambda: kernel(x, y, sigma, EXACT_MODE), device) if foretold < MOST_EXACT_SECONDS else None


def largest_errors(x: torch.Tensor, y: torch.Tensor, sigma: float) -> list[float]:
    """Of the default and of exact differences against float64, where half of the rows have a row near them."""
    x, y = x[:CHECKED_ROWS], y[:CHECKED_ROWS].clone()
    near = x[: min(len(x), len(y)) // 2]
    y[: len(near)] = near * (1 + 1e-4 * torch.randn_like(near))
    expected = kernel(x.double(), y.double(), sigma, EXACT_MODE)
    return [(kernel(x, y, sigma, mode) - expected).abs().max().item() for mode in [DEFAULT_MODE, EXACT_MODE]]


@torch.inference_mode()
def compare_kernel(bench: dict, device: torch.device, repeats: int) -> list[str]:
    case = measured_stage(bench, "radialBasisKernel")["case"]
    match = re.search(r"\[(\d+), (\d+)\].*?\[(\d+), \2\](?:.*σ = ([-+.\de]+))?", case["shape"])
    if not match:
        raise NotComparedError(f"the shape {case['shape']} of radialBasisKernel is not two matrices of one width")
    rows, width, others = (int(number) for number in match.groups()[:3])
    sigma = float(match[4] or math.sqrt(width))
    x, y = torch.randn(rows, width, device=device), torch.randn(others, width, device=device)

    recall = case["seconds"]
    peer = best_seconds(lambda: kernel(x, y, sigma), device, repeats)
    line = f"- the RBF matrix [{rows}, {width}] · [{others}, {width}]: Recall {recall:.3g} s, "
    line += f"torch.exp(-cdist²) {peer:.3g} s, {ratio_text(peer, recall)}"
    exact = exact_seconds(x, y, sigma, device)
    if exact is not None:
        line += f"; exact differences {exact:.3g} s, ratio {exact / recall:.3g}"
    lines = [f"{line} (torch {torch.__version__})"]

    # The smaller σ is the least for which Recall holds its error below 1e-5.
    for name, scale in [("σ² as timed", sigma), ("a thousandth of this σ²", sigma / math.sqrt(1000))]:
        default, exact = largest_errors(x, y, scale)
        lines.append(
            f"- largest error of the RBF matrix over {min(rows, CHECKED_ROWS)} rows, half of them with a row near, {name}: "
            f"torch.exp(-cdist²) {default:.1e}, exact differences {exact:.1e}"
        )
    return lines


# The hidden states of a model


def random_model(config: dict, device: torch.device) -> torch.nn.Module:
    """Made on the device, because drawing billions of weights on the processor takes minutes."""
    config = transformers.LlamaConfig(**config, attn_implementation="sdpa", use_cache=False)
    with torch.device("meta"):
        model = transformers.LlamaModel(config)
    model = model.to(torch.bfloat16).to_empty(device=device).requires_grad_(False).eval()
    # Its buffers are computed, not loaded, and stay float32.
    model.rotary_emb = type(model.rotary_emb)(config=config).to(device)
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.fill_(1)
        else:
            parameter.normal_(0, 1 / math.sqrt(parameter.shape[1]))
    return model


def extract(model: torch.nn.Module, ids: torch.Tensor, batch_size: int) -> torch.Tensor:
    """Float32 [layers + 1, texts, width]."""
    batches = []
    for batch in ids.split(batch_size):
        states = model(input_ids=batch, output_hidden_states=True, use_cache=False).hidden_states
        batches.append(torch.stack([state.mean(dim=1, dtype=torch.float32) for state in states]))
    return torch.cat(batches, dim=1)


@torch.inference_mode()
def compare_extraction(bench: dict, device: torch.device, repeats: int) -> list[str]:
    stage = measured_stage(bench, "extraction")
    if transformers is None:
        raise NotComparedError(f"{missing} is not installed")
    config = dict(stage["model"])
    texts, tokens = config.pop("texts"), config.pop("tokens")
    model = random_model(config, device)
    ids = torch.randint(config["vocab_size"], (texts, tokens), device=device)

    runs = []
    for batch_size in sorted({min(size, texts) for size in BATCH_SIZES}):
        try:
            runs.append((best_seconds(lambda: extract(model, ids, batch_size), device, repeats), batch_size))
        except torch.OutOfMemoryError:
            # Larger batches would not fit either; without a run, nothing does.
            if not runs:
                raise
            break
    recall, (peer, batch_size) = stage["case"]["seconds"], min(runs)
    return [
        f"- hidden states of {texts} texts of {tokens} tokens, {config['num_hidden_layers']} blocks of width "
        f"{config['hidden_size']}: Recall {recall:.3g} s, transformers {peer:.3g} s in batches of {batch_size}, "
        f"{ratio_text(peer, recall)} (torch {torch.__version__}, transformers {transformers.__version__})"
    ]


def main() -> None:
    arguments = parse_arguments()
    device = arguments.device
    if device.type == "cuda":
        if not torch.cuda.is_available():
            print("- not compared: torch finds no CUDA device")
            return
        torch.cuda.set_device(device.index or 0)
        torch.backends.cuda.matmul.allow_tf32 = False
    torch.manual_seed(0)
    bench = json.loads(arguments.bench.read_text(encoding="utf-8"))
    is_missed = False
    for name, compare in [("the RBF matrix", compare_kernel), ("hidden states", compare_extraction)]:
        try:
            lines = compare(bench, device, arguments.repeats)
        except NotComparedError as reason:
            lines = [f"- not compared: {reason}"]
        except torch.OutOfMemoryError:
            lines = [f"- not compared: {name}, for lack of device memory"]
        print("\n".join(lines), flush=True)
        is_missed = is_missed or any("MISSED" in line for line in lines)
    sys.exit(3 if is_missed else 0)


if __name__ == "__main__":
    main()
