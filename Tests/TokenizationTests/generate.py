"""Writes the tokenizers and golden ids in Fixtures/. For development only: the tests need no Python.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3 protobuf==7.36.2
    python Tests/TokenizationTests/generate.py

Every tokenizer is trained on the few lines below and has the components of a well-known family. The ids are those of
the `tokenizers` package; sentencepiece compiles a map of characters. `strings.json` holds the texts; `<kind>.ids` holds, for each text with special tokens and then
for the first 400 without, the number of ids and the ids, as LEB128 numbers.
"""

import base64
import json
import math
import random
import sys
import tempfile
from pathlib import Path

import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

assert tokenizers.__version__ == "0.23.3", tokenizers.__version__
assert sentencepiece.__version__ == "0.2.3", sentencepiece.__version__

WITHOUT_SPECIAL_TOKENS = 400
FOLDER = Path(__file__).parent / "Fixtures"

CORPUS = """The quick brown fox jumps over the lazy dog. It's what they've said, isn't it? I'll go; you're late; we'd know.
Merging models keeps what each of them learned: weights, layers, hidden states and the words between them.
In the year 2024 there were 365 days and 1,234,567 reasons; 3.14159 is not 22/7. Call 555-0199 before 10:45.
def merge(models, weights):\n    total = sum(w for w in weights)\n\treturn [m * w / total for m, w in zip(models, weights)]
for (int i = 0; i < 10; ++i) { printf("%d\\n", i); }  // a comment\r\nif (x == y) { return; }\r\n\r\n
Der schnelle braune Fuchs springt über den faulen Hund; Größe, Straße, Übermut und Äpfel.
Le cœur a ses raisons que la raison ne connaît point : déjà vu, naïve, garçon, élève.
Быстрая коричневая лиса перепрыгивает через ленивую собаку. Модели и слова.
Η γρήγορη αλεπού πηδάει πάνω από το σκυλί. Λόγος και πράξη.
快速的棕色狐狸跳过懒狗。模型合并保留了每个模型学到的知识。
素早い茶色の狐がのろまな犬を飛び越える。カタカナとひらがな。
빠른 갈색 여우가 게으른 개를 뛰어넘는다. 모델을 합친다.
الثعلب البني السريع يقفز فوق الكلب الكسول. नमस्ते दुनिया, यह एक परीक्षण है।
😀 😃 👍🏽 🇫🇷 👩‍👩‍👧 emoji and é, ñ, ü, Å   spaces    and\ttabs   \n\n\n"""

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN35 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}",
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
    r"\s*[\r\n]+",
    r"\s+(?!\S)",
    r"\s+",
])
CL100K = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
DEEPSEEK = [
    r"\p{N}{1,3}",
    r"[一-龥぀-ゟ゠-ヿ]+",
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
]


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def byte_level(*before):
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([*before, last])


def train(pre_tokenizer, normalizer=None, size=700, alphabet=True):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    letters = pre_tokenizers.ByteLevel.alphabet() if alphabet else []
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=letters, show_progress=False, min_frequency=1)
    tokenizer.train_from_iterator(CORPUS.split("\n\n") + CORPUS.split("\n"), trainer)
    return tokenizer


def adjusted(tokenizer, change):
    """The tokenizer after a change of its file."""
    file = json.loads(tokenizer.to_str())
    change(file)
    return Tokenizer.from_str(json.dumps(file))


def special(*contents):
    return [AddedToken(content, special=True, normalized=False) for content in contents]


def begin(tokenizer, token):
    identifier = tokenizer.token_to_id(token)
    return processors.TemplateProcessing(
        single=f"{token} $A", pair=f"{token} $A {token}:1 $B:1", special_tokens=[(token, identifier)])


def llama3():
    def ignore_merges(file):
        file["model"]["ignore_merges"] = True
        # Tokens that no merge leads to: only a whole piece can be them.
        for extra in ["Ġunmergeable", "xyzzy", "ĠXYZ"]:
            file["model"]["vocab"][extra] = len(file["model"]["vocab"])

    tokenizer = adjusted(train(byte_level(split(LLAMA3)), size=800), ignore_merges)
    tokenizer.add_special_tokens(special("<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|start_header_id|>"))
    tokenizer.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), begin(tokenizer, "<|begin_of_text|>")])
    return tokenizer


