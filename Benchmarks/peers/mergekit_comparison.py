"""Recall and mergekit on one linear merge, in turn, and the time that the bytes alone take; called by mergekit.sh.

Warm runs find the inputs in the page cache, cold ones do not. Recall runs as shipped: it digests its inputs, an empty cache of
digests being given to every run, and saves the output to the disk; mergekit leaves that to the system. Every output is
removed, and the disk left to settle, before the next run. Prints a page for Benchmarks/results.
"""

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import torch
from safetensors import safe_open

MODELS = 3


def run(*command: str | Path) -> tuple[float, int, str]:
    """Seconds and peak resident bytes of a command, and what it printed."""
    with tempfile.TemporaryDirectory() as cache:
        started = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=os.environ | {"XDG_CACHE_HOME": cache, "HF_HUB_OFFLINE": "1"})
        printed = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - started
    if status != 0:
        sys.exit(f"{' '.join(map(str, command))} failed with status {status}")
    return elapsed, usage.ru_maxrss * 1024, printed


def prepare(files: list[Path], outputs: list[Path], cold: bool) -> None:
    for output in outputs:
        shutil.rmtree(output, ignore_errors=True)
    os.sync()
    for path in files:
        with path.open("rb") as file:
            if cold:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            else:
                while file.read(1 << 24):
                    pass


def rounded_once(exact: torch.Tensor) -> torch.Tensor:
    """Float64 to bfloat16 in one rounding; torch goes by way of float32, where a tie may arise that was none."""
    narrow = exact.float()
    beside = torch.nextafter(narrow, torch.where(narrow.double() < exact, torch.inf, -torch.inf).float())
    is_new_tie = ((narrow.view(torch.int32) & 0xFFFF) == 0x8000) & (narrow.double() != exact)
    return torch.where(is_new_tie, beside, narrow).bfloat16()


def differences(inputs: list[Path], ours: Path, theirs: Path) -> dict[str, int]:
    """How many elements of each output are not the exact result rounded once to bfloat16.

    Recall sums with weights in float32: the exact result is that of these weights, or of the third that they stand for.
    """
    weight = torch.tensor(1 / MODELS, dtype=torch.float32).double()
    counts = dict.fromkeys(["elements", "recall", "recall, thirds", "mergekit, thirds"], 0)
    handles = [safe_open(path, "pt") for path in [*inputs, ours, theirs]]
    for name in handles[0].keys():
        *models, our, their = (handle.get_tensor(name) for handle in handles)
        # A float64 holds three such products, and their sum, without a rounding worth the name.
        exact = rounded_once(sum(model.double() * weight for model in models))
        thirds = rounded_once(sum(model.double() for model in models) / MODELS)
        counts["elements"] += our.numel()
        counts["recall"] += int((exact != our).sum())
        counts["recall, thirds"] += int((thirds != our).sum())
        counts["mergekit, thirds"] += int((thirds != their).sum())
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--recall", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    work = arguments.work
    models = [work / f"llama-{seed}" for seed in range(MODELS)]
    files = [model / "model.safetensors" for model in models]
    configuration = work / "linear.yaml"
    configuration.write_text("merge_method: linear\ndtype: bfloat16\nmodels:\n" + "".join(
        f"  - {{model: {model}, parameters: {{weight: 1.0}}}}\n" for model in models))
    ours, theirs, floor = work / "by-recall", work / "by-mergekit", work / "floor"

    recall = [arguments.recall, "merge", "--method", "linear", "--progress", "none", "--device", "cpu", "--output", ours]
    for model in models:
        recall += ["--model", model]
    mergekit = [Path(sys.executable).parent / "mergekit-yaml", configuration, theirs, "--async-write"]

    rows, peaks = [], {"recall": 0, "mergekit": 0}
    for state in ["warm", "cold"]:
        times: dict[str, list[float]] = {"floor": [], "recall": [], "mergekit": []}
        for _ in range(arguments.runs):
            prepare(files, [ours, theirs], state == "cold")
            _, _, printed = run(work / "byte_floor", floor, *files)
            floor.unlink()
            times["floor"].append(sum(map(float, printed.split())))
            for name, command in [("recall", recall), ("mergekit", mergekit)]:
                prepare(files, [ours, theirs] if name == "recall" else [], state == "cold")
                elapsed, peak, _ = run(*command)
                times[name].append(elapsed)
                peaks[name] = max(peaks[name], peak)
        medians = {name: statistics.median(values) for name, values in times.items()}
        spread = {name: f"{min(values):.2f} – {max(values):.2f}" for name, values in times.items()}
        rows.append(
            f"| {state} | {medians['floor']:.2f} ({spread['floor']}) | {medians['recall']:.2f} ({spread['recall']}) | "
            f"{medians['recall'] / medians['floor']:.2f} | {medians['mergekit']:.1f} ({spread['mergekit']}) | "
            f"{medians['mergekit'] / medians['recall']:.1f} |")
    counts = differences(files, ours / "model.safetensors", theirs / "model.safetensors")
    processor = next(
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(f"""# A linear merge beside mergekit: {processor}, {os.cpu_count()} cores

{date.today()}, commit {commit}, Linux {platform.release()}.

Three Llamas of 1.1 billion parameters in bfloat16, {sum(file.stat().st_size for file in files) / 1e9:.2f} GB in all. Medians of {arguments.runs} runs
in turn, with the smallest and the largest. The floor reads the same bytes with four threads, then writes and saves the
output. Recall saves its output to the disk, mergekit 0.1.5 (`--async-write`) does not.

| inputs | floor, s | Recall, s | Recall / floor | mergekit, s | mergekit / Recall |
|---|---|---|---|---|---|
{chr(10).join(rows)}

Peak resident memory: Recall {peaks['recall'] / 1e6:.0f} MB, mergekit {peaks['mergekit'] / 1e9:.2f} GB (mapped inputs included).

Of {counts['elements']} elements, {counts['recall']} of Recall's differ from the exact sum, with its weights in float32, rounded
once to bfloat16. From the exact mean {counts['recall, thirds']} of Recall's differ (a third in float32 is a little more than a third,
which settles ties) and {counts['mergekit, thirds']} of mergekit's.""")


if __name__ == "__main__":
    main()
