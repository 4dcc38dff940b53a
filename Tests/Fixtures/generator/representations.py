"""Golden representations: what transformers computes for each checkpoint, pooled over each sample's tokens.

Weights are upcast from their stored type and everything runs in float32 with plain ("eager") attention, one sample at a
time, so no padding takes part. States are caught behind the decoder blocks: the last entry of transformers' own
`hidden_states` has passed the final norm, which is another thing than the output of the last block.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

from families import FAMILIES

TEXTS = [
    "a",
    "the cat",
    "the dog's bread.",
    "Où est l'élève n° 42 ?",
    "where does she live in the end? 7 of 1234 rivers, 東京 🙂",
    "a patient has the drug of choice and the answer is there;\n\tthe king's forest is 100% old,  isn't it?",
]

# Shorter than half of the samples and longer than the windows.
MAXIMUM_TOKENS = 12


def write_all(fixtures: Path) -> None:
    directory = fixtures / "representations"
    directory.mkdir(exist_ok=True)
    for family in FAMILIES:
        checkpoint = fixtures / "checkpoints" / family.name
        samples = tokenize(checkpoint)
        write_samples(directory, family.name, samples)
        states = write_representations(directory / f"{family.name}.safetensors", checkpoint, samples)
        if family.alternative_configuration:
            check_alternative(checkpoint, samples, states)


def tokenize(checkpoint: Path) -> list[list[int]]:
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    return [tokenizer.encode(text).ids for text in TEXTS]


def write_samples(directory: Path, name: str, samples: list[list[int]]) -> None:
    """The same samples twice: as text, and as the ids that this family's tokenizer makes of it."""
    with (directory / f"{name}.texts.jsonl").open("w", encoding="utf-8") as file:
        for text in TEXTS:
            file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    with (directory / f"{name}.input_ids.jsonl").open("w", encoding="utf-8") as file:
        for ids in samples:
            file.write(json.dumps({"input_ids": ids}) + "\n")


def write_representations(path: Path, checkpoint: Path, samples: list[list[int]]) -> list[torch.Tensor]:
    """Write mean and last-token representations, of whole and of truncated samples; return the whole ones' states."""
    model = load(checkpoint)
    whole = [hidden_states(model, ids) for ids in samples]
    truncated = [hidden_states(model, ids[:MAXIMUM_TOKENS]) for ids in samples]
    tensors = {
        "mean": pool(whole, mean),
        "last": pool(whole, last),
        "mean.truncated": pool(truncated, mean),
        "last.truncated": pool(truncated, last),
    }
    # One entry only: safetensors writes several in an order of its own, another one on every run.
    save_file(tensors, path, metadata={"max-tokens": str(MAXIMUM_TOKENS)})
    return whole


def load(checkpoint: Path, **options: object) -> torch.nn.Module:
    model = AutoModelForCausalLM.from_pretrained(
        checkpoint, dtype=torch.float32, attn_implementation="eager", **options
    )
    return model.eval()


@torch.no_grad()
def hidden_states(model: torch.nn.Module, ids: list[int]) -> torch.Tensor:
    """Float32 [layers + 2, tokens, width]: embedding output, every block's output, final norm output."""
    decoder = model.model
    caught: list[torch.Tensor] = []

    def catch(_module: torch.nn.Module, _inputs: tuple, output: torch.Tensor | tuple) -> None:
        caught.append((output[0] if isinstance(output, tuple) else output)[0].clone())

    modules = [decoder.embed_tokens, *decoder.layers, decoder.norm]
    hooks = [module.register_forward_hook(catch) for module in modules]
    model(input_ids=torch.tensor([ids]), use_cache=False)
    for hook in hooks:
        hook.remove()
    return torch.stack(caught)


def mean(states: torch.Tensor) -> torch.Tensor:
    """The mean over the tokens, summed in float64 so that the golden value owes nothing to an order of summation."""
    return states.double().mean(dim=1).float()


def last(states: torch.Tensor) -> torch.Tensor:
    return states[:, -1].contiguous()


def pool(states: list[torch.Tensor], pooling) -> torch.Tensor:
    """Float32 [layers + 2, samples, width]."""
    return torch.stack([pooling(sample) for sample in states], dim=1)


def check_alternative(checkpoint: Path, samples: list[list[int]], expected: list[torch.Tensor]) -> None:
    """Both vocabularies of the configuration must mean the same model."""
    configuration = AutoConfig.from_pretrained(checkpoint / "config.older-words.json")
    model = load(checkpoint, config=configuration)
    for ids, states in zip(samples, expected):
        if not torch.equal(hidden_states(model, ids), states):
            raise ValueError(f"{checkpoint.name}: the older configuration means another model")
