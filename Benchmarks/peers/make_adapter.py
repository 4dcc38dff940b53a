"""Write a LoRA adapter of random bfloat16 factors for all seven maps of every block of a Llama checkpoint.

    python Benchmarks/peers/make_adapter.py OUT --base BASE [--rank 16] [--seed 0]

OUT receives what PEFT would save. One pair of factors is drawn at a time; further seeds give further adapters.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--base", type=Path, required=True, help="what make_llama.py wrote")
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def maps(configuration: dict) -> dict[str, tuple[int, int]]:
    """Outputs and inputs of the maps of a block."""
    hidden, intermediate = configuration["hidden_size"], configuration["intermediate_size"]
    key_value = hidden // configuration["num_attention_heads"] * configuration["num_key_value_heads"]
    return {
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (key_value, hidden),
        "self_attn.v_proj": (key_value, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (intermediate, hidden),
        "mlp.up_proj": (intermediate, hidden),
        "mlp.down_proj": (hidden, intermediate),
    }


def main() -> None:
    arguments = parse_arguments()
    configuration = json.loads((arguments.base / "config.json").read_text())
    generator = torch.Generator().manual_seed(arguments.seed)
    tensors = {}
    for block in range(configuration["num_hidden_layers"]):
        for name, (outputs, inputs) in maps(configuration).items():
            prefix = f"base_model.model.model.layers.{block}.{name}"
            factor = torch.randn(arguments.rank, inputs, generator=generator) / inputs**0.5
            tensors[f"{prefix}.lora_A.weight"] = factor.to(torch.bfloat16)
            factor = 0.02 * torch.randn(outputs, arguments.rank, generator=generator)
            tensors[f"{prefix}.lora_B.weight"] = factor.to(torch.bfloat16)
    arguments.output.mkdir(parents=True, exist_ok=True)
    save_file(tensors, arguments.output / "adapter_model.safetensors", metadata={"format": "pt"})
    (arguments.output / "adapter_config.json").write_text(
        json.dumps(
            {
                "peft_type": "LORA",
                "base_model_name_or_path": arguments.base.resolve().name,
                "r": arguments.rank,
                "lora_alpha": 2 * arguments.rank,
                "target_modules": [name.split(".")[1] for name in maps(configuration)],
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