def qwen2():
    tokenizer = train(byte_level(split(QWEN2)), normalizers.NFC(), size=700)
    tokenizer.add_special_tokens(special("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False), AddedToken("</tool_call>", normalized=False)])
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)

    def legacy_merges(file):
        file["model"]["merges"] = [" ".join(merge) for merge in file["model"]["merges"]]

    return adjusted(tokenizer, legacy_merges)


def sentence_piece(normalizer, pre_tokenizer, fuse=True, drop_bytes=()):
    mark = normalizers.Replace(" ", "▁")
    tokenizer = train(pre_tokenizers.Metaspace(), mark, size=700, alphabet=False)
    file = json.loads(tokenizer.to_str())
    tokens = sorted(file["model"]["vocab"], key=file["model"]["vocab"].get)
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256) if byte not in drop_bytes]
    order = ["<unk>", "<s>", "</s>", *byte_tokens, *tokens, "▁▁", "▁▁▁▁"]
    file["model"]["vocab"] = {token: number for number, token in enumerate(dict.fromkeys(order))}
    file["model"]["merges"] += [["▁", "▁"], ["▁▁", "▁▁"]]
    file["model"].update(byte_fallback=True, fuse_unk=fuse, unk_token="<unk>")
    file["normalizer"] = None
    file["pre_tokenizer"] = None
    tokenizer = Tokenizer.from_str(json.dumps(file))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.add_special_tokens(special("<unk>", "<s>", "</s>"))
    tokenizer.post_processor = begin(tokenizer, "<s>")
    return tokenizer


def llama2():
    return sentence_piece(normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None)


def mistral():
    return sentence_piece(None, pre_tokenizers.Metaspace(prepend_scheme="first", split=False))


def metaspace():
    """Split Metaspace, and a fallback that lacks bytes, so that unknown tokens and byte tokens mix."""
    tokenizer = sentence_piece(
        normalizers.NFKC(), pre_tokenizers.Metaspace(prepend_scheme="always"), fuse=False, drop_bytes=(0xF0, 0xE2, 0x01))
    tokenizer.add_tokens([AddedToken("▁mark", normalized=True), AddedToken("ｗｉｄｅ", normalized=True)])
    return tokenizer


def gemma():
    tokenizer = sentence_piece(
        normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"), drop_bytes=(0xF0,))
    tokenizer.add_tokens([AddedToken("\n\n", normalized=False), AddedToken("▁▁▁", normalized=False)])
    return tokenizer


def gpt2(prefix):
    tokenizer = train(pre_tokenizers.ByteLevel(add_prefix_space=prefix), size=600)
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=True)])
    tokenizer.post_processor = processors.ByteLevel()
    return tokenizer


def roberta():
    tokenizer = gpt2(True)
    tokenizer.add_special_tokens([*special("<s>", "</s>"), AddedToken("<mask>", lstrip=True, special=True)])
    ends = [(token, tokenizer.token_to_id(token)) for token in ("</s>", "<s>")]
    tokenizer.post_processor = processors.RobertaProcessing(*ends)
    return tokenizer


def odd():
    """Added tokens of every kind behind a normalizer, and the rarer pre-tokenizers."""
    cut = pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation("contiguous"),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        pre_tokenizers.Digits(individual_digits=False),
        split("[0-9][0-9]", "merged_with_next", False),
    ])
    tokenizer = train(cut, normalizers.Sequence([normalizers.NFKD(), normalizers.Lowercase()]), size=600)
    tokenizer.add_tokens([
        AddedToken("<left>", lstrip=True, normalized=False),
        AddedToken("<right>", rstrip=True, normalized=False),
        AddedToken("<both>", lstrip=True, rstrip=True, normalized=False),
        AddedToken("Word", single_word=True, normalized=False),
        AddedToken("LOUD", normalized=True),
        AddedToken("Ångström", normalized=True),
        AddedToken("single", single_word=True, normalized=True, lstrip=True, rstrip=True),
        AddedToken("  ", normalized=False),
        AddedToken("<r", normalized=False),
        AddedToken("<right>er", normalized=False),
    ])
    return tokenizer


