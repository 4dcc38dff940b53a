"""Train a family: a base, one expert per task, and the sequential chain over the same tasks.

    python train.py OUT --seed 20

OUT/family receives the checkpoints in Hugging Face layout and OUT/scores.json the accuracy of each on every task,
measured on the bfloat16 weights that are written. OUT/data receives the training and held-out items. Checkpoints that
OUT holds already are kept and only scored. The exit status is 1 when an expert, or a step of the chain, did not learn
its own task, since forgetting can be measured only of what was learned.
"""

import argparse
import json
import random
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from fit import Sequence, exact_match, fit
from general_text import general_text
from tasks import Example, all_tasks, examples
from tokenizer import (
    END_ID,
    MAXIMUM_LENGTH,
    PADDING_ID,
    START_ID,
    encode_example,
    save_tokenizer,
    train_tokenizer,
)

BASE_LEARNING_RATE = 2e-3
FINE_TUNE_LEARNING_RATE = 7e-4
REQUIRED_OWN_ACCURACY = 0.95
# How often a task's steps may be repeated until it is learned. In the chain, looking back may have to be learned anew.
MAXIMUM_ROUNDS = 4

# Looking back for a name and then for what stands beside it takes a small model more steps than the other tasks.
LOOK_BACK_TASKS = {"extractive-qa", "reading-choice"}

TRAIN_SEED_OFFSET = 77
TEST_SEED_OFFSET = 10_000_019


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--hidden", type=int, default=96)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--vocabulary", type=int, default=768)
    parser.add_argument("--base-steps", type=int, default=3500)
    parser.add_argument("--fine-tune-steps", type=int, default=500)
    parser.add_argument("--look-back-steps", type=int, default=1000)
    parser.add_argument(
        "--base-task-frac", type=float, default=0.03, help="share of task items in what the base reads"
    )
    parser.add_argument("--train-items", type=int, default=200, help="training items to write per task")
    parser.add_argument("--test-items", type=int, default=400, help="held-out items to write and to score per task")
    parser.add_argument("--rates", type=float, default=1.0, help="what all learning rates are multiplied by")
    parser.add_argument("--no-sequential", action="store_true", help="leave out the chain")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def architecture(arguments: argparse.Namespace, vocabulary_size: int) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=vocabulary_size,
        hidden_size=arguments.hidden,
        intermediate_size=arguments.hidden * 8 // 3,
        num_hidden_layers=arguments.layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=MAXIMUM_LENGTH,
        tie_word_embeddings=False,
        bos_token_id=START_ID,
        eos_token_id=END_ID,
        pad_token_id=PADDING_ID,
    )


