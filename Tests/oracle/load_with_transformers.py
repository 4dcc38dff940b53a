"""Judge a merged checkpoint by other people's programs.

    python Tests/oracle/load_with_transformers.py OUT [OUT ...] [--model PATH ...]

Every OUT must load with transformers without a missing or an unexpected key, write a few tokens, and hold in every tensor the
weighted sum that its own recall.json promises, to one rounding of the stored type. The inputs are read from the paths in
recall.json; `--model` names where they lie now, matched by path or else by directory name. What an adapter makes of its base
is asked of PEFT, in float64. Prints one line per OUT; the exit status is 1 on any failure, and standard error says which.

Needs what requirements.txt beside this file pins.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer

FLOAT_TYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
HEAD = "lm_head.weight"
EMBEDDING = "model.embed_tokens.weight"
BLOCK = re.compile(r"model\.layers\.(\d+)\.")
# The entry of recall.json for methods that know no layers.
WHOLE = "all"


class Checkpoint:
    """The tensors of one directory by name, with or without an index. Nothing is read before it is asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.files: dict[str, Path] = {}
        self.formats: dict[str, str | None] = {}
        for path in sorted(directory.glob("*.safetensors")):
            with safe_open(path, "pt") as file:
                self.files |= {name: path for name in file.keys()}
                self.formats[path.name] = (file.metadata() or {}).get("format")
        if not self.files:
            raise FileNotFoundError(f"no tensors in {directory}")

    def __contains__(self, name: str) -> bool:
        return name in self.files

    def tensor(self, name: str) -> torch.Tensor:
        with safe_open(self.files[name], "pt") as file:
            return file.get_tensor(name)

    def error(self, name: str) -> torch.Tensor | float:
        """How far what was merged may be from `tensor`: nothing, it is read as it is stored."""
        return 0.0

    @property
    def stored(self) -> "Checkpoint":
        """Where files and tensors that are not merged come from."""
        return self


class AdaptedModel:
    """A base with a LoRA adapter, merged by PEFT in float64 so that nothing is rounded before the judge looks."""

    def __init__(self, adapter: Path, base: Path) -> None:
        self.stored = Checkpoint(base)
        model = self.load(adapter, base)
        configuration = model.peft_config["default"]
        self.rank = max([configuration.r, *configuration.rank_pattern.values()])
        self.tensors = model.merge_and_unload().state_dict()
        # |W| + |s| |B| |A|: what the errors of the sum in float32 are in proportion to.
        model = self.load(adapter, base)
        for parameter in model.parameters():
            parameter.data.abs_()
        self.sizes = model.merge_and_unload().state_dict()

    @staticmethod
    def load(adapter: Path, base: Path) -> PeftModel:
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float64)
        return PeftModel.from_pretrained(model, adapter).to(torch.float64)

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def tensor(self, name: str) -> torch.Tensor:
        return self.tensors[name]

    def error(self, name: str) -> torch.Tensor | float:
        """An adapted tensor is summed in float32 and rounded once, to the type of its base, before it is merged."""
        tensor = self.tensors[name]
        original = self.stored.tensor(name if name in self.stored else EMBEDDING)
        # A rounding for each of the products and sums, for s, and for the sum with W.
        summed = (2 * self.rank + 2) * 2.0**-24 * self.sizes[name]
        error = summed + half_unit(tensor.abs() + summed, original.dtype)
        return torch.where(tensor == original.double(), torch.zeros_like(tensor), error)


