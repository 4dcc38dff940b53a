import Diagnostics
import JSON
import Testing
import Tokenization

@Suite("What the encoder does not do, it names")
struct RefusalTests {
  @Test(
    "A component of another kind",
    arguments: [
      ("normalizer", "Unheard"), ("pre_tokenizer", "UnicodeScripts"), ("pre_tokenizer", "FixedLength"),
      ("post_processor", "Unheard"), ("model", "Unheard"),
    ])
  func component(place: String, type: String) {
    let failure = failure { try SmallTokenizer.tokenizer(with: [(place, ["type": .string(type)])]) }
    #expect(failure?.category == .badData)
    #expect(failure?.got.contains(type) == true)
    #expect(failure?.operation.contains(place) == true)
    #expect(failure?.subject == "small")
  }

  @Test("A component inside a sequence is named with its place")
  func nested() {
    let sequence: JSONValue = [
      "type": "Sequence",
      "pretokenizers": [["type": "Digits", "individual_digits": true], ["type": "FixedLength"]],
    ]
    let failure = failure { try SmallTokenizer.tokenizer(with: [("pre_tokenizer", sequence)]) }
    #expect(failure?.operation == "read pre_tokenizer.pretokenizers[1]")
  }

  @Test(
    "Settings of the model",
    arguments: [
      ("dropout", JSONValue.double(0.1)), ("continuing_subword_prefix", "##"), ("end_of_word_suffix", "</w>"),
    ])
  func modelSetting(name: String, value: JSONValue) {
    let failure = failure { try Tokenizer(json: SmallTokenizer.json(withModel: [(name, value)]), subject: "small") }
    #expect(failure?.got.contains(name) == true)
  }

  @Test("Settings of the model that change nothing are none", arguments: [JSONValue.null, "", 0])
  func harmlessSetting(value: JSONValue) throws {
    let name = value.string == nil ? "dropout" : "end_of_word_suffix"
    let tokenizer = try Tokenizer(json: SmallTokenizer.json(withModel: [(name, value)]), subject: "small")
    #expect(try tokenizer.encode("abc") == [3, 2])
  }

