"""Batches, the training loop, and exact-match accuracy."""

import time
from collections.abc import Callable

import torch
from tokenizers import Tokenizer
from torch.nn.utils import clip_grad_norm_
from transformers import LlamaForCausalLM

from tasks import Example
from tokenizer import PADDING_ID, encode_example

IGNORED_LABEL = -100
BATCH_SIZE = 32
WARMUP_STEPS = 50
FINAL_LEARNING_RATE_SHARE = 0.1

# What a model is given, and what it must continue it with.
Sequence = tuple[list[int], list[int]]


def pad_batch(sequences: list[Sequence]) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad on the right, and label only what the model must say.

    Causal attention never looks to the right, so these batches need no attention mask.
    """
    length = max(len(given) + len(expected) for given, expected in sequences)
    ids = torch.full((len(sequences), length), PADDING_ID)
    labels = torch.full((len(sequences), length), IGNORED_LABEL)
    for row, (given, expected) in enumerate(sequences):
        end = len(given) + len(expected)
        ids[row, :end] = torch.tensor(given + expected)
        labels[row, len(given) : end] = torch.tensor(expected)
    return ids, labels


def fit(
    model: LlamaForCausalLM, draw: Callable[[], Sequence], steps: int, learning_rate: float, name: str
) -> None:
    """AdamW with a short warm-up and a linear fall of the learning rate, over sequences drawn without end."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01, betas=(0.9, 0.95))
    model.train()
    started = time.monotonic()
    smoothed_loss = None
    for step in range(steps):
        warmup = min(1.0, (step + 1) / WARMUP_STEPS)
        decay = 1.0 - step / steps * (1.0 - FINAL_LEARNING_RATE_SHARE)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * warmup * decay

        ids, labels = pad_batch([draw() for _ in range(BATCH_SIZE)])
        loss = model(input_ids=ids, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

        smoothed_loss = loss.item() if smoothed_loss is None else 0.98 * smoothed_loss + 0.02 * loss.item()
        if (step + 1) % 250 == 0 or step + 1 == steps:
            seconds = time.monotonic() - started
            print(f"{name}: step {step + 1} of {steps}, loss {smoothed_loss:.3f}, {seconds:.0f} s", flush=True)


@torch.no_grad()
def exact_match(model: LlamaForCausalLM, tokenizer: Tokenizer, items: list[Example]) -> float:
    """Share of the items whose every answer token, the end token included, is the most likely one.

    The answer's earlier tokens are the true ones; where all are right, greedy decoding would have written the same.
    """
    model.eval()
    correct = 0
    for start in range(0, len(items), 100):
        sequences = [encode_example(tokenizer, *item) for item in items[start : start + 100]]
        ids, labels = pad_batch(sequences)
        predictions = model(input_ids=ids).logits[:, :-1].argmax(-1)
        expected = labels[:, 1:]
        right = (predictions == expected) | (expected == IGNORED_LABEL)
        correct += right.all(dim=1).sum().item()
    return correct / len(items)
