"""Merge the experts of one or more trained families by every method, and score what each merge remembers.

    python compare.py RECALL OUT FAMILY [FAMILY ...]

RECALL is the program; a FAMILY is what `train.py` wrote: a directory with family/ and data/. Every merge is written to
OUT/merged, scored by `recall evaluate` on the held-out items and overwritten by the next one. OUT/scores.jsonl receives a
line per family and method; the table of means over the families is printed. Nothing is needed beside Python itself.
"""

import argparse
import json
import shutil
import subprocess
from pathlib import Path

TASKS = ["sentiment", "extractive-qa", "translation", "reading-choice", "medical-choice"]
TYPICAL = "20"
# By name: the method, and options that go with the base. Where a scale has to be chosen, several are tried.
CHANGES = {
    **{f"task-arithmetic, scale {scale}": ["task-arithmetic", "--scale", scale] for scale in ["0.4", "0.5", "0.6", "0.8", "1"]},
    **{f"ties, density 0.3, scale {scale}": ["ties", "--density", "0.3", "--scale", scale] for scale in ["1", "2"]},
    "dare-ties, density 0.5, scale 0.5": ["dare-ties", "--density", "0.5", "--scale", "0.5"],
    "dare-linear, density 0.5, scale 0.5": ["dare-linear", "--density", "0.5", "--scale", "0.5"],
    "lines": ["lines"],
}


def compare(comparison: type, description: str) -> None:
    """Runs the merges of a comparison for every family on the command line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recall")
    parser.add_argument("output", type=Path)
    parser.add_argument("families", type=Path, nargs="+")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    scores: dict[str, list[list[float]]] = {}
    with open(arguments.output / "scores.jsonl", "w", encoding="utf-8") as lines:
        for family in arguments.families:
            for name, values in comparison(arguments.recall, arguments.output, family).results():
                lines.write(json.dumps({"family": str(family), "method": name, "scores": values}) + "\n")
                lines.flush()
                scores.setdefault(name, []).append(values)
    print_table(scores)


class Comparison:
    """The merges of one family, by every method."""

    def __init__(self, recall: str, output: Path, family: Path) -> None:
        self.recall, self.output, self.family = recall, output, family
        self.base = str(family / "family/base")
        self.experts = [str(family / f"family/expert-{task}") for task in TASKS]

    def results(self):
        """Yields the name of every method and its accuracy on every task."""
        yield "each expert on its own task", [self.score(expert)[task] for task, expert in enumerate(self.experts)]
        if (self.family / "family/sequential").exists():
            yield "sequential fine-tuning", self.score(str(self.family / "family/sequential"))
        models = [argument for expert in self.experts for argument in ("--model", expert)]
        pool = ["--samples", self.pool(-1)]
        anchored = ["--anchor", self.experts[-1], *models[:-2], *pool]
        samples = [argument for task in range(len(TASKS)) for argument in self.samples_of(task)]
        yield "linear: the mean", self.merged("--method", "linear", *models)
        yield "recall", self.merged(*anchored)
        yield "recall, scale 2", self.merged(*anchored, "--base", self.base, "--scale", "2")
        for name, options in CHANGES.items():
            yield name, self.merged("--method", *options, "--base", self.base, *models)
        yield "lm-cocktail", self.merged("--method", "lm-cocktail", *models, "--samples", self.examples())
        yield "regmean", self.merged("--method", "regmean", *models, *samples)
        yield "regmean, one by one", self.one_by_one(["--method", "regmean"])
        yield "recall, one by one", self.one_by_one_anchored()
        aligned = ["--method", "recall-align", "--base", self.base]
        yield "recall-align, balance equal", self.merged(*aligned, *models, *samples, "--balance", "equal")
        yield "recall-align", self.merged(*aligned, *models, *samples)
        yield "recall-align, one by one", self.one_by_one(aligned)

    def one_by_one(self, options: list[str]) -> list[float]:
        """Every expert joins the merge of those before it, which brings its typical samples in its recall.json."""
        merged, samples = self.experts[0], self.samples_of(0)
        for task in range(1, len(TASKS)):
            output = str(self.output / f"arrival-{task}")
            self.run(
                "merge", *options, "--typical", TYPICAL, "--model", merged, *samples, "--model", self.experts[task],
                *self.samples_of(task), "--output", output, "--overwrite")
            merged, samples = output, []
        return self.score(merged)

    def one_by_one_anchored(self) -> list[float]:
        """As the paper has it: every expert in its turn is the anchor, and brings the samples that both are compared on."""
        merged = self.experts[0]
        for task in range(1, len(TASKS)):
            output = str(self.output / f"arrival-{task}")
            self.run(
                "merge", "--typical", TYPICAL, "--model", merged, "--anchor", self.experts[task], "--samples",
                self.pool(task), "--output", output, "--overwrite")
            merged = output
        return self.score(merged)

    def examples(self) -> str:
        """As many lines of every task as the other methods get samples, in one file."""
        lines = [line for task in range(len(TASKS)) for line in Path(self.pool(task)).open().readlines()[: int(TYPICAL)]]
        path = self.output / "examples.jsonl"
        path.write_text("".join(lines), encoding="utf-8")
        return str(path)

    def pool(self, task: int) -> str:
        return str(self.family / f"data/{TASKS[task]}.train.jsonl")

    def samples_of(self, task: int) -> list[str]:
        return ["--samples-for", f"{self.experts[task]}={self.pool(task)}"]

    def merged(self, *options: str) -> list[float]:
        output = self.output / "merged"
        shutil.rmtree(output, ignore_errors=True)
        selects = "--method" not in options or "recall-align" in options or "regmean" in options
        typical = ["--typical", TYPICAL] if selects and "--typical" not in options else []
        self.run("merge", *options, *typical, "--output", str(output))
        return self.score(str(output))

    def score(self, model: str) -> list[float]:
        tasks = [argument for task in TASKS for argument in ("--tasks", str(self.family / f"data/{task}.test.jsonl"))]
        results = json.loads(self.run("evaluate", "--model", model, "--json", *tasks))["results"]
        return [result["value"] for result in results]

    def run(self, *arguments: str) -> str:
        command = [self.recall, *arguments, "--progress", "none"]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def print_table(scores: dict[str, list[list[float]]]) -> None:
    print(f"| merge | average (each family) | {' | '.join(TASKS)} |\n|{'---|' * (len(TASKS) + 2)}")
    for name, families in scores.items():
        averages = [sum(values) / len(values) for values in families]
        tasks = [sum(values) / len(families) for values in zip(*families)]
        each = " ".join(f"{average:.3f}" for average in averages)
        mean = sum(averages) / len(averages)
        print(f"| {name} | {mean:.3f} ({each}) | {' | '.join(f'{value:.3f}' for value in tasks)} |")


if __name__ == "__main__":
    compare(Comparison, __doc__)
