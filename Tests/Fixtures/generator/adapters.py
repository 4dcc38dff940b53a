"""Adapters as PEFT writes them, and the tensors of the models that PEFT's merge_and_unload makes of them.

Each is an adapter of a checkpoint beside it or of the trained family. `merged.safetensors` holds every tensor that PEFT
changed, in the base's type: PEFT rounds s·B·A to that type before it adds and rounds again, where Recall rounds once.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from checkpoints import write_json
from weights import named_noise

FAMILY = Path(__file__).resolve().parents[3] / "Benchmarks/continual/family"


@dataclass
class Case:
    """An adapter: its base, PEFT's options, the type its tensors are stored in, and the expert it stands for."""

    base: str
    options: dict
    dtype: torch.dtype = torch.float32
    expert: str | None = None
    merges: bool = True


ALL_MAPS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

CASES = {
    # The everyday case: two maps by their last names.
    "llama-plain": Case("llama-3.1", dict(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"])),
    # A float32 base, so that nothing hides in the rounding; every rule about names at once.
    "llama-patterns": Case(
        "llama-2",
        dict(
            r=4, lora_alpha=6, target_modules=r".*\.(q_proj|o_proj|gate_proj|down_proj)", use_rslora=True,
            rank_pattern={"down_proj": 3, r"^model\.layers\.0\.self_attn\.q_proj": 2},
            alpha_pattern={r"layers\.1\.mlp\.gate_proj": 10, "o_proj": 5},
            exclude_modules=["layers.2.self_attn.o_proj"],
        ),
    ),
    # Factors of 16 bits, some blocks only.
    "llama-some-blocks": Case(
        "llama-3.1", dict(r=3, lora_alpha=3, target_modules=ALL_MAPS, layers_to_transform=[0, 2]), dtype=torch.bfloat16
    ),
    # Embedding and head by factors, of their own rank.
    "llama-embedding": Case(
        "llama-3.1",
        dict(r=4, lora_alpha=8, target_modules=["embed_tokens", "lm_head", "v_proj"], rank_pattern={"lm_head": 2}),
    ),
    # Embedding and head trained whole.
    "llama-saved": Case(
        "llama-2", dict(r=2, lora_alpha=4, target_modules=["up_proj"], modules_to_save=["embed_tokens", "lm_head"])
    ),
    # Biases, and a head that is tied to the embedding.
    "qwen2-biases": Case("qwen2", dict(r=4, lora_alpha=16, target_modules=["q_proj", "k_proj", "o_proj"], bias="lora_only")),
    "qwen2-tied": Case("qwen2", dict(r=4, lora_alpha=4, target_modules=["embed_tokens", "down_proj"], use_rslora=True)),
    # What the experts of the trained family learned, as far as rank 4 holds it.
    **{
        f"family-{task}": Case(
            "family", dict(r=4, lora_alpha=4, target_modules=ALL_MAPS), dtype=torch.bfloat16, expert=f"expert-{task}",
            merges=task == "sentiment",
        )
        for task in ["sentiment", "extractive-qa", "translation", "reading-choice", "medical-choice"]
    },
    # Kinds that are refused by name.
    "dora": Case("llama-3.1", dict(r=2, lora_alpha=2, target_modules=["q_proj"], use_dora=True), merges=False),
}


def write_all(fixtures: Path) -> None:
    root = fixtures / "adapters"
    shutil.rmtree(root, ignore_errors=True)
    for name, case in CASES.items():
        write_adapter(root / name, case, base_directory(fixtures, case))


def base_directory(fixtures: Path, case: Case) -> Path:
    return FAMILY / "base" if case.base == "family" else fixtures / "checkpoints" / case.base


def write_adapter(directory: Path, case: Case, base: Path) -> None:
    torch.manual_seed(0)
    model = get_peft_model(load(base), LoraConfig(task_type="CAUSAL_LM", **case.options))
    expert = load_file(FAMILY / case.expert / "model.safetensors") if case.expert else None
    for key, tensor in model.named_parameters():
        if not tensor.requires_grad:
            continue
        with torch.no_grad():
            # Larger than a fine-tune's, so that no change is lost in 16 bits.
            tensor.add_(0.2 * named_noise(f"adapters/{directory.name}", key, tensor.shape).to(tensor.dtype))
    if expert:
        fit(model, expert)
    model.save_pretrained(directory)
    (directory / "README.md").unlink(missing_ok=True)
    settle(directory, case, base)
    if case.merges:
        write_merged(directory, case, base)


def load(base: Path):
    return AutoModelForCausalLM.from_pretrained(base, dtype="auto")


def fit(model, expert: dict[str, torch.Tensor]) -> None:
    """Sets the factors of every map to the best ones of their rank for the difference from the base to an expert."""
    for name, module in model.named_modules():
        if not hasattr(module, "lora_A"):
            continue
        weight = name.removeprefix("base_model.model.") + ".weight"
        change = (expert[weight].double() - module.base_layer.weight.double()).detach()
        left, sizes, right = torch.linalg.svd(change, full_matrices=False)
        rank = module.r["default"]
        root = sizes[:rank].sqrt()
        scale = module.scaling["default"]
        module.lora_B["default"].weight.data = ((left[:, :rank] * root) / scale).float()
        module.lora_A["default"].weight.data = (root[:, None] * right[:rank]).float()


def settle(directory: Path, case: Case, base: Path) -> None:
    """Stores the tensors in their type, and names the base without the place where the generator found it."""
    path = directory / "adapter_model.safetensors"
    tensors = {name: tensor.to(case.dtype).contiguous() for name, tensor in load_file(path).items()}
    save_file(tensors, path, metadata={"format": "pt"})
    configuration = json.loads((directory / "adapter_config.json").read_text())
    configuration["base_model_name_or_path"] = f"recall/{base.name}"
    for key in ["target_modules", "exclude_modules", "modules_to_save"]:
        if isinstance(configuration.get(key), list):
            configuration[key] = sorted(configuration[key])
    write_json(directory / "adapter_config.json", configuration)


def write_merged(directory: Path, case: Case, base: Path) -> None:
    before = load(base).state_dict()
    merged = PeftModel.from_pretrained(load(base), directory).merge_and_unload()
    after = merged.state_dict()
    changed = {
        name: tensor.contiguous().clone() for name, tensor in after.items() if not torch.equal(tensor, before[name])
    }
    if case.base == "family":
        # One block says it all and keeps the repository small.
        changed = {name: tensor for name, tensor in changed.items() if ".layers.3." in name}
    assert changed
    save_file(changed, directory / "merged.safetensors", metadata={"format": "pt"})
