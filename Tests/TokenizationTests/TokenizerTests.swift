import Diagnostics
import JSON
import Testing
import Tokenization

@Suite("A tokenizer")
struct TokenizerTests {
  @Test("Truncation keeps the template's tokens and the beginning of the text")
  func truncation() throws {
    let tokenizer = try Fixtures.tokenizer("roberta")
    let all = try tokenizer.encode("Merging models keeps what each of them learned.")
    for maximum in 2...(all.count + 1) {
      let kept = min(maximum, all.count)
      let expected = Array(all.dropLast().prefix(kept - 1)) + [all[all.count - 1]]
      #expect(
        try tokenizer.encode("Merging models keeps what each of them learned.", truncatedTo: maximum) == expected)
    }
  }

  @Test("Truncation without special tokens has the whole room for the text")
  func truncationWithoutSpecialTokens() throws {
    let tokenizer = try Fixtures.tokenizer("roberta")
    let all = try tokenizer.encode("one two three", addSpecialTokens: false)
    #expect(try tokenizer.encode("one two three", addSpecialTokens: false, truncatedTo: 2) == Array(all.prefix(2)))
    #expect(try tokenizer.encode("one two three", addSpecialTokens: false, truncatedTo: 0).isEmpty)
  }

  @Test("A maximum that the template alone exceeds is refused")
  func noRoom() throws {
    let tokenizer = try Fixtures.tokenizer("roberta")
    #expect(failure { try tokenizer.encode("text", truncatedTo: 1) }?.category == .usage)
    #expect(try tokenizer.encode("text", truncatedTo: 2).count == 2)
  }

  @Test("Ids and tokens lead to each other")
  func tokens() throws {
    let tokenizer = try Fixtures.tokenizer("llama3")
    #expect(tokenizer.vocabularySize == 807)
    #expect(tokenizer.token(0) == "!")
    #expect(tokenizer.token(-1) == nil)
    #expect(tokenizer.token(1_000_000) == nil)
    let identifiers = try tokenizer.encode("the fox", addSpecialTokens: false)
    #expect(identifiers.compactMap(tokenizer.token).joined() == "theĠfox")
    #expect(try tokenizer.encode("").compactMap(tokenizer.token) == ["<|begin_of_text|>"])
  }

  @Test("A long run of one character takes no square time")
  func longRun() throws {
    let tokenizer = try Fixtures.tokenizer("llama2")
    let text = String(repeating: " ", count: 200_000)
    #expect(try tokenizer.encode(text).count > 1000)
    #expect(try tokenizer.encode(text, truncatedTo: 8).count == 8)
  }

  @Test("Lazy repetitions in a row find out in linear time that nothing matches")
  func lazyRepetitions() throws {
    let split: JSONValue = [
      "type": "Split", "pattern": ["Regex": ".*?.*?.*?.*?.*?c"], "behavior": "Isolated", "invert": false,
    ]
    let tokenizer = try SmallTokenizer.tokenizer(with: [("pre_tokenizer", split)])
    #expect(try tokenizer.encode(String(repeating: "a", count: 3000)).count == 3000)
  }

  @Test("Nested repetitions take no exponential time")
  func nestedRepetitions() throws {
    let split: JSONValue = [
      "type": "Split", "pattern": ["Regex": "(?:a+b?|ab*)+c"], "behavior": "Isolated", "invert": false,
    ]
    let tokenizer = try SmallTokenizer.tokenizer(with: [("pre_tokenizer", split)])
    #expect(try tokenizer.encode(String(repeating: "a", count: 60)) == Array(repeating: 0, count: 60))
    #expect(try tokenizer.encode(String(repeating: "a", count: 60) + "bcb").suffix(3) == [3, 2, 1])
  }
}

/// The failure that a piece of work throws; nil when it throws nothing or something else.
func failure<Result>(_ work: () throws -> Result) -> Failure? {
  do {
    _ = try work()
    return nil
  } catch {
    return error as? Failure
  }
}
