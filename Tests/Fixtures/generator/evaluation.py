"""Golden token scores: what transformers says about every token of the representations' samples.

As for the representations, float32 and one sample at a time. A token's score is its log-probability given those before it,
its logit, and the token with the largest logit in its place.
"""

import json
from pathlib import Path

import torch

from families import FAMILIES
from representations import load


def write_all(fixtures: Path) -> None:
    directory = fixtures / "evaluation"
    directory.mkdir(exist_ok=True)
    for family in FAMILIES:
        model = load(fixtures / "checkpoints" / family.name)
        samples = fixtures / "representations" / f"{family.name}.input_ids.jsonl"
        with (directory / f"{family.name}.jsonl").open("w", encoding="utf-8") as file:
            for line in samples.read_text(encoding="utf-8").splitlines():
                ids = json.loads(line)["input_ids"]
                if len(ids) > 1:
                    file.write(json.dumps(token_scores(model, ids)) + "\n")


@torch.no_grad()
def token_scores(model: torch.nn.Module, ids: list[int]) -> dict[str, list]:
    """The scores of all tokens but the first, which nothing predicts."""
    logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, :-1]
    targets = torch.tensor(ids[1:])[:, None]
    probabilities = torch.log_softmax(logits.double(), dim=-1)
    return {
        "input_ids": ids,
        "logProbabilities": [round(value, 6) for value in probabilities.gather(1, targets)[:, 0].tolist()],
        "logits": [round(value, 6) for value in logits.gather(1, targets)[:, 0].tolist()],
        "best": logits.argmax(-1).tolist(),
    }