def stripped():
    """Behaviours that drop or join matches, inverted matches, and a normalizer that takes text away."""
    change = normalizers.Sequence([
        normalizers.Strip(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Replace(Regex(r"x+?y?"), "-="),
        normalizers.NFD(),
    ])
    cut = pre_tokenizers.Sequence([
        split(r"\d+|,", "removed"), split(r"\p{Lu}", "merged_with_previous"), split(r"[a-m]+", "contiguous", True),
        split(r"^.{1,3}|\w$", "merged_with_next", True),
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.Punctuation("merged_with_previous"),
        pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True),
    ])
    tokenizer = train(cut, change, size=500)
    return tokenizer


def qwen35():
    tokenizer = train(byte_level(split(QWEN35)), normalizers.NFC(), size=700)
    tokenizer.add_special_tokens(special("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    return tokenizer


def digits():
    """Cohere's and StarCoder's way: digits one by one, then GPT-2's cut."""
    cut = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    return train(cut, normalizers.NFC(), size=600)


def word_piece(normalizer, size, **settings):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", **settings))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=names, show_progress=False, min_frequency=1)
    tokenizer.train_from_iterator(CORPUS.split("\n"), trainer)
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends)
    return tokenizer


def bert():
    return word_piece(normalizers.BertNormalizer(), 700)


def cased():
    """A short limit, so that long words are unknown, and accents taken off without making letters small."""
    normalizer = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=True, strip_accents=True, lowercase=False)
    tokenizer = word_piece(normalizer, 600, max_input_chars_per_word=7)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def words():
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.StripAccents()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.CharDelimiterSplit("e"), pre_tokenizers.Whitespace()])
    trainer = trainers.WordLevelTrainer(special_tokens=["[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(CORPUS.split("\n"), trainer)
    return tokenizer


RULES = [
    ("ﬁ", "fi"), ("①", "1"), ("½", "1⁄2"), ("e\u0301", "é"), ("u\u0308", "ü"), ("\u212b", "Å"), ("ｗ", "w"), ("ｉ", "i"), ("ｄ", "d"),
    ("ｅ", "e"), ("\u3000", " "), ("\u00a0", " "), ("\t", " "), ("\n", " "), ("\r", " "), ("\u200b", ""), ("\u200d", ""), ("\ufeff", ""),
    ("\u0000", ""), ("か\u3099", "が"), ("\u1100\u1161", "가"), ("\u1100\u1161\u11a8", "각"), ("…", "..."), ("\u2028", " "), ("が", "か"),
    ("한", "\u1112\u1161\u11ab"), ("\U0001d7d8", "0"), ("\U0002f800", "丽"), ("ſ", "s"), ("Å", "å"), ("\u0f73", "\u0f71\u0f72"),
]


def character_map():
    """The map of characters that sentencepiece compiles of these rules."""
    with tempfile.TemporaryDirectory() as folder:
        rules = Path(folder) / "rules.tsv"
        code = lambda text: " ".join(f"{ord(letter):X}" for letter in text)
        rules.write_text("".join(f"{code(old)}\t{code(new)}\n" for old, new in RULES if old != "\0"), encoding="utf-8")
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(["a b c"] * 10), model_prefix=f"{folder}/map", vocab_size=8, model_type="char",
            hard_vocab_limit=False, normalization_rule_tsv=str(rules), minloglevel=5)
        model = sentencepiece_model_pb2.ModelProto.FromString((Path(folder) / "map.model").read_bytes())
    return normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)


def unigram(normalizer, pre_tokenizer, byte_fallback=False, step=0.31):
    """The tokens that byte-pair encoding learns, with scores that fall with their places, many of them equal."""
    learned = train(pre_tokenizers.Metaspace(), normalizer, size=700, alphabet=False).get_vocab()
    tokens = sorted(learned, key=learned.get)
    byte_tokens = [(f"<0x{byte:02X}>", 0.0) for byte in range(256) if byte_fallback and byte != 0xF0]
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *byte_tokens]
    pieces += [(token, -3 - step * math.floor(10 * math.log(place + 1)) + 0.7 * len(token)) for place, token in enumerate(tokens)]
    pieces += [("the", -9.5), (tokens[40], -7.25)]
    tokenizer = Tokenizer(models.Unigram(pieces, 2, byte_fallback))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.add_special_tokens(special("<pad>", "</s>", "<unk>"))
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return tokenizer