class Family:
    """One training run: the shared tokenizer and data, and the checkpoints as they are finished."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.tasks = all_tasks(arguments.seed)
        self.test_items: dict[str, list[Example]] = {
            name: examples(task, TEST_SEED_OFFSET + arguments.seed, arguments.test_items)
            for name, task in self.tasks.items()
        }
        self.scores: dict[str, dict[str, float]] = {}
        self.not_learned: list[str] = []
        if self.is_trained("base"):
            self.tokenizer = Tokenizer.from_file(str(self.directory("base") / "tokenizer.json"))
        else:
            self.tokenizer = train_tokenizer(self.tasks, arguments.seed, arguments.vocabulary)

    def directory(self, name: str) -> Path:
        return self.arguments.output / "family" / name

    def is_trained(self, name: str) -> bool:
        return (self.directory(name) / "model.safetensors").exists()

    def train(self) -> None:
        self.write_data()
        self.train_base()
        for name in self.tasks:
            self.train_expert(name)
        if not self.arguments.no_sequential:
            self.train_sequentially()

    def train_base(self) -> None:
        if not self.is_trained("base"):
            model = LlamaForCausalLM(architecture(self.arguments, self.tokenizer.get_vocab_size()))
            print(f"{model.num_parameters()} parameters", flush=True)
            generator = self.generator_for("base")
            rate = BASE_LEARNING_RATE * self.arguments.rates
            fit(model, lambda: self.draw_base_text(generator), self.arguments.base_steps, rate, "base")
            self.save(model, "base")
        self.score(self.load("base"), "base")

    def train_expert(self, task: str) -> None:
        name = f"expert-{task}"
        if self.is_trained(name):
            self.score(self.load(name), name)
            self.note_if_not_learned(name, task)
            return
        model = self.load("base")
        self.learn(model, task, name)
        self.save(model, name)

    def train_sequentially(self) -> None:
        """Learn the tasks one after another: what a merge of the experts is compared with."""
        model = self.load("base")
        for count, task in enumerate(self.tasks, start=1):
            self.learn(model, task, f"sequential-{count}")
        self.save(model, "sequential")

    def learn(self, model: LlamaForCausalLM, task: str, name: str) -> None:
        """Fine-tune on one task, in further rounds while it is not learned, and score the result as `name`."""
        steps = self.arguments.look_back_steps if task in LOOK_BACK_TASKS else self.arguments.fine_tune_steps
        generator = self.generator_for(name)
        for number in range(1, MAXIMUM_ROUNDS + 1):
            label = f"{name}, {task}, round {number}"
            rate = FINE_TUNE_LEARNING_RATE * self.arguments.rates
            fit(model, lambda: self.draw(task, generator), steps, rate, label)
            self.score(model, name)
            if self.scores[name][task] >= REQUIRED_OWN_ACCURACY:
                return
        self.note_if_not_learned(name, task)

    def note_if_not_learned(self, name: str, task: str) -> None:
        if self.scores[name][task] < REQUIRED_OWN_ACCURACY:
            self.not_learned.append(f"{name} ({task})")

    def generator_for(self, name: str) -> random.Random:
        """Items of its own for every model, whichever were trained before it."""
        return random.Random(f"{self.arguments.seed}/{name}")

    def draw(self, task: str, generator: random.Random) -> Sequence:
        return encode_example(self.tokenizer, *self.tasks[task](generator))

    def draw_base_text(self, generator: random.Random) -> Sequence:
        """General text, predicted from its first token on, and now and then an item of some task."""
        if generator.random() < self.arguments.base_task_frac:
            return self.draw(generator.choice(list(self.tasks)), generator)
        ids = self.tokenizer.encode(general_text(generator)).ids
        return ids[:1], ids[1:] + [END_ID]

    def load(self, name: str) -> LlamaForCausalLM:
        """A model as written: experts start from the very weights that a merge compares them with."""
        return LlamaForCausalLM.from_pretrained(self.directory(name), dtype=torch.float32)

    def save(self, model: LlamaForCausalLM, name: str) -> None:
        rounded(model, torch.bfloat16).save_pretrained(self.directory(name))
        save_tokenizer(self.tokenizer, self.directory(name))

    def score(self, model: LlamaForCausalLM, name: str) -> None:
        """Score the weights as a reader of the written checkpoint sees them: rounded, computing in float32."""
        as_written = rounded(rounded(model, torch.bfloat16), torch.float32)
        self.scores[name] = {
            task: round(exact_match(as_written, self.tokenizer, items), 4)
            for task, items in self.test_items.items()
        }
        print(name, self.scores[name], flush=True)
        path = self.arguments.output / "scores.json"
        path.write_text(json.dumps(self.scores, indent=2) + "\n", encoding="utf-8")

    def write_data(self) -> None:
        directory = self.arguments.output / "data"
        directory.mkdir(parents=True, exist_ok=True)
        for name, task in self.tasks.items():
            train_items = examples(task, TRAIN_SEED_OFFSET + self.arguments.seed, self.arguments.train_items)
            write_items(directory / f"{name}.train.jsonl", train_items)
            write_items(directory / f"{name}.test.jsonl", self.test_items[name])


def rounded(model: LlamaForCausalLM, dtype: torch.dtype) -> LlamaForCausalLM:
    """A copy in another element type; the model itself goes on training in float32."""
    copy = LlamaForCausalLM(model.config).to(dtype)
    copy.load_state_dict(model.state_dict())
    copy.config.dtype = dtype
    return copy


def write_items(path: Path, items: list[Example]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for prompt, answer in items:
            file.write(json.dumps({"text": prompt + answer, "prompt": prompt, "answer": answer}) + "\n")


def main() -> int:
    arguments = parse_arguments()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    family = Family(arguments)
    family.train()
    if family.not_learned:
        print(f"below {REQUIRED_OWN_ACCURACY}: {', '.join(family.not_learned)}", file=sys.stderr)
    return 1 if family.not_learned else 0


if __name__ == "__main__":
    sys.exit(main())
