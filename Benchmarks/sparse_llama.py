"""Write checkpoints in the shapes of Llama 3.1 as headers over sparse files, to plan merges that no disk here could hold.

    python Benchmarks/sparse_llama.py OUT --size 405b --models 8

OUT receives that many model directories, a pool of 500 samples of 256 tokens, and recipe.json. Every element is zero and
takes no room on the disk: the plan of a merge reads headers only.
"""

import argparse
import json
import random
import struct
from pathlib import Path

SHAPES = {
    "8b": {"layers": 32, "hidden": 4096, "intermediate": 14336, "heads": 32},
    "70b": {"layers": 80, "hidden": 8192, "intermediate": 28672, "heads": 64},
    "405b": {"layers": 126, "hidden": 16384, "intermediate": 53248, "heads": 128},
}
VOCABULARY = 128256
KEY_VALUE_HEADS = 8
SHARD_BYTES = 4_700_000_000


def tensors(shape: dict) -> dict[str, list[int]]:
    hidden, intermediate = shape["hidden"], shape["intermediate"]
    narrow = hidden // shape["heads"] * KEY_VALUE_HEADS
    block = {
        "self_attn.q_proj.weight": [hidden, hidden], "self_attn.k_proj.weight": [narrow, hidden],
        "self_attn.v_proj.weight": [narrow, hidden], "self_attn.o_proj.weight": [hidden, hidden],
        "mlp.gate_proj.weight": [intermediate, hidden], "mlp.up_proj.weight": [intermediate, hidden],
        "mlp.down_proj.weight": [hidden, intermediate], "input_layernorm.weight": [hidden],
        "post_attention_layernorm.weight": [hidden],
    }
    all_tensors = {"model.embed_tokens.weight": [VOCABULARY, hidden]}
    for layer in range(shape["layers"]):
        all_tensors |= {f"model.layers.{layer}.{name}": size for name, size in block.items()}
    return all_tensors | {"model.norm.weight": [hidden], "lm_head.weight": [VOCABULARY, hidden]}


def byte_count(size: list[int]) -> int:
    count = 2
    for dimension in size:
        count *= dimension
    return count


def write_shard(path: Path, part: dict[str, list[int]]) -> None:
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, size in part.items():
        end = offset + byte_count(size)
        header[name] = {"dtype": "BF16", "shape": size, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)


def write_model(directory: Path, shape: dict) -> None:
    directory.mkdir(parents=True)
    parts: list[dict[str, list[int]]] = [{}]
    for name, size in tensors(shape).items():
        if parts[-1] and sum(map(byte_count, parts[-1].values())) + byte_count(size) > SHARD_BYTES:
            parts.append({})
        parts[-1][name] = size
    weight_map = {}
    for number, part in enumerate(parts, 1):
        file_name = f"model-{number:05}-of-{len(parts):05}.safetensors"
        write_shard(directory / file_name, part)
        weight_map |= dict.fromkeys(part, file_name)
    total = sum(map(byte_count, tensors(shape).values()))
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    configuration = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": shape["hidden"],
        "intermediate_size": shape["intermediate"], "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["heads"], "num_key_value_heads": KEY_VALUE_HEADS, "vocab_size": VOCABULARY,
        "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "rope_theta": 500000.0, "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }
    (directory / "config.json").write_text(json.dumps(configuration, indent=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--size", choices=SHAPES, default="405b")
    parser.add_argument("--models", type=int, default=8)
    arguments = parser.parse_args()
    models = [arguments.output / f"expert-{number}" for number in range(arguments.models)]
    for model in models:
        write_model(model, SHAPES[arguments.size])
    numbers = random.Random(0)
    samples = arguments.output / "pool.jsonl"
    with samples.open("w") as file:
        for _ in range(500):
            file.write(json.dumps({"input_ids": [numbers.randrange(VOCABULARY) for _ in range(256)]}) + "\n")
    paths = [str(model.resolve()) for model in models]
    recipe = {"anchor": paths[0], "models": paths[1:], "samples": str(samples.resolve())}
    (arguments.output / "recipe.json").write_text(json.dumps(recipe, indent=2))


main()