def t5():
    return unigram(
        character_map(), pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]))


def albert():
    change = normalizers.Sequence([
        normalizers.Replace("``", '"'), normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(), character_map(),
        normalizers.Replace(Regex(" {2,}"), "▁"),
    ])
    return unigram(change, pre_tokenizers.Metaspace(prepend_scheme="never"), step=0.011)


def bytes_first():
    return unigram(character_map(), pre_tokenizers.Metaspace(prepend_scheme="first"), byte_fallback=True)


KINDS = {
    "llama3": llama3,
    "qwen2": qwen2,
    "llama2": llama2,
    "mistral": mistral,
    "metaspace": metaspace,
    "gemma": gemma,
    "gpt2": lambda: gpt2(False),
    "roberta": roberta,
    "o200k": lambda: train(byte_level(split(O200K)), size=600),
    "cl100k": lambda: train(byte_level(split(CL100K, "removed", True)), size=600),
    "deepseek": lambda: train(byte_level(*map(split, DEEPSEEK)), size=600),
    "odd": odd,
    "stripped": stripped,
    "qwen35": qwen35,
    "digits": digits,
    "bert": bert,
    "cased": cased,
    "words": words,
    "t5": t5,
    "albert": albert,
    "bytes": bytes_first,
}

SPECIALS = [
    "<|begin_of_text|>", "<|eot_id|>", "<|im_start|>", "<|im_end|>", "<tool_call>", "<|endoftext|>", "<s>", "</s>",
    "<unk>", "<mask>", "<left>", "<right>", "<both>", "Word", "LOUD", "loud", "Ångström", "ÅNGSTRÖM", "single",
    "  ", "<r", "<right>er", "▁mark", "wide", "ｗｉｄｅ", "<0x41>", "▁", "▁▁▁", "\n\n", "unmergeable", "xyzzy", "XYZ",
]
SPACES = [chr(c) for c in (*range(9, 14), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F,
                           0x205F, 0x3000)]
CONTRACTIONS = ["'s", "'S", "'ſ", "'t", "'RE", "'re", "'Ve", "'m", "'ll", "'lL", "'LL", "'d", "’s", "'K", "'K", "'"]
MARKS = [chr(c) for c in (0x300, 0x301, 0x308, 0x323, 0x327, 0x31B, 0x345, 0x334, 0x5B0, 0x5B1, 0x64B, 0x651, 0x93C,
                          0x94D, 0xF71, 0xF72, 0xF73, 0xF74, 0x3099, 0x309A, 0x20D0, 0x1D165, 0x1E2EC, 0x11930, 0x7FD)]
BASES = list("aeiouAEOUsSkKqdDnxzü") + [chr(c) for c in (0x391, 0x3B1, 0x3C9, 0x915, 0x95C, 0xB92, 0x304B, 0x30CF, 0x11935,
                                                         0x1100, 0x1161, 0x11A8, 0xAC00, 0xAC01, 0x212B, 0x2126, 0x1E9B,
                                                         0xFB01, 0xF900, 0x2F800, 0x1D15E, 0x0F40)]
ODDITIES = [chr(c) for c in (0, 1, 7, 0x1B, 0x7F, 0x80, 0x85, 0xAD, 0x34F, 0x61C, 0x180E, 0x200B, 0x200C, 0x200D, 0x200E,
                             0x202E, 0x2060, 0xD7FF, 0xE000, 0xF8FF, 0xFDD0, 0xFEFF, 0xFFFC, 0xFFFD, 0xFFFE, 0xFFFF,
                             0x10000, 0x1FFFE, 0x2FFFF, 0xE0001, 0xE0100, 0xF0000, 0x10FFFD, 0x10FFFF, 0x378, 0x88F,
                             0x295, 0x166D, 0x111C9, 0x11DE0, 0xA7CE, 0x1ACF, 0x32FF, 0x1F16C)]
DIGITS = [chr(c) for c in (0x30, 0x39, 0xB2, 0xBD, 0x661, 0x6F5, 0x967, 0x9EA, 0xE53, 0x2160, 0x2460, 0x3007, 0x4E09,
                           0xFF15, 0x1D7D8, 0x1E952, 0x10107, 0x12400)]
