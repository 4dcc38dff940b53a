"""Merges whose linear maps are solved for, in float64 and with transformers' own forward pass.

Every map of the merged model is solved in the order of the pass; what reaches it is caught by a hook while transformers
runs the model with the maps before it in place. (transformers norms and weighs attention in float32, so all is good to
about 1e-7.) RECALL weights come from `reference.py`.
"""

import copy
import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import reference
from checkpoints import expected_shapes, write_json
from representations import hidden_states, load
from weights import named_noise, random_weight

STAGES = [
    ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    ["self_attn.o_proj"],
    ["mlp.gate_proj", "mlp.up_proj"],
    ["mlp.down_proj"],
]
# Which lines of the siblings' samples are whose own. A model without any takes part by its change of weights alone.
CASES = {
    "llama": {
        "models": ["siblings/first", "siblings/second", "siblings/third"],
        "base": "siblings/base",
        "samples": {"siblings/first": [0, 4], "siblings/second": [1, 5], "siblings/third": [2, 3]},
        "alignShare": 0.9,
        "ridge": 0.005,
        "fitSteps": 10,
        "balance": "learned",
    },
    "qwen2": {
        "models": ["alignment/qwen2-expert", "checkpoints/qwen2-window"],
        "typicalFrom": "checkpoints/qwen2-window",
        "samples": {"alignment/qwen2-expert": [2, 3, 4]},
        "alignShare": 0.5,
        "ridge": 0.02,
        "fitSteps": 10,
    },
    "qwen3": {
        "models": ["alignment/qwen3-expert", "checkpoints/qwen3"],
        "base": "checkpoints/qwen3",
        "samples": {"alignment/qwen3-expert": [1, 4], "checkpoints/qwen3": [5]},
        "alignShare": 0.9,
        "ridge": 0.005,
        "fitSteps": 8,
    },
    "wide": {
        "models": ["alignment/wide-base", "alignment/wide-expert"],
        "base": "alignment/wide-base",
        "samples": {"alignment/wide-expert": [0, 3], "alignment/wide-base": [2]},
        "alignShare": 0.9,
        "ridge": 0.005,
        "fitSteps": 6,
    },
    "samples-only": {
        "models": ["alignment/qwen2-expert", "checkpoints/qwen2-window"],
        "base": "checkpoints/qwen2-window",
        "samples": {"alignment/qwen2-expert": [0], "checkpoints/qwen2-window": [1]},
        "alignShare": 1.0,
        "ridge": 0.1,
        "fitSteps": 0,
        "scale": 1.5,
        "balance": "learned",
    },
    "regression-mean": {
        "method": "regmean",
        "models": ["alignment/qwen2-expert", "checkpoints/qwen2-window"],
        "samples": {"alignment/qwen2-expert": [3, 4], "checkpoints/qwen2-window": [5]},
    },
}
# RegMean's scale of what is off the diagonal, and our ridge towards the mean in units of the mean diagonal.
OFF_DIAGONAL, REGRESSION_RIDGE = 0.9, 1e-5
# The norms before what each map is added to the residual stream: their inputs are the stream.
NORM_BEFORE = {"self_attn.o_proj": "input_layernorm", "mlp.down_proj": "post_attention_layernorm"}
# Of the search for what every model's samples count: what is added to a loss before the first step, what a weight is probed
# with, how far the probes are trusted and what distance costs, and a loss that is as good as none.
FIRST_FLOOR, PROBE, TRUST, CAUTION, NEGLIGIBLE = 0.1, 1.6, 2.5, 0.2, 0.01

# How often a merge is made again with inputs that are off by as much as float32 rounds.
PERTURBATIONS = 8

