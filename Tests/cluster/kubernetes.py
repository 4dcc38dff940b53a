"""Runs the Jobs of docker/kubernetes/ on this machine as Kubernetes would, kills pods at random, and compares the result.

    kubernetes.py RECALL RUNS [SEED]        the program, and how often the pipeline is run

It reads the Jobs that docker/kubernetes/submit renders and takes from them what it does: completions, command, environment,
the pod failure policy with its exit codes, the limit of retries per index, the grace between SIGTERM and SIGKILL. A pod is a
process group. A third of all pods is asked to end, as when a node is drained, a third is killed at once, as when it is lost.
What is not simulated: images, volumes and users, which Tests/cluster/images has, and the scheduler's waiting times.
"""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
FAMILY = ROOT / "Benchmarks/continual/family"
PARTS = 4
# What a container ends with when its program crashed; a retry would hide it.
CRASHES = {128 + number for number in (signal.SIGILL, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV)}


class JobFailed(Exception):
    """A Job that Kubernetes would mark as failed."""


class Job:
    """A rendered Job whose mounts are directories of this machine."""

    def __init__(self, manifest, mounts, environment):
        self.name = manifest["metadata"]["name"]
        spec = manifest["spec"]
        assert spec["completionMode"] == "Indexed" and spec["podReplacementPolicy"] == "Failed"
        self.completions = spec["completions"]
        self.retries = spec["backoffLimitPerIndex"]
        self.rules = spec["podFailurePolicy"]["rules"]
        pod = spec["template"]["spec"]
        assert pod["restartPolicy"] == "Never"
        self.grace = pod["terminationGracePeriodSeconds"]
        container = pod["containers"][0]
        self.command = container["command"] + container["args"]
        assert {mount["mountPath"] for mount in container["volumeMounts"]} == set(mounts)
        self.environment = dict(environment)
        for variable in container["env"]:
            place = f"^({'|'.join(mounts)})(?=/|$)"
            value = re.sub(place, lambda mount: str(mounts[mount[1]]), variable["value"])
            self.environment[variable["name"]] = value

    def action(self, code, disrupted):
        """What the pod failure policy says of a pod that ended: the first rule that fits, else one retry is counted."""
        for rule in self.rules:
            codes = rule.get("onExitCodes")
            if codes and codes["operator"] == "In" and code in codes["values"]:
                return rule["action"]
            if rule.get("onPodConditions") and disrupted:
                return rule["action"]
        return "Count"

    def run(self, chance, log):
        """Runs all indices at the same time, each until it succeeds."""
        with ThreadPoolExecutor(self.completions) as pods:
            seeds = [chance.getrandbits(64) for _ in range(self.completions)]
            list(pods.map(lambda index: self.run_index(index, random.Random(seeds[index]), log), range(self.completions)))

    def run_index(self, index, chance, log):
        failures = 0
        while True:
            code, disrupted, output = self.run_pod(index, chance)
            if code == 0:
                return
            if code in CRASHES:
                raise JobFailed(f"{self.name} index {index} crashed: exit code {code}\n{output}")
            action = self.action(code, disrupted)
            log.append((self.name, code, action))
            if action == "FailJob":
                raise JobFailed(f"{self.name} index {index}: exit code {code}\n{output}")
            failures += action == "Count"
            if failures > self.retries:
                raise JobFailed(f"{self.name} index {index}: too many failures, the last with {code}\n{output}")

    def run_pod(self, index, chance):
        """One pod: its exit code, whether the cluster took it away, and what it said."""
        environment = {**self.environment, "JOB_COMPLETION_INDEX": str(index)}
        with tempfile.TemporaryFile("w+") as output:
            pod = subprocess.Popen(
                self.command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
            fate = chance.choice(["left alone", "drained", "lost"])
            if fate != "left alone":
                try:
                    pod.wait(chance.uniform(0, 1.5))
                    fate = "ended before"
                except subprocess.TimeoutExpired:
                    os.killpg(pod.pid, signal.SIGTERM if fate == "drained" else signal.SIGKILL)
            try:
                code = pod.wait(self.grace)
            except subprocess.TimeoutExpired:
                os.killpg(pod.pid, signal.SIGKILL)
                pod.wait()
                raise JobFailed(f"{self.name} index {index}: alive {self.grace} s after SIGTERM") from None
            output.seek(0)
            # A shell, and so a container, ends with 128 and the number of the signal.
            return (code if code >= 0 else 128 - code), fate == "lost", output.read()


def content(path):
    if path.name != "recall.json":
        return path.read_bytes()
    report = json.loads(path.read_text())
    del report["timings"]
    return json.dumps(report)


def compare(expected, found):
    names = sorted(path.name for path in expected.iterdir())
    assert names == sorted(path.name for path in found.iterdir()), "the outputs have other files"
    for name in names:
        assert content(expected / name) == content(found / name), f"{name} differs"


def slow_writes(directory):
    """A library that makes writes slow: models of this size are fused in an instant, too short to be killed in."""
    library = directory / "slow_writes.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-o", library, ROOT / "Tests/FaultyStorage/FaultyStorage.c"], check=True)
    return library


def main():
    recall, runs, seed = Path(sys.argv[1]).resolve(), int(sys.argv[2]), int((sys.argv[3:] or ["0"])[0])
    work = Path(tempfile.mkdtemp())
    try:
        run_all(recall, runs, seed, work)
    finally:
        shutil.rmtree(work)


def run_all(recall, runs, seed, work):
    programs = work / "programs"
    programs.mkdir()
    (programs / "recall").symlink_to(recall)
    (work / "cache").mkdir()
    environment = {
        "PATH": f"{programs}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(work / "cache"), "LD_PRELOAD": str(slow_writes(work)),
        "SLOW_WRITES": "10000",
    }
    experts = ["sentiment", "extractive-qa", "translation", "reading-choice"]
    models = ", ".join(f'"{FAMILY}/expert-{name}"' for name in experts)
    recipe = work / "recipe.json"
    recipe.write_text(
        f'{{"anchor": "{FAMILY}/expert-medical-choice", "models": [{models}], '
        f'"samples": "{ROOT}/Benchmarks/continual/data/medical-choice.train.jsonl"}}')
    once = work / "once"
    subprocess.run(
        [recall, "merge", "--recipe", recipe, "--output", once, "--progress", "none"], check=True,
        stdout=subprocess.DEVNULL)

    start, endings = time.monotonic(), {}
    for number in range(runs):
        chance = random.Random(f"{seed}/{number}")
        directory = work / f"run-{number}"
        directory.mkdir()
        shutil.copy(recipe, directory)
        mounts = {"/models": FAMILY, "/work": directory, "/cache": work / "cache", "/tmp": work}
        rendered = subprocess.run(
            [
                ROOT / "docker/kubernetes/submit", "--render", "--recipe", "/work/recipe.json", "--output", "/work/merged",
                "--models", str(len(experts) + 1), "--parts", str(PARTS),
            ], check=True, capture_output=True, text=True).stdout
        log = []
        for manifest in yaml.safe_load_all(rendered):
            Job(manifest, mounts, environment).run(chance, log)
        compare(once, directory / "merged")
        shutil.rmtree(directory)
        for name, code, action in log:
            endings[name, code, action] = endings.get((name, code, action), 0) + 1
    for (name, code, action), count in sorted(endings.items()):
        print(f"{name}: {count} pods ended with {code}: {action}")
    print(f"Kubernetes: {runs} runs, {sum(endings.values())} pods killed and replaced, all outputs equal that of one "
          f"process; {time.monotonic() - start:.0f} s")


main()
