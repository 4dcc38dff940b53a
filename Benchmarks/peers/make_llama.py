"""Write a Llama checkpoint of random bfloat16 weights, large enough to time.

    python Benchmarks/peers/make_llama.py OUT [--layers 22] [--seed 0] [--shard-size BYTES]

The defaults have the shape of TinyLlama, 1.1 billion parameters. OUT receives the checkpoint, a small tokenizer and
`input_ids.jsonl`, 20 samples of 256 tokens. Tensors are drawn and written one at a time, so memory holds one of them.
Further seeds give further models of the same shape.
"""

import argparse
import json
import math
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

SAMPLES = 20
TOKENS_PER_SAMPLE = 256


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--layers", type=int, default=22)
    parser.add_argument("--hidden", type=int, default=2048)
    parser.add_argument("--intermediate", type=int, default=5632)
    parser.add_argument("--heads", type=int, default=32)
    parser.add_argument("--key-value-heads", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=32000)
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights; samples are the same for all seeds")
    parser.add_argument("--shard-size", type=int, help="bytes of tensors per file at most; one file without it")
    return parser.parse_args()


def configuration(arguments: argparse.Namespace) -> dict:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": arguments.hidden,
        "intermediate_size": arguments.intermediate,
        "num_hidden_layers": arguments.layers,
        "num_attention_heads": arguments.heads,
        "num_key_value_heads": arguments.key_value_heads,
        "vocab_size": arguments.vocabulary,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "attention_bias": False,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "torch_dtype": "bfloat16",
    }


def tensor_shapes(arguments: argparse.Namespace) -> dict[str, list[int]]:
    """Every tensor in the order of the model's depth."""
    hidden, intermediate = arguments.hidden, arguments.intermediate
    key_value = hidden // arguments.heads * arguments.key_value_heads
    shapes = {"model.embed_tokens.weight": [arguments.vocabulary, hidden]}
    for layer in range(arguments.layers):
        block = {
            "input_layernorm.weight": [hidden],
            "self_attn.q_proj.weight": [hidden, hidden],
            "self_attn.k_proj.weight": [key_value, hidden],
            "self_attn.v_proj.weight": [key_value, hidden],
            "self_attn.o_proj.weight": [hidden, hidden],
            "post_attention_layernorm.weight": [hidden],
            "mlp.gate_proj.weight": [intermediate, hidden],
            "mlp.up_proj.weight": [intermediate, hidden],
            "mlp.down_proj.weight": [hidden, intermediate],
        }
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in block.items()}
    shapes["model.norm.weight"] = [hidden]
    shapes["lm_head.weight"] = [arguments.vocabulary, hidden]
    return shapes


def byte_count(shape: list[int]) -> int:
    return 2 * math.prod(shape)


def random_tensor(shape: list[int], generator: torch.Generator) -> torch.Tensor:
    """Weights scaled so that activations keep their size through the depth; gains near one."""
    tensor = torch.empty(shape, dtype=torch.bfloat16)
    if len(shape) == 1:
        return tensor.normal_(1.0, 0.1, generator=generator)
    return tensor.normal_(0.0, 1.0 / math.sqrt(shape[1]), generator=generator)


def split_into_shards(shapes: dict[str, list[int]], limit: int | None) -> list[dict[str, list[int]]]:
    """Fill files in order, each up to the limit, with at least one tensor in each."""
    shards: list[dict[str, list[int]]] = [{}]
    filled = 0
    for name, shape in shapes.items():
        size = byte_count(shape)
        if limit and shards[-1] and filled + size > limit:
            shards.append({})
            filled = 0
        shards[-1][name] = shape
        filled += size
    return shards


def write_shard(path: Path, shapes: dict[str, list[int]], generator: torch.Generator) -> None:
    """A safetensors file by hand: its library wants all tensors of a file in memory at once."""
    header: dict[str, dict] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, shape in shapes.items():
        end = offset + byte_count(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for shape in shapes.values():
            file.write(random_tensor(shape, generator).view(torch.uint16).numpy().data)


def write_weights(arguments: argparse.Namespace) -> int:
    generator = torch.Generator().manual_seed(arguments.seed)
    shards = split_into_shards(tensor_shapes(arguments), arguments.shard_size)
    total = sum(byte_count(shape) for shard in shards for shape in shard.values())
    if len(shards) == 1:
        write_shard(arguments.output / "model.safetensors", shards[0], generator)
        return total
    weight_map = {}
    for number, shard in enumerate(shards, start=1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        write_shard(arguments.output / name, shard, generator)
        weight_map |= dict.fromkeys(shard, name)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    write_json(arguments.output / "model.safetensors.index.json", index)
    return total


def write_tokenizer(output: Path) -> None:
    """Byte-level without merges: every text has ids, which is all that a benchmark on random weights can use."""
    tokens = ["<unk>", "<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(tokens[:3])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.save(str(output / "tokenizer.json"), pretty=False)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    write_json(output / "tokenizer_config.json", settings)


def write_samples(path: Path, vocabulary: int) -> None:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, vocabulary, (SAMPLES, TOKENS_PER_SAMPLE), generator=generator)
    with path.open("w", encoding="utf-8") as file:
        for row in ids.tolist():
            file.write(json.dumps({"input_ids": row}) + "\n")


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    arguments = parse_arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    write_json(arguments.output / "config.json", configuration(arguments))
    write_tokenizer(arguments.output)
    write_samples(arguments.output / "input_ids.jsonl", arguments.vocabulary)
    total = write_weights(arguments)
    print(f"{arguments.output}: {total // 2} parameters, {total} bytes")


if __name__ == "__main__":
    main()
