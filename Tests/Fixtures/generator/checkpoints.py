"""Write every family as a checkpoint directory, and prove that transformers reads it back as it was meant."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from families import FAMILIES, Family
from tiny_tokenizers import KINDS, write_tokenizer
from weights import random_weight

FORMAT = {"format": "pt"}
HEAD = "lm_head.weight"
EMBEDDING = "model.embed_tokens.weight"


def write_all(fixtures: Path) -> None:
    for family in FAMILIES:
        directory = fixtures / "checkpoints" / family.name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        write_json(directory / "config.json", family.configuration)
        if family.alternative_configuration:
            write_json(directory / "config.older-words.json", family.alternative_configuration)
        for name, text in family.extra_files.items():
            (directory / name).write_text(text, encoding="utf-8")
        write_tokenizer(family.tokenizer, directory)
        write_weights(make_weights(family), directory, family.shards)
        check(family, directory)


def expected_shapes(configuration: dict[str, Any]) -> dict[str, torch.Size]:
    """Every tensor that transformers expects of this configuration, in its order; of tied ones only the embedding."""
    settings = {name: value for name, value in configuration.items() if name != "model_type"}
    parsed = AutoConfig.for_model(configuration["model_type"], **settings)
    with torch.device("meta"):
        expected = AutoModelForCausalLM.from_config(parsed).state_dict()
    return {
        name: tensor.shape
        for name, tensor in expected.items()
        if not (parsed.tie_word_embeddings and name == HEAD)
    }


def make_weights(family: Family) -> dict[str, torch.Tensor]:
    dtype = getattr(torch, family.dtype)
    weights = {
        name: random_weight(family.name, name, shape).to(dtype)
        for name, shape in expected_shapes(family.configuration).items()
    }
    if family.stores_tied_head:
        weights[HEAD] = weights[EMBEDDING].clone()
    return weights


def write_weights(weights: dict[str, torch.Tensor], directory: Path, shards: int) -> None:
    """One file, or as many of about the same size with an index, in the layout of the Hugging Face hub."""
    if shards == 1:
        save_file(weights, directory / "model.safetensors", metadata=FORMAT)
        return
    total = sum(tensor.nbytes for tensor in weights.values())
    parts: list[dict[str, torch.Tensor]] = [{} for _ in range(shards)]
    written = 0
    for name, tensor in weights.items():
        parts[min(shards - 1, written * shards // total)][name] = tensor
        written += tensor.nbytes
    weight_map = {}
    for number, part in enumerate(parts, start=1):
        file = f"model-{number:05d}-of-{shards:05d}.safetensors"
        save_file(part, directory / file, metadata=FORMAT)
        weight_map |= {name: file for name in part}
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    write_json(directory / "model.safetensors.index.json", index)


def check(family: Family, directory: Path) -> None:
    """A fixture that transformers reads otherwise than we meant would be worse than none."""
    _, report = AutoModelForCausalLM.from_pretrained(directory, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report[kind]:
            raise ValueError(f"{family.name}: {kind} {report[kind]}")
    text = "the patient sees 1234 rivers"
    own = KINDS[family.tokenizer]()
    if AutoTokenizer.from_pretrained(directory)(text).input_ids != own.encode(text).ids:
        raise ValueError(f"{family.name}: transformers and tokenizers disagree on the tokens")
    if own.get_vocab_size() > family.configuration["vocab_size"]:
        raise ValueError(f"{family.name}: {own.get_vocab_size()} tokens do not fit the vocabulary")


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
