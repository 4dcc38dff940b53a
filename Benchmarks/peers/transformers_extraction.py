"""Time transformers on what `recall extract` does: the mean of every block's output over each sample's tokens.

    python Benchmarks/peers/transformers_extraction.py MODEL SAMPLES [--batch-sizes 1,4,20] [--repeats 3]

MODEL is a checkpoint directory, SAMPLES a JSONL file with `input_ids` per line. The model runs in float32 on all cores,
without gradients and without its output head, and hooks pool each block's output as it appears, as a careful user would
write it. Each batch size has one untimed batch first. Standard output is one JSON object; `best` is the fastest batch size.
"""

import argparse
import json
import os
import time
from pathlib import Path

import torch
import transformers
from transformers import AutoModel


class Pooling:
    """Hooks on embedding, blocks and final norm that keep only the mean over each sample's own tokens."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.mask = torch.empty(0)
        self.layers: list[torch.Tensor] = []
        for module in [model.embed_tokens, *model.layers, model.norm]:
            module.register_forward_hook(self.pool)

    def pool(self, _module: torch.nn.Module, _inputs: tuple, output: torch.Tensor | tuple) -> None:
        states = output[0] if isinstance(output, tuple) else output
        mask = self.mask.unsqueeze(-1).to(states.dtype)
        self.layers.append((states * mask).sum(1) / mask.sum(1))

    def begin(self, mask: torch.Tensor) -> None:
        self.mask = mask
        self.layers = []


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--batch-sizes", default="1,4,20", help="separated by commas")
    parser.add_argument("--repeats", type=int, default=3, help="timed runs per batch size; the fastest counts")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="all cores unless given")
    return parser.parse_args()


def read_samples(path: Path) -> list[list[int]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["input_ids"] for line in lines if line.strip()]


def pad(batch: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad on the right: causal attention never sees it, and the mask keeps it out of the mean."""
    length = max(map(len, batch))
    ids = torch.tensor([sample + [0] * (length - len(sample)) for sample in batch])
    mask = torch.tensor([[1] * len(sample) + [0] * (length - len(sample)) for sample in batch])
    return ids, mask


@torch.inference_mode()
def extract(model: torch.nn.Module, pooling: Pooling, samples: list[list[int]], batch_size: int) -> torch.Tensor:
    """Float32 [layers + 2, samples, width]."""
    batches = []
    for start in range(0, len(samples), batch_size):
        ids, mask = pad(samples[start : start + batch_size])
        pooling.begin(mask)
        model(input_ids=ids, attention_mask=mask, use_cache=False)
        batches.append(torch.stack(pooling.layers))
    return torch.cat(batches, dim=1)


def best_time(
    model: torch.nn.Module, pooling: Pooling, samples: list[list[int]], batch_size: int, repeats: int
) -> float:
    """Seconds of the fastest run, after one batch that warms caches and thread pools."""
    extract(model, pooling, samples[:batch_size], batch_size)
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        extract(model, pooling, samples, batch_size)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    samples = read_samples(arguments.samples)
    started = time.perf_counter()
    model = AutoModel.from_pretrained(arguments.model, dtype=torch.float32).eval()
    load_seconds = time.perf_counter() - started
    pooling = Pooling(model)

    tokens = sum(map(len, samples))
    runs = []
    for batch_size in map(int, arguments.batch_sizes.split(",")):
        seconds = best_time(model, pooling, samples, batch_size, arguments.repeats)
        runs.append({"batchSize": batch_size, "seconds": seconds, "tokensPerSecond": tokens / seconds})
    result = {
        "model": str(arguments.model),
        "samples": len(samples),
        "tokens": tokens,
        "threads": arguments.threads,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "loadSeconds": load_seconds,
        "runs": runs,
        "best": max(runs, key=lambda run: run["tokensPerSecond"]),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
