"""Writes Tests/Fixtures/mergekit: a tiny base, three experts, and what mergekit makes of them by the methods that Recall has too.

    python -m venv oracle && oracle/bin/pip install -r Benchmarks/peers/requirements-mergekit.txt
    oracle/bin/python Tests/Generators/mergekit_goldens.py
"""

import json
import os
import shutil

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from mergekit.config import MergeConfiguration
from mergekit.merge import MergeOptions, run_merge
from safetensors.torch import load_file, save_file

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "Fixtures", "mergekit")
WIDTH, INNER, LAYERS, HEADS, VOCABULARY = 16, 24, 2, 2, 37
CONFIGURATION = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": WIDTH, "intermediate_size": INNER,
    "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "vocab_size": VOCABULARY,
    "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "tie_word_embeddings": False, "hidden_act": "silu",
    "torch_dtype": "float32",
}
EXPERTS = ["a", "b", "c"]


def shapes():
    yield "model.embed_tokens.weight", (VOCABULARY, WIDTH)
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        for name in ["q", "k", "v", "o"]:
            yield f"{prefix}self_attn.{name}_proj.weight", (WIDTH, WIDTH)
        yield f"{prefix}mlp.gate_proj.weight", (INNER, WIDTH)
        yield f"{prefix}mlp.up_proj.weight", (INNER, WIDTH)
        yield f"{prefix}mlp.down_proj.weight", (WIDTH, INNER)
        yield f"{prefix}input_layernorm.weight", (WIDTH,)
        yield f"{prefix}post_attention_layernorm.weight", (WIDTH,)
    yield "model.norm.weight", (WIDTH,)
    yield "lm_head.weight", (VOCABULARY, WIDTH)


def write_model(name, tensors):
    path = os.path.join(FOLDER, name)
    os.makedirs(path)
    save_file(tensors, os.path.join(path, "model.safetensors"), metadata={"format": "pt"})
    with open(os.path.join(path, "config.json"), "w") as file:
        json.dump(CONFIGURATION, file, indent=2)
        file.write("\n")


def write_models():
    """Random float32 numbers, so that no two changes are equally large; `c` points elsewhere, so that slerp has an arc."""
    generator = torch.Generator().manual_seed(11)
    base = {name: torch.randn(shape, generator=generator) * 0.1 for name, shape in shapes()}
    write_model("base", base)
    for expert in EXPERTS:
        step = 0.2 if expert == "c" else 0.02
        change = {name: torch.randn(shape, generator=generator) * step for name, shape in shapes()}
        write_model(expert, {name: base[name] + change[name] for name in base})


def cases():
    weights = {"a": 0.6, "b": -0.3, "c": 0.9}
    recall_models = [word for name, weight in weights.items() for word in ["--model", name, "--weight", str(weight)]]

    def changes(method, name, parameters, options, density=None):
        own = {} if density is None else {"density": density}
        models = [{"model": model, "parameters": {"weight": weight, **own}} for model, weight in weights.items()]
        return (
            f"{method}-{name}",
            {"merge_method": method.replace("-", "_"), "base_model": "base", "models": models, "parameters": parameters},
            ["--method", method, "--base", "base"] + recall_models + options)

    models = [{"model": model, "parameters": {"weight": weight}} for model, weight in weights.items()]
    yield "linear", {"merge_method": "linear", "models": models}, ["--method", "linear"] + recall_models
    yield (
        "linear-plain", {"merge_method": "linear", "models": models, "parameters": {"normalize": False}},
        ["--method", "linear", "--normalize", "false"] + recall_models)
    yield changes("task-arithmetic", "default", {}, [])
    yield changes("task-arithmetic", "scaled", {"lambda": 0.7}, ["--scale", "0.7"])
    yield changes("task-arithmetic", "mean", {"normalize": True}, ["--normalize", "true"])
    yield changes("ties", "default", {}, [])
    for density in [0.001, 0.2, 0.53]:
        yield changes("ties", density, {"lambda": 1.3}, ["--scale", "1.3", "--density", str(density)], density)
    yield changes("ties", "sum", {"normalize": False}, ["--normalize", "false", "--density", "0.4"], 0.4)
    yield changes("dare-linear", "all", {}, [])
    yield changes("dare-ties", "all", {"lambda": 0.7}, ["--scale", "0.7"])
    for first, second in [("a", "c"), ("b", "a")]:
        for t in [0.25, 0.8]:
            yield (
                f"slerp-{first}{second}-{t}",
                {"merge_method": "slerp", "base_model": first, "models": [{"model": first}, {"model": second}],
                 "parameters": {"t": t}},
                ["--method", "slerp", "--model", first, "--model", second, "--t", str(t)])


def with_paths(entries):
    return {key: f"./{value}" if key in ("model", "base_model") else value for key, value in entries.items()}


def main():
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.makedirs(os.path.join(FOLDER, "expected"))
    write_models()
    os.chdir(FOLDER)
    listed = []
    for name, configuration, options in cases():
        # mergekit looks for a bare name on the hub.
        configuration = json.loads(json.dumps(configuration), object_hook=with_paths)
        run_merge(
            MergeConfiguration.model_validate({**configuration, "dtype": "float32"}), "merged",
            options=MergeOptions(quiet=True, copy_tokenizer=False))
        os.makedirs(f"expected/{name}")
        save_file(load_file("merged/model.safetensors"), f"expected/{name}/model.safetensors")
        shutil.rmtree("merged")
        listed.append({"name": name, "arguments": options})
    with open("cases.json", "w") as file:
        json.dump(listed, file, indent=1)
        file.write("\n")


main()