EMOJI = ["😀", "👍🏽", "👩‍👩‍👧‍👦", "🇫🇷", "🇫", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "❤️", "1️⃣", "🧑🏿‍💻", "\u200d", "\ufe0f", "🏽"]
WORDS = ["the", "The", "merge", "models", "what", "Straße", "déjà", "naïve", "модели", "Λόγος", "模型", "カタカナ", "모델을",
         "السريع", "दुनिया", "isn't", "WEIGHTS", "camelCase", "x2", "3.14", "1,234,567", "10:45", "def", "return", "==",
         "++i", "//", "http://a.b/c?d=e&f", "e-mail", "_init_", "...", "!?", "—", "“quoted”", "ﬁne", "ǅ", "ǆ"]
BREAKS = ["\n", "\r", "\r\n", "\n\n", "\r\r\n", "\t", " ", "  ", "   ", "    ", " \n", "\n ", " \r\n  ", "\u2028"]


def scalar(chance):
    """Any scalar, the lower planes more often."""
    top = chance.choice([0x80, 0x250, 0x800, 0x3100, 0x10000, 0x20000, 0x110000])
    while True:
        value = chance.randrange(top)
        if not 0xD800 <= value < 0xE000:
            return chr(value)


def piece(chance):
    pool = chance.choice([SPECIALS, SPACES, CONTRACTIONS, MARKS, BASES, ODDITIES, DIGITS, EMOJI, WORDS, WORDS, BREAKS,
                          BREAKS, None])
    return scalar(chance) if pool is None else chance.choice(pool)


def random_text(chance):
    return "".join(piece(chance) for _ in range(chance.choice([1, 2, 2, 3, 3, 4, 5, 6, 8])))


def strings():
    chance = random.Random(20251020)
    texts = ["", *CORPUS.split("\n")]
    texts += SPECIALS + SPACES + CONTRACTIONS + MARKS + BASES + ODDITIES + DIGITS + EMOJI + WORDS + BREAKS
    texts += [f"a{space}b {space} c{space}" for space in SPACES]
    texts += [f"{word}{contraction}{chance.choice(['', ' x', 's'])}" for word in ("it", "IT", " ", "")
              for contraction in CONTRACTIONS]
    texts += [f"a{token}b" for token in SPECIALS] + [f" {token}{token} " for token in SPECIALS]
    texts += [f"{token[:-1]} {token[1:]}" for token in SPECIALS]
    texts += [letter * count for letter in "a 0\n!▁é한" for count in (2, 3, 7, 31, 64)]
    for base in BASES:
        texts += [base + "".join(chance.sample(MARKS, 3)) for _ in range(8)]
    for _ in range(150):
        texts.append("".join(chance.choice(chance.choice([MARKS, BASES])) for _ in range(6)))
        texts.append("".join(chr(chance.randrange(0x1100, 0x1200)) for _ in range(3)))
        texts.append("".join(chance.choice(EMOJI) for _ in range(2)))
        texts.append("".join(chance.choice(DIGITS) for _ in range(4)))
        texts.append("".join(chance.choice("\r\n\t ") for _ in range(7)) + chance.choice(["", "x"]))
    while len(set(texts)) < 4100:
        texts.append(random_text(chance))
    return list(dict.fromkeys(texts))


def leb128(number):
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return encoded


def packed(lists):
    return b"".join(leb128(len(numbers)) + b"".join(map(leb128, numbers)) for numbers in lists)


def main():
    FOLDER.mkdir(exist_ok=True)
    texts = strings()
    (FOLDER / "strings.json").write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8", newline="")
    for kind, build in KINDS.items():
        file = build().to_str()
        tokenizer = Tokenizer.from_str(file)
        (FOLDER / f"{kind}.json").write_text(json.dumps(json.loads(file), ensure_ascii=False, separators=(",", ":")),
                                             encoding="utf-8", newline="")
        ids = [tokenizer.encode(text).ids for text in texts]
        ids += [tokenizer.encode(text, add_special_tokens=False).ids for text in texts[:WITHOUT_SPECIAL_TOKENS]]
        (FOLDER / f"{kind}.ids").write_bytes(packed(ids))
        print(kind, tokenizer.get_vocab_size(), sum(map(len, ids)) / len(ids), file=sys.stderr)


if __name__ == "__main__":
    main()
