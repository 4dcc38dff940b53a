"""Writes Tests/Fixtures/yaml/corpus.json: YAML texts, and the values that PyYAML's safe_load_all reads in them.

    python -m venv oracle && oracle/bin/pip install PyYAML==6.0.3
    oracle/bin/python Tests/Generators/yaml_goldens.py

A value is written with its type: {"int": "5"}, {"float": "0.1"}, {"map": {...}}; a text that PyYAML refuses has null in place of
documents. What Recall refuses and PyYAML does not, such as a key that occurs twice, is in YAMLTests.
"""

import json
import os

import yaml

OUTPUT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "Fixtures", "yaml", "corpus.json")

SCALARS = """
~ null Null NULL nULL true True TRUE tRUE false yes Yes YES yEs no No NO on On ON off OFF y n Y N oui
0 1 -1 +1 -0 00 007 010 08 0o10 017 -017 0b101 -0b1_0 0b2 0x1F 0x_ff -0xff 0xg 1_000 1__0_ _1 9223372036854775807
-9223372036854775808 1:30 -1:30 1:60 1:05:59 0:30 190:20:30 190:20:30.15 1:2.5 12e03 1e5 1e-5 1E-5 1.0e5 1.0e-5 1.0e+5 1.e-5 1.E+2
.5 -.5 +.5 5. -5. 1.5 -1.5 +1.5 1_0.2_5 ._5 . .. ... .5.5 1.5.5 .inf -.inf +.inf .Inf .INF .iNF .nan .NaN .NAN -.nan inf nan
685.230_15e+03 0.1 0.30000000000000004 1.7976931348623157e+308 1.0e+400 4.9e-324 123456789.123456789 007.5 1e 1e+ 0x 0b
- --- -- a-b a:b a#b 1a 1-2 1,5 v1.0 1.2.3 10.0.0.1 +- -x <<a =a 2026-1-1 20261129 12:30:45 model.layers.0 ../a/b C:\\x org/name@rev+x
""".split()

TEXTS = [
    "", "\n", "# only a comment\n", "---\n", "---\n---\n", "--- a\n--- b\n...\n", "%YAML 1.1\n---\na\n", "\ufeffa: 1\n",
    "a: b", "a: b\r\nc: d\r\n", "a:\n  - b\n  - c: 1\n    d: 2\n  -\n    - 3\n", "a:\n- b\n- c\n", "a: [1, 2.5, [x, y], {z: null}]\n",
    "{a: 1, 'b': \"c\", d: , e}\n", "a: 'it''s'\nb: \"x\\ty\\u00e9\\U0001F600\\n\"\n", "a: |\n  one\n    two\n\n  three\nb: >\n  one\n  two\n\n  three\n",
    "a: |-\n  x\nb: >+\n  y\n\n\nc: |2\n   z\n", "a: one\n  two\n  three\n", "a: \"one\n  two\"\n", "a: # comment\n  b # more\n",
    "base: &base {w: 1, d: 0.5}\na: *base\nb:\n  <<: *base\n  w: 2\n", "a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc:\n  <<: [*a, *b]\n  z: 3\n",
    "x: &n 5\ny: *n\nz: [*n, *n]\n", "a: {<<: {b: 1, c: 2}, b: 3}\n", "'<<': {a: 1}\n", "a: &a {<<: {p: 1}, q: 2}\nb: {<<: *a, r: 3}\n",
    "a: !!str 12\nb: !!int '12'\nc: !!float 3\nd: !!bool 'Yes'\ne: !!null ''\nf: !!seq [1]\ng: !!map {h: 1}\ni: ! 12\n",
    "é: ü\n日本: 語\n", "? a\n: b\n", "- - - 1\n", "'yes': yes\n\"1\": 1\n", "tokens: {<|im_start|>: {source: a, force: true}}\n",
    "\"a\": !!float 1e5\n", "models:\n  - model: ./a\n    parameters:\n      weight: [0, 0.5, 1]\n      density:\n        - {filter: mlp, value: 0.5}\n        - value: 1\nmerge_method: ties\n",
    # What is no YAML.
    "a: b: c\n", "a: [1, 2\n", "a: 'x\n", "\ta: 1\n", "a: *b\n", "a: &x 1\nb: &x 2\n", "a:\n  b\n c\n", "- a\nb: c\n", "@a\n", "%x\n", "a: {<<: 1}\n",
    "a: !!int x\n", "a: !!float x\n", "a: !!bool x\n", "a: !thing x\n", "a: !!python/object:os.system x\n", "a: =\n", "[a]: 1\nx", "\"\\q\"\n", "a: <<\n", "0b_", "0x_",
]


def typed(value):
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return {"int": str(value)}
    if isinstance(value, float):
        return {"float": repr(value)}
    if isinstance(value, list):
        return [typed(element) for element in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"map": {key: typed(member) for key, member in value.items()}}
    raise TypeError(f"{value!r} has no place in the corpus")


def documents(text):
    try:
        return [typed(document) for document in yaml.safe_load_all(text)]
    except (yaml.YAMLError, ValueError, KeyError, IndexError):
        return None


texts = TEXTS + SCALARS + [f"key: {scalar}\n" for scalar in SCALARS]
with open(OUTPUT, "w") as file:
    entries = [json.dumps({"text": text, "documents": documents(text)}) for text in texts]
    file.write("[\n" + ",\n".join(entries) + "\n]\n")
