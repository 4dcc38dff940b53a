import JSON
import Testing
import Tokenization

@Suite("The comparison of two tokenizers")
struct ComparisonTests {
  private func comparison(_ here: JSONValue, _ there: JSONValue) throws -> TokenizerComparison {
    try TokenizerComparison(
      try TokenizerDocument(here, subject: "here"), try TokenizerDocument(there, subject: "there"))
  }

  @Test("A tokenizer does not differ from itself, nor by padding, truncation and decoder", arguments: Fixtures.kinds)
  func same(kind: String) throws {
    let file = try Fixtures.json(kind)
    var other = try #require(file.object)
    other["padding"] = ["strategy": "BatchLongest"]
    other["truncation"] = ["max_length": 3]
    other["decoder"] = ["type": "Fuse"]
    let comparison = try comparison(file, .object(other))
    #expect(comparison.difference == nil && comparison.notes.isEmpty)
  }

  @Test("Tokenizers of other vocabularies are in conflict, in both directions")
  func different() throws {
    let kinds = ["llama3", "qwen2", "gemma", "bert", "t5", "words"]
    let files = try kinds.map(Fixtures.json)
    for (index, first) in files.enumerated() {
      for other in files[(index + 1)...] {
        #expect(try !comparison(first, other).conflicts.isEmpty)
        #expect(try !comparison(other, first).conflicts.isEmpty)
      }
    }
  }

  @Test("The two spellings of merges are the same")
  func mergeSpelling() throws {
    let pairs = SmallTokenizer.json(withModel: [("merges", [["a", "b"]])])
    #expect(try comparison(SmallTokenizer.json, pairs).difference == nil)
  }

  @Test(
    "Another token on a row, a token on another row, and other merges are conflicts",
    arguments: [
      ("vocab", ["a": 0, "b": 1, "ab": 3, "?": 4, "d": 2], "row 2 is \"c\" here and \"d\" there"),
      (
        "vocab", ["b": 0, "a": 1, "c": 2, "ab": 3, "?": 4],
        "row 0 is \"a\" here and \"b\" there, the first of 2 such rows"
      ),
      ("vocab", ["a": 0, "b": 1, "c": 2, "ab": 3, "?": 5], "the token \"?\" is row 4 here and 5 there"),
      ("merges", [], "1 merges here and 0 there"),
      ("merges", ["a a"], "merge 1 is \"a\" + \"b\" here and \"a\" + \"a\" there"),
    ] as [(String, JSONValue, String)])
  func conflict(name: String, value: JSONValue, words: String) throws {
    let comparison = try comparison(SmallTokenizer.json, SmallTokenizer.json(withModel: [(name, value)]))
    #expect(comparison.conflicts.count == 1)
    #expect(comparison.conflicts.first?.contains(words) == true, "\(comparison.conflicts)")
    #expect(comparison.difference == comparison.conflicts.first)
  }

  @Test("A token that one tokenizer alone has is growth and no conflict")
  func growth() throws {
    let added = SmallTokenizer.json(with: [("added_tokens", [SmallTokenizer.added("<x>"), SmallTokenizer.added("a")])])
    let comparison = try comparison(SmallTokenizer.json, added)
    #expect(comparison.conflicts.isEmpty && comparison.onlyHere.isEmpty)
    #expect(comparison.onlyThere == [TokenizerComparison.Growth(identifier: 5, token: "<x>")])
    #expect(comparison.difference == "the token \"<x>\" (row 5) is missing here")
    #expect(comparison.notes == ["\"a\" is one of the vocabulary here and an added token there"])
    let shorter = SmallTokenizer.json(withModel: [("vocab", ["a": 0, "b": 1, "ab": 3, "?": 4])])
    #expect(
      try self.comparison(SmallTokenizer.json, shorter).onlyHere
        == [TokenizerComparison.Growth(identifier: 2, token: "c")])
  }

  @Test(
    "What decides how text is cut, and not what a row means, is noted",
    arguments: [
      ("normalizer", ["type": "NFC"], "normalizer is "),
      ("pre_tokenizer", ["type": "Digits", "individual_digits": true], "pre_tokenizer is "),
      ("post_processor", ["type": "BertProcessing", "cls": ["a", 0], "sep": ["b", 1]], "post_processor is "),
    ] as [(String, JSONValue, String)])
  func component(name: String, value: JSONValue, words: String) throws {
    let comparison = try comparison(SmallTokenizer.json, SmallTokenizer.json(with: [(name, value)]))
    #expect(comparison.difference == nil)
    #expect(comparison.notes.count == 1 && comparison.notes.first?.hasPrefix(words) == true, "\(comparison.notes)")
  }

  @Test("Settings of the model are noted, unless they say what their absence says")
  func settings() throws {
    for (name, value) in [("ignore_merges", true), ("fuse_unk", true), ("unk_token", "a")] as [(String, JSONValue)] {
      let comparison = try comparison(SmallTokenizer.json, SmallTokenizer.json(withModel: [(name, value)]))
      #expect(comparison.difference == nil)
      #expect(comparison.notes.first?.contains("model.\(name)") == true)
    }
    for (name, value) in [("ignore_merges", false), ("end_of_word_suffix", "")] as [(String, JSONValue)] {
      #expect(try comparison(SmallTokenizer.json, SmallTokenizer.json(withModel: [(name, value)])).notes.isEmpty)
    }
  }

  @Test("Scores are noted")
  func scores() throws {
    func model(_ score: Double) -> JSONValue {
      ["model": ["type": "Unigram", "unk_id": 0, "vocab": [["?", 0], ["a", .double(score)]]]]
    }
    let comparison = try comparison(model(-1), model(-2))
    #expect(comparison.difference == nil)
    #expect(comparison.notes == ["1 scores of the vocabulary differ"])
  }

  @Test("An added token that is found in another way is noted, one that merely is special is not")
  func flags() throws {
    func file(_ peculiarities: [(String, JSONValue)]) -> JSONValue {
      SmallTokenizer.json(with: [("added_tokens", [SmallTokenizer.added("<x>", peculiarities)])])
    }
    let comparison = try comparison(file([]), file([("lstrip", true)]))
    #expect(comparison.difference == nil)
    #expect(comparison.notes == ["the added token \"<x>\" is looked for in another way"])
    #expect(try self.comparison(file([]), file([("special", true)])).notes.isEmpty)
  }

  @Test("A tokenizer of a kind that is not run here is compared like any other")
  func unknownKind() throws {
    func file(_ token: String) -> JSONValue {
      ["model": ["type": "Unheard", "vocab": .object(JSONObject([(token, 0)]))], "pre_tokenizer": ["type": "Unheard"]]
    }
    #expect(try comparison(file("a"), file("a")).difference == nil)
    #expect(try comparison(file("a"), file("b")).conflicts == ["row 0 is \"a\" here and \"b\" there"])
  }

  @Test("Canonically equivalent spellings are different tokens")
  func exactBytes() throws {
    func file(_ token: String) -> JSONValue {
      let vocabulary = JSONValue.object(JSONObject([(token, 0)]))
      return SmallTokenizer.json(withModel: [("vocab", vocabulary), ("merges", []), ("unk_token", .null)])
    }
    #expect(try !comparison(file("\u{E9}"), file("e\u{301}")).conflicts.isEmpty)
    let composed = try Tokenizer(json: file("\u{E9}"), subject: "composed")
    #expect(try composed.encode("\u{E9}") == [0])
    #expect(try composed.encode("e\u{301}").isEmpty)
  }
}
