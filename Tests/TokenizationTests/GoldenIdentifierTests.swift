import Testing
import Tokenization

@Suite("The ids of the tokenizers package")
struct GoldenIdentifierTests {
  @Test("Every text has the same ids", arguments: Fixtures.kinds)
  func everyText(kind: String) throws {
    let tokenizer = try Fixtures.tokenizer(kind)
    let texts = try Fixtures.texts()
    let expected = try Fixtures.identifiers(kind)
    try #require(texts.count >= 4000 && expected.count == texts.count + Fixtures.countWithoutSpecialTokens)

    var wrong: [String] = []
    for (index, identifiers) in expected.enumerated() {
      let text = texts[index % texts.count]
      let encoded = try tokenizer.encode(text, addSpecialTokens: index < texts.count)
      if encoded != identifiers { wrong.append("\(index) \(text.debugDescription): \(encoded), not \(identifiers)") }
    }
    let examples = wrong.prefix(5).map { String($0.prefix(400)) }.joined(separator: "\n")
    #expect(wrong.isEmpty, "\(wrong.count) of \(expected.count) texts differ:\n\(examples)")
  }
}
