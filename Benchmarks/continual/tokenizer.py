"""One byte-level BPE tokenizer for the whole family, trained on the family's own text."""

import json
import random
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from general_text import general_text
from tasks import Task, examples

START, END, PADDING = "<s>", "</s>", "<pad>"
START_ID, END_ID, PADDING_ID = 0, 1, 2
MAXIMUM_LENGTH = 256


def train_tokenizer(tasks: dict[str, Task], seed: int, vocabulary_size: int) -> Tokenizer:
    """Train on general text and on every task, so that no task pays more tokens per word than another."""
    generator = random.Random(seed)
    corpus = [general_text(generator) for _ in range(4000)]
    for task in tasks.values():
        corpus += [prompt + answer for prompt, answer in examples(task, seed + 1, 600)]

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[START, END, PADDING],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", special_tokens=[(START, START_ID)]
    )
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, directory: Path) -> None:
    """Write `tokenizer.json` without indentation, a third of its size, and the few settings beside it."""
    content = json.loads(tokenizer.to_str())
    (directory / "tokenizer.json").write_text(
        json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8"
    )
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": MAXIMUM_LENGTH,
        "bos_token": START,
        "eos_token": END,
        "pad_token": PADDING,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def encode_example(tokenizer: Tokenizer, prompt: str, answer: str) -> tuple[list[int], list[int]]:
    """The prompt with its start token; the answer by itself, closed by the end token that the model learns to write."""
    prompt_ids = tokenizer.encode(prompt).ids
    answer_ids = tokenizer.encode(answer, add_special_tokens=False).ids
    return prompt_ids, answer_ids + [END_ID]
