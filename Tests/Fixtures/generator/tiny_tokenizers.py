"""Four small tokenizers, one per way of splitting text that the architectures use. All know every byte."""

import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = [
    "the cat sees the small river and the old bread",
    "a patient has the drug of choice and the answer is there",
    "where does she live in the end of this other thing",
    "le chat mange le pain et le chien aime la foret",
] * 8

LEARNED_TOKENS = 20

# As in the tokenizers of Llama 3 and Qwen2; the difference is how many digits stay together.
LLAMA_3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_PATTERN = LLAMA_3_PATTERN.replace(r"\p{N}{1,3}", r"\p{N}")


def byte_level() -> Tokenizer:
    """GPT-2's splitting, with a start token put in front."""
    tokenizer = _byte_level_model(["<s>", "</s>", "<pad>"], pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return tokenizer


def split() -> Tokenizer:
    """Llama 3's splitting, with its start token put in front by a template in a sequence of processors."""
    special = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]
    tokenizer = _byte_level_model(special, _split_by(LLAMA_3_PATTERN))
    template = processors.TemplateProcessing(single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 0)])
    tokenizer.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), template])
    return tokenizer


def qwen() -> Tokenizer:
    """Qwen2's splitting and normal form, with no token put in front."""
    tokenizer = _byte_level_model(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], _split_by(QWEN_PATTERN))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def byte_fallback() -> Tokenizer:
    """Llama 2's form: spaces are marks, and what the vocabulary lacks is spelled in byte tokens."""
    learner = Tokenizer(models.BPE())
    learner.normalizer = _spaces_as_marks()
    learner.train_from_iterator(
        CORPUS, trainers.BpeTrainer(vocab_size=LEARNED_TOKENS + 26, show_progress=False)
    )
    learned = json.loads(learner.to_str())["model"]

    tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    tokens += sorted(learned["vocab"], key=learned["vocab"].get)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    merges = [tuple(merge) for merge in learned["merges"]]
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = _spaces_as_marks()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in tokens[:3]])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return tokenizer


KINDS = {"byte-level": byte_level, "split": split, "qwen": qwen, "byte-fallback": byte_fallback}

SPECIAL_TOKENS = {
    "byte-level": {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"},
    "split": {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"},
    "qwen": {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"},
    "byte-fallback": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
}


def write_tokenizer(kind: str, directory: Path) -> None:
    """Write `tokenizer.json` and the little that transformers wants beside it."""
    content = json.loads(KINDS[kind]().to_str())
    (directory / "tokenizer.json").write_text(
        json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8"
    )
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 256} | SPECIAL_TOKENS[kind]
    (directory / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    (directory / "special_tokens_map.json").write_text(
        json.dumps(SPECIAL_TOKENS[kind], indent=2) + "\n", encoding="utf-8"
    )


def _byte_level_model(special_tokens: list[str], splitting: pre_tokenizers.PreTokenizer) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = splitting
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=256 + len(special_tokens) + LEARNED_TOKENS,
        special_tokens=special_tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def _split_by(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _spaces_as_marks() -> normalizers.Normalizer:
    return normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