  @Test(
    "A construct of a regular expression",
    arguments: [
      (#"(?<=a)b"#, "(?<"), (#"(?<name>a)"#, "(?<"), (#"\p{Han}"#, "Han"), (#"\bword"#, #"\b"#), (#"(a)\1"#, #"\1"#),
      (#"[a&&b]"#, "&&"), (#"[[:alpha:]]"#, "[:"), (#"(?i:é)"#, "beyond ASCII"), (#"(?i:\p{Lu})"#, "Lu"),
      (#"(?i:miss)"#, "ss"), (#"(?i:[a[^b]])"#, "inner class"), (#"(?:a*)*"#, "empty"), (#"a**"#, "quantifier"),
      (#"(?m:.)"#, "(?m"),
      (#"(a"#, "without ')'"), (#"a)"#, "unmatched"), (#"*a"#, "nothing to repeat"), (#"[b-a]"#, "backwards"),
      (#"[a"#, "breaks off"), (#"\"#, "breaks off"), (#"a{2000}"#, "1000"), (#"\xE9"#, "E9"), (#"(?!a)*"#, "place"),
      (#"(?:(?:ab){1000}){1000}"#, "longer"),
      (String(repeating: "(", count: 10_000), "nested"), (String(repeating: "[", count: 10_000), "nested"),
    ])
  func construct(expression: String, name: String) {
    let split: JSONValue = [
      "type": "Split", "pattern": ["Regex": .string(expression)], "behavior": "Isolated", "invert": false,
    ]
    let failure = failure { try SmallTokenizer.tokenizer(with: [("pre_tokenizer", split)]) }
    #expect(failure?.got.contains(name) == true, "\(failure?.got ?? "accepted")")
  }

  @Test("Files that are not tokenizers")
  func malformed() {
    #expect(failure { try Tokenizer(json: [], subject: "small") } != nil)
    #expect(failure { try Tokenizer(json: [:], subject: "small") }?.expected == "a member \"model\"")
    #expect(failure { try SmallTokenizer.tokenizer(with: [("version", "2.0")]) }?.got == "version 2.0")
    let models: [[(String, JSONValue)]] = [
      [("vocab", ["a": -1])], [("vocab", ["a": "b"])], [("merges", ["a b c"])], [("merges", ["a z"])],
      [("merges", [["a"]])], [("merges", ["b a"])], [("merges", 1)],
    ]
    for model in models {
      #expect(
        failure { try Tokenizer(json: SmallTokenizer.json(withModel: model), subject: "small") }?.category == .badData)
    }
  }

  @Test(
    "A pattern whose search takes more steps than its text allows",
    arguments: ["(a+)+$", "(?=(a+)+b)", "(a|a)*$", "(?!(a+)+b)b"])
  func hostilePattern(expression: String) throws {
    let split: JSONValue = [
      "type": "Split", "pattern": ["Regex": .string(expression)], "behavior": "Isolated", "invert": false,
    ]
    let tokenizer = try SmallTokenizer.tokenizer(with: [("pre_tokenizer", split)])
    let failure = failure { try tokenizer.encode(String(repeating: "a", count: 3000) + "c") }
    #expect(failure?.operation == "match the expression \(expression)")
    #expect(failure?.expected.contains("3001 bytes") == true && failure?.subject == "small")
  }

  @Test("Maps of characters that are none")
  func characterMaps() {
    // Not base64; no trie; a trie longer than the map; replacements that are no UTF-8.
    for map in ["!", "", "BAAAAA==", "/////wAAAAA=", "BAAAAAAAAAD/"] {
      let normalizer: JSONValue = ["type": "Precompiled", "precompiled_charsmap": .string(map)]
      let failure = failure { try SmallTokenizer.tokenizer(with: [("normalizer", normalizer)]) }
      #expect(failure?.operation == "read normalizer.precompiled_charsmap", "\(map)")
    }
  }

  @Test("Models of other kinds that are not what they have to be")
  func malformedModels() {
    let models: [JSONValue] = [
      ["type": "Unigram", "vocab": [["a"]]], ["type": "Unigram", "vocab": ["a"]],
      ["type": "Unigram", "vocab": [[1, 2]]],
      ["type": "Unigram", "vocab": [["a", 1]], "unk_id": 1], ["type": "WordPiece", "vocab": ["a": 0]],
      [
        "type": "WordPiece", "vocab": ["a": 0], "unk_token": "?", "continuing_subword_prefix": "##",
        "max_input_chars_per_word": -1,
      ], ["type": "WordLevel", "vocab": ["a": 0]],
    ]
    for model in models {
      #expect(failure { try SmallTokenizer.tokenizer(with: [("model", model)]) }?.category == .badData, "\(model)")
    }
  }

  @Test("A text that needs an unknown token which the vocabulary lacks")
  func missingUnknown() throws {
    let missing = try Tokenizer(json: SmallTokenizer.json(withModel: [("unk_token", "<unk>")]), subject: "small")
    #expect(try missing.encode("abc") == [3, 2])
    #expect(failure { try missing.encode("abd") }?.expected.contains("<unk>") == true)
  }

  @Test("A model without an unknown token leaves out what it does not know, as the package does")
  func noUnknown() throws {
    let silent = try Tokenizer(json: SmallTokenizer.json(withModel: [("unk_token", .null)]), subject: "small")
    #expect(try silent.encode("adbzab") == [3, 3])
  }

  @Test("Metaspace that marks the first piece, where it is not clear which that is")
  func unclearBeginning() {
    let first: JSONValue = ["type": "Metaspace", "replacement": "▁", "prepend_scheme": "first"]
    let strip: JSONValue = ["type": "Strip", "strip_left": true, "strip_right": false]
    #expect(failure { try SmallTokenizer.tokenizer(with: [("pre_tokenizer", first)]) } == nil)
    let refused = failure { try SmallTokenizer.tokenizer(with: [("pre_tokenizer", first), ("normalizer", strip)]) }
    #expect(refused?.got.contains("first") == true)
  }

  @Test("An added token that the normalizer leaves nothing of")
  func vanishingToken() {
    let strip: JSONValue = ["type": "Strip", "strip_left": true, "strip_right": true]
    let space = SmallTokenizer.added(" ", [("normalized", true)])
    #expect(failure { try SmallTokenizer.tokenizer(with: [("normalizer", strip), ("added_tokens", [space])]) } != nil)
  }
}
