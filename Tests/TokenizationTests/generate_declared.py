"""Writes Fixtures/declared.json: ids of transformers for tokenizers whose tokens are declared beside tokenizer.json.

    pip install transformers==5.24.0 tokenizers==0.23.3
    python Tests/TokenizationTests/generate_declared.py

Every case is a directory with Fixtures/qwen35.json as its tokenizer.json and the files of the case beside it.
"""

import json
import shutil
import tempfile
from pathlib import Path

import transformers
from transformers import AutoTokenizer

assert transformers.__version__ == "5.24.0", transformers.__version__

FOLDER = Path(__file__).parent / "Fixtures"
CONFIGURATION = "tokenizer_config.json"
MAP = "special_tokens_map.json"
ADDED = "added_tokens.json"
TEXT = "a <one> b<two>  <three> <|im_end|> the <one><two> <bos>quick<pad> ONE <image> <|endoftext|>"


def token(content, **flags):
    return dict(content=content, lstrip=False, rstrip=False, normalized=False, single_word=False, special=True) | flags


CASES = {
    "nothing": {},
    "decoder": {CONFIGURATION: {"added_tokens_decoder": {"703": token("<one>"), "704": token("<two>")}}},
    "decoder out of order": {CONFIGURATION: {"added_tokens_decoder": {"720": token("<two>"), "99": token("<one>"), "1000": token("<three>")}}},
    "decoder with flags": {CONFIGURATION: {"added_tokens_decoder": {
        "703": token("<one>", lstrip=True, special=False), "704": token("<two>", rstrip=True, normalized=True), "705": {"content": "<three>"}}}},
    "decoder changes flags": {CONFIGURATION: {"added_tokens_decoder": {"702": token("<|im_end|>", lstrip=True, rstrip=True)}}},
    "decoder hides the others": {
        CONFIGURATION: {"added_tokens_decoder": {"703": token("<one>")}}, ADDED: {"<two>": 704}, MAP: {"additional_special_tokens": ["<three>"]}},
    "empty decoder": {CONFIGURATION: {"added_tokens_decoder": {}}, ADDED: {"<two>": 704}},
    "added": {ADDED: {"<two>": 704, "<one>": 703}},
    "added and special": {ADDED: {"<one>": 703, "<two>": 704}, CONFIGURATION: {"extra_special_tokens": ["<two>"], "bos_token": "<three>"}},
    "added on a row that is taken": {ADDED: {"<one>": 700, "<two>": 701}},
    "map": {MAP: {"additional_special_tokens": ["<one>", "<two>"]}},
    "map with names": {MAP: {"bos_token": token("<bos>", lstrip=True), "pad_token": "<pad>", "eos_token": "<|im_end|>"}},
    "map over the configuration": {CONFIGURATION: {"pad_token": "<one>"}, MAP: {"pad_token": "<pad>"}},
    "map with extra": {CONFIGURATION: {"extra_special_tokens": ["<one>"]}, MAP: {"extra_special_tokens": ["<two>", token("<three>")]}},
    "extra": {CONFIGURATION: {"extra_special_tokens": ["<two>", "<one>"]}},
    "extra by name": {CONFIGURATION: {"extra_special_tokens": {"image_token": "<image>", "one_token": "<one>"}}},
    "additional": {CONFIGURATION: {"additional_special_tokens": ["<one>", "<|im_end|>", "<two>"]}},
    "additional beside none extra": {CONFIGURATION: {"extra_special_tokens": [], "additional_special_tokens": ["<one>"]}},
    "named": {CONFIGURATION: {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": None, "image_token": "<image>", "unk_token": "<one>"}},
    "named and in the vocabulary": {CONFIGURATION: {"bos_token": "the", "eos_token": "<|endoftext|>"}},
    "named with flags": {CONFIGURATION: {"pad_token": {"__type": "AddedToken", **token("<pad>", rstrip=True, special=False)}}},
    "named and declared": {CONFIGURATION: {"added_tokens_decoder": {"703": token("<one>", rstrip=True)}, "bos_token": "<one>", "pad_token": "<two>"}},
}


def main():
    cases = []
    for name, files in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(FOLDER / "qwen35.json", f"{folder}/tokenizer.json")
            files = {CONFIGURATION: {}, **files}
            files[CONFIGURATION] = {"tokenizer_class": "PreTrainedTokenizerFast", **files[CONFIGURATION]}
            for file, content in files.items():
                Path(folder, file).write_text(json.dumps(content))
            try:
                tokenizer = AutoTokenizer.from_pretrained(folder)
            except Exception as error:
                print(name, type(error).__name__, error)
                continue
            rows = {str(number): str(entry) for number, entry in tokenizer.added_tokens_decoder.items()}
            cases.append({"name": name, "files": files, "text": TEXT, "ids": tokenizer(TEXT).input_ids, "rows": rows})
            print(name, rows)
    (FOLDER / "declared.json").write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
