"""What a merge costs on this machine, beside what it is compared with, in one run.

    python Benchmarks/merge_costs.py WORK [--recall PATH] [--repeats 3]

Writes random Llamas of 1.1 billion parameters into WORK (some 20 GB; kept for the next run), then measures

1. extraction: tokens per second of `recall extract`, the whole process with its reading, against transformers in float32
   on the same cores, of which only the passes count;
2. the whole merge of three models against the time of selection and three extractions, plus reading the inputs once and
   writing the output once;
3. the peak memory of a merge of three models with 22 and with 44 layers against three layers of each model, activations,
   and 300 MB.

Prints a page for Benchmarks/results. Needs what peers/requirements.txt pins and a release build of recall. Close
everything else: two cores shared with a build measure the build.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
LAYERS = 22
HIDDEN, INTERMEDIATE, KEY_VALUE = 2048, 5632, 256
BLOCK_BYTES = 2 * (2 * HIDDEN * HIDDEN + 2 * KEY_VALUE * HIDDEN + 3 * HIDDEN * INTERMEDIATE + 2 * HIDDEN)
ALLOWANCE = 300e6
MERGE_TEXTS = 8
MEMORY_TEXTS = 4


@dataclass
class Run:
    """A finished process."""

    seconds: float
    peak_bytes: int


def run(*command: str | Path) -> Run:
    """Run a command to its end; its own accounting gives the peak of its resident memory.

    Every run has an empty cache: digests of earlier runs would save it some work.
    """
    with tempfile.TemporaryDirectory() as cache:
        started = time.perf_counter()
        environment = os.environ | {"XDG_CACHE_HOME": cache}
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(map(str, command))} failed with status {status}")
    return Run(time.perf_counter() - started, usage.ru_maxrss * 1024)


def models(work: Path, layers: int) -> list[Path]:
    directories = [work / f"llama-{layers}-{seed}" for seed in range(3)]
    for seed, directory in enumerate(directories):
        if not (directory / "model.safetensors").exists():
            run(sys.executable, PEERS / "make_llama.py", directory, "--layers", str(layers), "--seed", str(seed))
    return directories


def read_everything(directories: list[Path]) -> float:
    """Seconds to read the files once with plain reads of 8 MiB, after one pass that fills the page cache."""
    for _ in range(2):
        started = time.perf_counter()
        for directory in directories:
            with open(directory / "model.safetensors", "rb", buffering=0) as file:
                while file.read(1 << 23):
                    pass
    return time.perf_counter() - started


def write_everything(directory: Path, work: Path) -> float:
    """Seconds to write as many bytes as one model has and to sync them."""
    remaining = (directory / "model.safetensors").stat().st_size
    piece = os.urandom(1 << 23)
    path = work / "written"
    started = time.perf_counter()
    with open(path, "wb", buffering=0) as file:
        while remaining > 0:
            remaining -= file.write(piece[:remaining])
        os.fsync(file.fileno())
    seconds = time.perf_counter() - started
    path.unlink()
    return seconds


def merge(recall: Path, directories: list[Path], samples: Path, typical: int, output: Path) -> tuple[Run, dict]:
    for leftover in (output, output.with_name(output.name + ".partial")):
        shutil.rmtree(leftover, ignore_errors=True)
    anchor, *others = directories
    options = [word for other in others for word in ("--model", other)]
    finished = run(
        recall, "merge", "--anchor", anchor, *options, "--samples", samples, "--typical", str(typical),
        "--output", output, "--progress", "none",
    )  # fmt: skip
    return finished, json.loads((output / "recall.json").read_text())


def measure_extraction(recall: Path, model: Path, work: Path, repeats: int) -> list[str]:
    samples = model / "input_ids.jsonl"
    tokens = sum(len(json.loads(line)["input_ids"]) for line in samples.read_text().splitlines())
    ours = []
    theirs = []
    batch_sizes = "4,20"
    for _ in range(repeats):
        output = work / "states.safetensors"
        output.unlink(missing_ok=True)
        finished = run(recall, "extract", "--model", model, "--samples", samples, "--output", output, "--progress", "none")
        ours.append(tokens / finished.seconds)
        command = [
            sys.executable, PEERS / "transformers_extraction.py", model, samples, "--batch-sizes", batch_sizes, "--repeats", "1"
        ]  # fmt: skip
        peer = json.loads(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)
        theirs.append(peer["best"]["tokensPerSecond"])
        batch_sizes = str(peer["best"]["batchSize"])
    ratios = [one / other for one, other in zip(ours, theirs)]
    return [
        "## Extraction",
        "",
        f"Llama of 1.1 billion parameters, {LAYERS} layers, bfloat16; {tokens} tokens in texts of 256; tokens per second,"
        f" {repeats} runs in turn.",
        "",
        "| | median | all |",
        "|---|---|---|",
        f"| `recall extract`, whole process | {statistics.median(ours):.1f} | {listed(ours)} |",
        f"| transformers {peer['transformers']} float32, passes only | {statistics.median(theirs):.1f} | {listed(theirs)} |",
        f"| ratio, pair by pair | {statistics.median(ratios):.2f} | {listed(ratios, 2)} |",
        "",
    ]


def listed(values: list[float], digits: int = 1) -> str:
    return " ".join(f"{value:.{digits}f}" for value in values)


def measure_merge(recall: Path, directories: list[Path], work: Path) -> list[str]:
    samples = first_samples(directories[0], MERGE_TEXTS, work)
    typical = work / "typical.jsonl"
    typical.unlink(missing_ok=True)
    selection = run(
        recall, "select", "--anchor", directories[0], "--samples", samples, "--typical", str(MERGE_TEXTS),
        "--output", typical, "--progress", "none",
    )  # fmt: skip
    extraction = 0.0
    for directory in directories:
        output = work / "states.safetensors"
        output.unlink(missing_ok=True)
        extraction += run(
            recall, "extract", "--model", directory, "--samples", typical, "--output", output, "--progress", "none"
        ).seconds
    reading = read_everything(directories)
    writing = write_everything(directories[0], work)
    whole, report = merge(recall, directories, samples, MERGE_TEXTS, work / "merged")
    parts = selection.seconds + extraction + reading + writing
    timings = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report["timings"].items() if stage != "device")
    return [
        "## The whole merge",
        "",
        f"Three such models, a pool of {MERGE_TEXTS} texts of 256 tokens, all of them typical; seconds.",
        "",
        "| | seconds |",
        "|---|---|",
        f"| `recall select` | {selection.seconds:.1f} |",
        f"| three times `recall extract` | {extraction:.1f} |",
        f"| reading the inputs once, from the page cache | {reading:.1f} |",
        f"| writing and syncing the output once | {writing:.1f} |",
        f"| sum | {parts:.1f} |",
        f"| `recall merge` | {whole.seconds:.1f} ({timings}) |",
        f"| ratio, to be at most 1.25 | {whole.seconds / parts:.2f} |",
        "",
    ]


def measure_memory(recall: Path, work: Path) -> list[str]:
    lines = [
        "## Memory",
        "",
        f"A merge of three models over {MEMORY_TEXTS} texts of 256 tokens; peak resident memory of the process.",
        "",
        "| layers | peak, MB | three layers of each model, activations, 300 MB |",
        "|---|---|---|",
    ]
    for layers in (LAYERS, 2 * LAYERS):
        directories = models(work, layers)
        pool = first_samples(directories[0], MEMORY_TEXTS, work)
        finished, _ = merge(recall, directories, pool, MEMORY_TEXTS, work / "merged")
        lines.append(f"| {layers} | {finished.peak_bytes / 1e6:.0f} | {allowed_bytes(MEMORY_TEXTS * 256) / 1e6:.0f} |")
    return [*lines, ""]


def first_samples(model: Path, count: int, work: Path) -> Path:
    lines = (model / "input_ids.jsonl").read_text().splitlines(keepends=True)
    path = work / f"first-{count}.jsonl"
    path.write_text("".join(lines[:count]))
    return path


def allowed_bytes(tokens: int) -> float:
    """Three layers of each of three models, the states of all tokens and one batch's scratch in float32, and 300 MB."""
    scratch = 4 * tokens * (4 * HIDDEN + 2 * KEY_VALUE + 2 * INTERMEDIATE)
    return 3 * 3 * BLOCK_BYTES + 3 * 4 * tokens * HIDDEN + scratch + ALLOWANCE


def machine() -> str:
    name = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    return f"{name or platform.processor()}, {os.cpu_count()} cores"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--recall", type=Path, default=Path(".build/release/recall"))
    parser.add_argument("--repeats", type=int, default=3, help="runs of the extraction, in turn with the peer")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)

    directories = models(arguments.work, LAYERS)
    read_everything(directories)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    page = [f"# What a merge costs: {machine()}", "", f"{date.today()}, commit {commit}.", ""]
    page += measure_extraction(arguments.recall, directories[0], arguments.work, arguments.repeats)
    page += measure_merge(arguments.recall, directories, arguments.work)
    page += measure_memory(arguments.recall, arguments.work)
    print("\n".join(page))


if __name__ == "__main__":
    main()