class Judge:
    """Collects every failure instead of stopping at the first one."""

    def __init__(self, output: Path, moved: list[Path]) -> None:
        self.output = output
        self.moved = moved
        self.failures: list[str] = []
        self.remarks: list[str] = []
        self.checkpoint = Checkpoint(output)
        self.configuration = json.loads((output / "config.json").read_text(encoding="utf-8"))
        self.tied = self.configuration.get("tie_word_embeddings", False)

    def require(self, condition: bool, failure: str) -> None:
        if not condition:
            self.failures.append(failure)

    def judge(self) -> None:
        self.judge_files()
        self.judge_loading()
        path = self.output / "recall.json"
        if path.exists():
            self.judge_report(json.loads(path.read_text(encoding="utf-8")))
        else:
            self.failures.append("there is no recall.json")

    def judge_files(self) -> None:
        """What readers other than transformers rely on: the format entry, the index, its total size."""
        for file, stated in self.checkpoint.formats.items():
            self.require(stated == "pt", f"{file} states the format {stated!r}, not 'pt'")
        index_path = self.output / "model.safetensors.index.json"
        if not index_path.exists():
            self.require(len(self.checkpoint.formats) == 1, "several weight files and no index")
            return
        index = json.loads(index_path.read_text(encoding="utf-8"))
        actual = {name: path.name for name, path in self.checkpoint.files.items()}
        self.require(index["weight_map"] == actual, "the index does not match the files")
        size = sum(self.checkpoint.tensor(name).nbytes for name in actual)
        stated = index["metadata"]["total_size"]
        self.require(stated == size, f"the index states {stated} bytes of tensors, there are {size}")

    def judge_loading(self) -> None:
        model, loading = AutoModelForCausalLM.from_pretrained(self.output, dtype="auto", output_loading_info=True)
        for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
            self.require(not loading[kind], f"{kind}: {sorted(map(str, loading[kind]))}")
        if self.tied:
            shared = model.get_input_embeddings().weight is model.get_output_embeddings().weight
            self.require(shared, "the head is not tied to the embedding")
            if HEAD in self.checkpoint:
                same = torch.equal(self.checkpoint.tensor(HEAD), self.checkpoint.tensor(EMBEDDING))
                self.require(same, "the stored head is not the embedding that it is tied to")
        self.judge_generation(model.eval())

    @torch.no_grad()
    def judge_generation(self, model: torch.nn.Module) -> None:
        tokenizer = AutoTokenizer.from_pretrained(self.output)
        prompt = tokenizer("the quick brown fox", return_tensors="pt", return_token_type_ids=False)
        logits = model(**prompt).logits
        self.require(bool(torch.isfinite(logits).all()), "logits are not finite")
        length = prompt.input_ids.shape[1]
        written = model.generate(
            **prompt, max_new_tokens=5, min_new_tokens=5, do_sample=False, pad_token_id=tokenizer.pad_token_id or 0
        )
        self.require(written.shape[1] == length + 5, f"generated {written.shape[1] - length} tokens instead of 5")

    def judge_report(self, report: dict[str, Any]) -> None:
        self.require(report.get("format") == "recall/1", f"recall.json has the format {report.get('format')!r}")
        for file in report.get("files", []):
            path = self.output / file["name"]
            exists = path.exists()
            self.require(exists, f"{file['name']} is listed and missing")
            if exists:
                size = path.stat().st_size
                self.require(size == file["bytes"], f"{file['name']}: {file['bytes']} bytes listed, {size} there")

        reason = self.why_sums_are_unknown(report)
        if reason:
            self.remarks.append(f"weighted sums not checked: {reason}")
            return
        self.judge_weighted_sums(report)

    def why_sums_are_unknown(self, report: dict[str, Any]) -> str | None:
        """Only for merges that are one weighted sum per tensor do recall.json's weights say what must come out."""
        recipe = report.get("recipe", {})
        method = recipe.get("method", "recall")
        if method not in ("recall", "linear"):
            return f"method {method}"
        if not report.get("layers"):
            return "recall.json lists no layers"
        return None

    def judge_weighted_sums(self, report: dict[str, Any]) -> None:
        recipe = report.get("recipe", {})
        models = [self.open(model) for model in report["models"]]
        weights = {layer["name"]: layer["weights"] for layer in report["layers"]}
        scale = float(recipe.get("scale") or 1)
        base = Checkpoint(self.locate(recipe["base"])) if recipe.get("base") and scale != 1 else None
        keeper = self.keeper(report, models)
        copied = set(report["tensors"].get("copied", []))

        for layer, row in weights.items():
            self.require(len(row) == len(models), f"{layer}: {len(row)} weights for {len(models)} models")
            if recipe.get("method", "recall") == "recall":
                self.require(abs(sum(row) - 1) < 1e-5, f"{layer}: weights sum to {sum(row)}")
        merged = 0
        for name in self.checkpoint.files:
            actual = self.checkpoint.tensor(name)
            if name in copied:
                self.require(torch.equal(actual, keeper.tensor(name)), f"{name} is listed as copied and differs")
                continue
            merged += 1
            layer = WHOLE if WHOLE in weights else self.layer(name)
            if layer is None or layer not in weights:
                self.failures.append(f"{name} is neither copied nor in a layer of recall.json")
                continue
            names = [self.stored_name(model, name) for model in models]
            members = [model.tensor(name) for model, name in zip(models, names)]
            row = weights[layer]
            unsure = sum(abs(weight) * model.error(name) for weight, model, name in zip(row, models, names))
            origin = base.tensor(self.stored_name(base, name)) if base else None
            self.judge_tensor(name, actual, members, row, unsure, origin, scale)
        lost = [name for name in keeper.files if name not in self.checkpoint]
        self.require(not lost, f"tensors of {keeper.directory} are missing: {lost}")
        stated = report["tensors"].get("merged")
        self.require(stated == merged, f"recall.json counts {stated} merged tensors, there are {merged}")
        self.remarks.append(f"{merged} tensors are the weighted sums of {len(models)} models, {len(copied)} copied")

    def judge_tensor(
        self,
        name: str,
        actual: torch.Tensor,
        members: list[torch.Tensor],
        weights: list[float],
        unsure: torch.Tensor | float,
        base: torch.Tensor | None,
        scale: float,
    ) -> None:
        """Compare with the sum in float64.

        Allowed are half a unit in the last place of the stored type, for the one rounding, and half a unit of float32 per
        step of the accumulation, in proportion to the terms that it adds up; and what the members themselves are `unsure` by.
        """
        if actual.dtype not in FLOAT_TYPES or any(member.shape != actual.shape for member in members):
            self.failures.append(f"{name} has the type {actual.dtype} or a shape unlike its inputs")
            return
        terms = [weight * member.double() for weight, member in zip(weights, members)]
        steps = len(terms)
        expected = torch.stack(terms).sum(0)
        size = torch.stack(terms).abs().sum(0)
        if base is not None:
            origin = base.double()
            expected = origin + scale * (expected - sum(weights) * origin)
            size = scale * (size + origin.abs()) + origin.abs()
            steps += 3
        # A weight that recall.json rounds to float32 has an error of its own, hence one step more.
        slack = (steps + 1) * 2.0**-24 * size + 2.0**-149 + scale * unsure
        error = (actual.double() - expected).abs()
        # What was rounded lies within the slack, where units may be larger already.
        wrong = ~(error <= half_unit(expected.abs() + slack, actual.dtype) + slack)
        if wrong.any():
            worst = error.nan_to_num(nan=float("inf")).max().item()
            self.failures.append(f"{name}: {int(wrong.sum())} of {wrong.numel()} elements differ, by up to {worst:.3g}")

    def layer(self, name: str) -> str | None:
        """The entry of recall.json whose weights a tensor was merged with."""
        block = BLOCK.match(name)
        if block:
            return f"block.{block[1]}"
        if name == EMBEDDING or (name == HEAD and self.tied):
            return "embedding"
        return "head" if name in ("model.norm.weight", HEAD) else None

    def open(self, model: dict[str, Any]) -> Checkpoint | AdaptedModel:
        directory = self.locate(model["path"])
        base = model.get("base")
        return AdaptedModel(directory, self.locate(base["path"])) if base else Checkpoint(directory)

    def stored_name(self, model: Checkpoint | AdaptedModel, name: str) -> str:
        """A model that does not store its tied head has it in the embedding."""
        return EMBEDDING if name == HEAD and self.tied and name not in model else name

    def keeper(self, report: dict[str, Any], models: list[Checkpoint | AdaptedModel]) -> Checkpoint:
        """The model whose layout the output has: the anchor, else the base, else the first."""
        for model, checkpoint in zip(report["models"], models):
            if model.get("anchor"):
                return checkpoint.stored
        base = report.get("recipe", {}).get("base")
        return Checkpoint(self.locate(base)) if base else models[0].stored

    def locate(self, stated: str) -> Path:
        for path in self.moved:
            if path.resolve() == Path(stated):
                return path
        for path in self.moved:
            if path.resolve().name == Path(stated).name:
                return path
        return Path(stated)


def half_unit(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Half the distance between neighbouring numbers of this type around each value, the subnormal spacing at least."""
    information = torch.finfo(dtype)
    _, exponent = torch.frexp(values.abs().clamp_min(information.smallest_normal))
    return torch.ldexp(torch.full_like(values, information.eps / 4), exponent)


def passes(output: Path, moved: list[Path]) -> bool:
    judge = Judge(output, moved)
    judge.judge()
    for failure in judge.failures:
        print(f"{output}: {failure}", file=sys.stderr)
    if judge.failures:
        print(f"{output}: failed on {len(judge.failures)} counts")
    else:
        print("; ".join([f"{output}: loaded by transformers", *judge.remarks]))
    return not judge.failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, nargs="+")
    parser.add_argument("--model", type=Path, action="append", default=[], help="where an input lies now; repeats")
    arguments = parser.parse_args()
    verdicts = [passes(output, arguments.model) for output in arguments.output]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
