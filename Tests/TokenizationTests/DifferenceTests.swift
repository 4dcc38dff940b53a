import JSON
import Testing
import Tokenization

@Suite("The difference of two tokenizers")
struct DifferenceTests {
  @Test("A tokenizer does not differ from itself, nor by padding, truncation and decoder", arguments: Fixtures.kinds)
  func same(kind: String) throws {
    var file = try #require(try Fixtures.json(kind).object)
    let tokenizer = try Tokenizer(json: .object(file), subject: kind)
    file["padding"] = ["strategy": "BatchLongest"]
    file["truncation"] = ["max_length": 3]
    file["decoder"] = ["type": "Fuse"]
    let other = try Tokenizer(json: .object(file), subject: kind)
    #expect(tokenizer.difference(from: other) == nil)
    #expect(other.difference(from: tokenizer) == nil)
  }

  @Test("No two kinds are the same")
  func different() throws {
    let tokenizers = try Fixtures.kinds.map(Fixtures.tokenizer)
    for (index, first) in tokenizers.enumerated() {
      for other in tokenizers[(index + 1)...] {
        #expect(first.difference(from: other) != nil)
        #expect(other.difference(from: first) != nil)
      }
    }
  }

  @Test("The two spellings of merges are the same")
  func mergeSpelling() throws {
    let pairs = SmallTokenizer.json(withModel: [("merges", [["a", "b"]])])
    #expect(
      try SmallTokenizer.tokenizer().difference(from: try Tokenizer(json: pairs, subject: "small")) == nil)
  }

  @Test(
    "A changed model",
    arguments: [
      ("vocab", ["a": 0, "b": 1, "c": 2, "ab": 3, "?": 5], "\"?\" has the id 4 here and 5 there"),
      ("vocab", ["a": 0, "b": 1, "ab": 3, "?": 4], "\"c\" (id 2) is missing"),
      ("vocab", ["a": 0, "b": 1, "c": 2, "ab": 3, "?": 4, "d": 5], "5 tokens here and 6 there"),
      ("merges", [], "1 merges here and 0 there"), ("fuse_unk", true, "settings of the model"),
      ("ignore_merges", true, "settings of the model"),
    ] as [(String, JSONValue, String)])
  func model(name: String, value: JSONValue, words: String) throws {
    let other = try Tokenizer(json: SmallTokenizer.json(withModel: [(name, value)]), subject: "small")
    let difference = try SmallTokenizer.tokenizer().difference(from: other)
    #expect(difference?.contains(words) == true, "\(difference ?? "none")")
  }

  @Test("Merges in another order")
  func mergeOrder() throws {
    let vocabulary: JSONValue = ["a": 0, "b": 1, "ab": 2, "ba": 3]
    func tokenizer(_ merges: JSONValue) throws -> Tokenizer {
      let model: [(String, JSONValue)] = [("vocab", vocabulary), ("merges", merges), ("unk_token", .null)]
      return try Tokenizer(json: SmallTokenizer.json(withModel: model), subject: "small")
    }
    let difference = try tokenizer(["a b", "b a"]).difference(from: try tokenizer(["b a", "a b"]))
    #expect(difference == "merge 1 is \"a\" + \"b\" here and \"b\" + \"a\" there")
  }

  @Test(
    "A changed component",
    arguments: [
      ("normalizer", ["type": "NFC"], "normalizers"),
      ("pre_tokenizer", ["type": "Digits", "individual_digits": true], "pre-tokenizers"),
      ("post_processor", ["type": "BertProcessing", "cls": ["a", 0], "sep": ["b", 1]], "post-processors"),
      ("added_tokens", [SmallTokenizer.added("a")], "0 added tokens here and 1 there"),
    ] as [(String, JSONValue, String)])
  func component(name: String, value: JSONValue, words: String) throws {
    let difference = try SmallTokenizer.tokenizer().difference(
      from: try SmallTokenizer.tokenizer(with: [(name, value)]))
    #expect(difference?.contains(words) == true, "\(difference ?? "none")")
  }

  @Test("An added token that is found in another way, and one that merely is special")
  func addedToken() throws {
    func tokenizer(_ peculiarities: [(String, JSONValue)]) throws -> Tokenizer {
      try SmallTokenizer.tokenizer(with: [("added_tokens", [SmallTokenizer.added("<x>", peculiarities)])])
    }
    #expect(try tokenizer([]).difference(from: try tokenizer([("lstrip", true)]))?.contains("<x>") == true)
    #expect(try tokenizer([]).difference(from: try tokenizer([("special", true)])) == nil)
  }

  @Test("Canonically equivalent spellings are different tokens")
  func exactBytes() throws {
    func tokenizer(_ token: String) throws -> Tokenizer {
      let vocabulary = JSONValue.object(JSONObject([(token, 0)]))
      let model: [(String, JSONValue)] = [("vocab", vocabulary), ("merges", []), ("unk_token", .null)]
      return try Tokenizer(json: SmallTokenizer.json(withModel: model), subject: "small")
    }
    let (composed, decomposed) = (try tokenizer("\u{E9}"), try tokenizer("e\u{301}"))
    #expect(composed.difference(from: decomposed) != nil)
    #expect(try composed.encode("\u{E9}") == [0])
    #expect(try composed.encode("e\u{301}").isEmpty)
  }
}