# Maps whose outputs meet, fitted together after they are solved for: what a change as large as the outputs costs, the hidden
# units at a time, and of the descent how many steps are remembered, what it takes for a step, and when it is over.
PAIRS = {"self_attn.q_proj": "self_attn.k_proj", "mlp.gate_proj": "mlp.up_proj"}
FIT_CAUTION, UNITS = 0.01, 512
REMEMBERED, PROMISE, FIRST_SHARE, NOTHING, LAST_GAIN = 5, 1e-4, 0.2, 1e-6, 1e-3


def write_all(fixtures: Path) -> None:
    root = fixtures / "alignment"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    write_expert(fixtures / "checkpoints/qwen2-window", root / "qwen2-expert")
    write_expert(fixtures / "checkpoints/qwen3", root / "qwen3-expert")
    write_wide(fixtures / "siblings/base", root / "wide-base")
    write_expert(root / "wide-base", root / "wide-expert")
    write_json(root / "cases.json", CASES)
    spread = {}
    for name, case in CASES.items():
        merged = merge(fixtures, case)
        save_file({key: tensor.float().contiguous() for key, tensor in merged.items()}, root / f"{name}.safetensors")
        spread[name] = spread_of(fixtures, case, merged)
    write_json(root / "spread.json", spread)


def spread_of(fixtures: Path, case: dict, merged: dict[str, torch.Tensor]) -> dict[str, float]:
    """How far every tensor moves, relative to its length, when all weights of the models are rounded to float32."""
    spread = dict.fromkeys(merged, 0.0)
    for noise in range(PERTURBATIONS):
        for name, tensor in merge(fixtures, case, noise).items():
            moved = float((tensor - merged[name]).norm() / merged[name].norm().clamp(min=1e-300))
            spread[name] = max(spread[name], moved)
    return {name: float(f"{moved:.2e}") for name, moved in spread.items()}


def write_wide(origin: Path, directory: Path) -> None:
    """One block with more hidden units than are fitted at a time, and biases on all of its maps."""
    shutil.copytree(origin, directory)
    configuration = json.loads((origin / "config.json").read_text(encoding="utf-8")) | {
        "hidden_size": 16, "intermediate_size": UNITS + 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "attention_bias": True, "mlp_bias": True, "torch_dtype": "float32",
    }
    write_json(directory / "config.json", configuration)
    weights = {
        name: random_weight(directory.name, name, shape) for name, shape in expected_shapes(configuration).items()
    }
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})


def write_expert(origin: Path, directory: Path) -> None:
    shutil.copytree(origin, directory)
    weights = {
        name: (tensor.float() * (1 + 0.3 * named_noise(directory.name, name, tensor.shape))).to(tensor.dtype)
        for name, tensor in load_file(origin / "model.safetensors").items()
    }
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})


@torch.no_grad()
def merge(fixtures: Path, case: dict, noise: int | None = None) -> dict[str, torch.Tensor]:
    """All parameters of a merge; with a number of noise, of models whose every weight is rounded."""
    lines = (fixtures / "siblings/samples.input_ids.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["input_ids"] for line in lines]
    names = sorted(case["models"])
    models = [AutoModelForCausalLM.from_pretrained(
        fixtures / name, dtype=torch.float64, attn_implementation="eager").eval() for name in names]
    for path, model in zip(names, models):
        for name, parameter in model.named_parameters():
            parameter.copy_(rounded(parameter, Path(path).name, name, noise))
    own_samples = [[texts[line] for line in case["samples"].get(name, [])] for name in names]
    is_regression = case.get("method") == "regmean"
    weights = (
        np.full((len(models[0].model.layers) + 2, len(models)), 1 / len(models)) if is_regression
        else recall_weights(fixtures, case, names, [ids for samples in own_samples for ids in samples])
    )
    experts = [dict(model.named_parameters()) for model in models]
    fused = {
        name: sum(weights[layer_of(name, len(weights)), i] * expert[name] for i, expert in enumerate(experts))
        for name in experts[0]
    }
    base = load_double(fixtures / case["base"], noise) if "base" in case else {
        name: sum(expert[name] for expert in experts) / len(experts) for name in experts[0]
    }
    if "base" in case:
        scale = case.get("scale", len(models))
        fused = {name: base[name] + scale * (tensor - base[name]) for name, tensor in fused.items()}
    if is_regression:
        return solved(case, models, own_samples, experts, base, fused, balance=[])[0]
    everything = (case, models, own_samples, experts, base, fused)
    if case.get("balance") != "learned":
        return solved(*everything, np.ones(len(models)))[0]
    before = copy.deepcopy(models[0])
    before.load_state_dict(base, strict=False)
    return solved(*everything, found_balance(*everything, before))[0]


def found_balance(case, models, own_samples, experts, base, fused, before) -> np.ndarray:
    """What every model's samples count, so that as few as possible of the learned tokens are lost of texts not fitted to."""
    groups = [
        number for number, samples in enumerate(own_samples)
        if any((learned(models[number], before, text) > 0).any() for text in samples)
    ]
    if len(groups) < 2:
        return np.ones(len(models))

    def weights_of(values: np.ndarray) -> np.ndarray:
        weights = np.ones(len(models))
        weights[groups] = values / values.mean()
        return weights

    def trial(values: np.ndarray) -> np.ndarray:
        lost = np.zeros(len(groups))
        for fold in (0, 1):
            halves = [
                samples if len(samples) < 2 else [text for place, text in enumerate(samples) if place % 2 == fold]
                for samples in own_samples
            ]
            merged = solved(case, models, halves, experts, base, fused, weights_of(values))[1]
            for place, group in enumerate(groups):
                texts = own_samples[group]
                held_out = texts if len(texts) < 2 else texts[1 - fold :: 2]
                lost[place] += sum(
                    lost_tokens(models[group], before, merged, text) for text in held_out) / len(held_out) / 2
        return lost

    equal = np.ones(len(groups))
    lost = trial(equal)
    first = np.sqrt(lost / lost.mean() + FIRST_FLOOR)
    first /= first.mean()
    lost_first = trial(first)
    responses = np.zeros((len(groups), len(groups)))
    for place in range(len(groups)):
        factor = PROBE if lost_first[place] >= lost_first.mean() else 1 / PROBE
        probed = first.copy()
        probed[place] *= factor
        responses[place] = np.log((trial(probed) + NEGLIGIBLE) / (lost_first + NEGLIGIBLE)) / np.log(factor)
    steps = np.zeros(len(groups))
    rate = min(0.05, 1 / (CAUTION + 2 * (responses**2).sum(axis=0).max()))
    for _ in range(4000):
        expected = (lost_first + NEGLIGIBLE) * np.exp(responses.T @ steps)
        steps -= rate * (responses @ expected / (lost_first + NEGLIGIBLE).sum() + CAUTION * steps)
        steps = np.clip(steps - steps.mean(), -np.log(TRUST), np.log(TRUST))
    last = first * np.exp(steps)
    tried = [(lost.sum(), equal), (lost_first.sum(), first), (trial(last).sum(), last)]
    return weights_of(min(tried, key=lambda entry: entry[0])[1])


def lost_tokens(expert, before, merged, text: list[int]) -> float:
    """Of the tokens that the expert gives more probability than what it came from, how many the merged model has lost."""
    lost = (probabilities(expert, text) - probabilities(merged, text)).clamp(min=0)
    return float((learned(expert, before, text) * lost).sum())


def learned(expert, before, text: list[int]) -> torch.Tensor:
    """How much more probability the expert gives every token but the first than what it came from."""
    return (probabilities(expert, text) - probabilities(before, text)).clamp(min=0)


def probabilities(model, text: list[int]) -> torch.Tensor:
    logits = model(input_ids=torch.tensor([text]), use_cache=False).logits[0, :-1].double()
    return logits.softmax(dim=-1)[torch.arange(len(text) - 1), torch.tensor(text[1:])]


def solved(case, models, own_samples, experts, base, fused, balance) -> tuple[dict[str, torch.Tensor], torch.nn.Module]:
    """All parameters, solved in the order of the pass, and the model that they make."""
    is_regression = case.get("method") == "regmean"
    merged = copy.deepcopy(models[0])
    parameters = dict(merged.named_parameters())
    for name, tensor in fused.items():
        parameters[name].copy_(tensor)
    blocks = len(merged.model.layers)
    systems = {}
    groups = [[f"model.layers.{block}.{name}" for name in stage] for block in range(blocks) for stage in STAGES]
    for group in [*groups, ["lm_head"]]:
        paths = models if is_regression else [merged] * len(models)
        inputs = [caught(path, group, samples)[0] for path, samples in zip(paths, own_samples)]
        outputs = [caught(model, group, samples)[1] for model, samples in zip(models, own_samples)]
        share = 0.0 if group == ["lm_head"] and case.get("alignShare") != 1 else case.get("alignShare")
        norm = next((group[0].replace(name, norm) for name, norm in NORM_BEFORE.items() if name in group[0]), None)
        for module in group:
            name = f"{module}.weight"
            matrices = [expert[name] for expert in experts]
            if is_regression:
                parameters[name].copy_(regression_mean(matrices, inputs, [len(samples) for samples in own_samples]))
                continue
            wanted = [output.get(module) for output in outputs]
            if norm:
                wanted = [
                    output if output is None else output + caught(model, [norm], samples)[0]
                    - caught(merged, [norm], samples)[0]
                    for output, model, samples in zip(wanted, models, own_samples)
                ]
            solution, systems[name], gram = solve(
                matrices, base[name], fused[name], inputs, wanted, balance, share, case["ridge"])
            parameters[name].copy_(solution)
        second = next((group[0].replace(name, other) for name, other in PAIRS.items() if name in group[0]), None)
        if second and case.get("fitSteps") and gram is not None:
            pair = [f"{group[0]}.weight", f"{second}.weight"]
            fit(case, models, merged, own_samples, balance, group[0], pair, [systems[name] for name in pair], gram)
    return {name: tensor.detach() for name, tensor in parameters.items()}, merged


def load_double(path: Path, noise: int | None) -> dict[str, torch.Tensor]:
    tensors = load_file(path / "model.safetensors")
    return {name: rounded(tensor.double(), path.name, name, noise) for name, tensor in tensors.items()}


def rounded(tensor: torch.Tensor, model: str, name: str, noise: int | None) -> torch.Tensor:
    """Values that are off by 2^-24 of each, up or down: the most that rounding to float32 does. Without noise as they are."""
    if noise is None:
        return tensor
    return tensor * (1 + 2.0**-24 * named_noise(f"{model}-{noise}", name, tensor.shape).double().sign())


def layer_of(name: str, layers: int) -> int:
    if name.startswith("model.embed_tokens"):
        return 0
    return 1 + int(name.split(".")[2]) if name.startswith("model.layers.") else layers - 1


def recall_weights(fixtures: Path, case: dict, names: list[str], samples: list[list[int]]) -> np.ndarray:
    """[layers, models], by the defaults: the reference's own median gives σ, and no model is the anchor."""
    def states(name: str) -> np.ndarray:
        model = load(fixtures / name)
        return torch.stack([hidden_states(model, ids).double().mean(dim=1) for ids in samples], dim=1).numpy()

    all_states = np.stack([states(name) for name in names])
    selecting = states(case.get("base", case.get("typicalFrom")))
    squared = reference.squared_bandwidths(selecting[None], "relative", "anchor-median", 0)
    similarity = reference.similarities(reference.model_distances(all_states, "relative"), squared)
    return reference.softmax_weights(reference.scores_without_anchor(similarity), 1.0)


def caught(model: torch.nn.Module, modules: list[str], samples: list[list[int]]) -> tuple:
    """What reaches the modules, [tokens, in], and what each puts out without its bias, [tokens, out]; of no samples, None."""
    inputs, outputs = [], {}
    handles = []
    for number, name in enumerate(modules):
        module = model.get_submodule(name)

        def catch(module, arguments, output, name=name, number=number):
            if number == 0:
                inputs.append(arguments[0][0].clone())
            bias = getattr(module, "bias", None)
            bias = 0 if bias is None else bias
            outputs.setdefault(name, []).append((output - bias)[0].clone())

        handles.append(module.register_forward_hook(catch))
    for ids in samples:
        model(input_ids=torch.tensor([ids]), use_cache=False)
    for handle in handles:
        handle.remove()
    if not samples:
        return None, {}
    return torch.cat(inputs), {name: torch.cat(output) for name, output in outputs.items()}


def solve(
    experts: list[torch.Tensor], base: torch.Tensor, fused: torch.Tensor, inputs: list, outputs: list,
    balance: np.ndarray, share: float, ridge: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    """W of (A Wᵀ = B), as the formula reads; A, and the part of it that samples make up, if any do."""
    width = fused.shape[1]
    pairs = [(v, x, y) for v, x, y in zip(balance, inputs, outputs) if x is not None]
    gram = sum(v * x.T @ x for v, x, _ in pairs)
    products = sum(v * x.T @ y for v, x, y in pairs)
    changes, images = torch.zeros(width, width).double(), torch.zeros_like(fused.T)
    for v, expert in zip(balance, experts):
        change = expert - base
        changes += v * change.T @ change
        images += v * change.T @ change @ expert.T
    a = gram.diagonal().mean()
    c = changes.diagonal().mean() if share < 1 and changes.any() else 1.0
    left = share / a * gram + (1 - share) / c * changes + ridge * torch.eye(width).double()
    right = share / a * products + (1 - share) / c * images + ridge * fused.T
    return torch.linalg.solve(left, right).T, left, share / a * gram if pairs else None


def fit(case, models, merged, own_samples, balance, module, names, systems, gram) -> None:
    """Fits two maps of the merged model together to what the experts make of theirs, by transformers' own forward passes."""
    block = int(module.split(".")[2])
    config = merged.config
    parameters = dict(merged.named_parameters())
    if "self_attn" in module:
        keys = config.num_key_value_heads
        shared = config.num_attention_heads // keys
        dimension = parameters[names[1]].shape[0] // keys
        pieces = [
            ((head * shared * dimension, (head + 1) * shared * dimension), (head * dimension, (head + 1) * dimension))
            for head in range(keys)
        ]
    else:
        units = parameters[names[0]].shape[0]
        pieces = [((first, min(first + UNITS, units)),) * 2 for first in range(0, units, UNITS)]

    def seen(model, ids: list[int], rows: tuple[int, int]) -> torch.Tensor:
        """Where the heads look, [heads, tokens, tokens], or what the units are, [tokens, units]."""
        if "self_attn" in module:
            patterns = model(input_ids=torch.tensor([ids]), use_cache=False, output_attentions=True).attentions[block][0]
            return patterns[rows[0] // dimension : rows[1] // dimension].double()
        caught_units = []
        handle = model.get_submodule(module.replace("gate_proj", "down_proj")).register_forward_pre_hook(
            lambda _, arguments: caught_units.append(arguments[0][0]))
        model(input_ids=torch.tensor([ids]), use_cache=False)
        handle.remove()
        return caught_units[0][:, rows[0] : rows[1]]

    for piece in pieces:
        samples = [(v, ids, seen(model, ids, piece[0]))
                   for v, model, own in zip(balance, models, own_samples) for ids in own]
        if "self_attn" in module:
            whole = sum(v * len(ids) for v, ids, _ in samples) * shared
        else:
            whole = sum(v * (wanted**2).sum() for v, _, wanted in samples)

        def mismatch() -> torch.Tensor:
            total = 0.0
            for v, ids, wanted in samples:
                got = seen(merged, ids, piece[0])
                if "self_attn" in module:
                    where = wanted > 0
                    total = total + v * (wanted[where] * (wanted[where].log() - got[where].log())).sum()
                else:
                    total = total + v * ((got - wanted) ** 2).sum()
            return total / whole

        solved_rows = [parameters[name][slice(*rows)].detach().clone() for name, rows in zip(names, piece)]
        factors = [torch.linalg.cholesky(system) for system in systems]
        lengths = [
            torch.sqrt(((rows @ gram) * rows).sum() / FIT_CAUTION) for rows in solved_rows
        ]
        sizes = [len(rows) for rows in solved_rows]

        def place(point: torch.Tensor) -> None:
            for name, rows, solved_part, part, factor, length in zip(
                    names, piece, solved_rows, point.split(sizes), factors, lengths):
                step = torch.linalg.solve_triangular(factor, part, upper=False, left=False)
                with torch.no_grad():
                    parameters[name][slice(*rows)] = solved_part + length * step

        def function(point: torch.Tensor) -> tuple[float, torch.Tensor]:
            place(point)
            with torch.enable_grad():
                found = mismatch()
                gradients = torch.autograd.grad(found, [parameters[name] for name in names])
            slopes = [
                length * torch.linalg.solve_triangular(factor.T, gradient[slice(*rows)], upper=True, left=False)
                for gradient, rows, factor, length in zip(gradients, piece, factors, lengths)
            ]
            return float(found + (point * point).sum()), torch.cat(slopes) + 2 * point

        place(descend(function, torch.zeros_like(torch.cat(solved_rows)), case["fitSteps"]))


def descend(function, point: torch.Tensor, evaluations: int) -> torch.Tensor:
    """Limited-memory BFGS with steps that are halved until the function falls as its slope promises."""
    value, gradient = function(point)
    evaluations -= 1
    steps: list[tuple[torch.Tensor, torch.Tensor]] = []
    while evaluations > 0 and value > NOTHING:
        direction, factors = gradient.clone(), []
        for step, change in reversed(steps):
            factors.append((step * direction).sum() / (step * change).sum())
            direction -= factors[-1] * change
        if steps:
            direction *= (steps[-1][0] * steps[-1][1]).sum() / (steps[-1][1] ** 2).sum()
        else:
            direction *= FIRST_SHARE * value / (gradient**2).sum()
        for (step, change), factor in zip(steps, reversed(factors)):
            direction += (factor - (change * direction).sum() / (step * change).sum()) * step
        slope, length, accepted = float((gradient * direction).sum()), 1.0, None
        if not slope > 0:
            break
        while evaluations > 0 and accepted is None:
            trial = point - length * direction
            found = function(trial)
            evaluations -= 1
            if found[0] <= value - PROMISE * length * slope:
                accepted = trial, *found
            length /= 2
        if accepted is None:
            break
        if ((accepted[0] - point) * (accepted[2] - gradient)).sum() > 0:
            steps = [*steps, (accepted[0] - point, accepted[2] - gradient)][-REMEMBERED:]
        gain = value - accepted[1]
        point, value, gradient = accepted
        if gain < LAST_GAIN * value:
            break
    return point


def regression_mean(experts: list[torch.Tensor], inputs: list[torch.Tensor], samples: list[int]) -> torch.Tensor:
    """(Σ Ĝ)⁻¹ Σ Ĝ W, with a ridge that holds directions of no sample at the mean."""
    width = experts[0].shape[1]
    shrink = torch.full((width, width), OFF_DIAGONAL).double().fill_diagonal_(1.0)
    grams = [x.T @ x / count * shrink for x, count in zip(inputs, samples)]
    total = sum(grams)
    ridge = REGRESSION_RIDGE * total.diagonal().mean()
    left = total + ridge * torch.eye(width).double()
    right = sum(gram @ expert.T for gram, expert in zip(grams, experts)) + ridge * sum(experts).T / len(experts)
    return torch.linalg.solve(left, right).T
