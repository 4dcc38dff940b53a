import JSON
import Testing
import Tokenization

@Suite("Tokens that are declared beside tokenizer.json")
struct DeclaredTokenTests {
  /// A directory that transformers loaded: `generate_declared.py` says how.
  struct Case: CustomTestStringConvertible {
    let name: String
    let files: [String: JSONValue]
    let text: String
    let identifiers: [Int]
    /// The added tokens that transformers has then, by row.
    let rows: [(row: Int32, token: String)]

    var testDescription: String { name }

    init?(_ json: JSONValue) {
      guard let name = json["name"]?.string, let files = json["files"]?.object, let text = json["text"]?.string,
        let identifiers = json["ids"]?.array, let rows = json["rows"]?.object
      else { return nil }
      self.name = name
      self.files = Dictionary(uniqueKeysWithValues: files.members.map { ($0.key, $0.value) })
      self.text = text
      self.identifiers = identifiers.compactMap(\.integer)
      self.rows = rows.members.compactMap { member in
        Int32(member.key).flatMap { row in member.value.string.map { (row, $0) } }
      }
    }
  }

  static let cases = (try? Fixtures.document("declared.json").array) ?? []

  @Test("They count as in transformers", arguments: cases.compactMap(Case.init))
  func declared(directory: Case) throws {
    let document = try TokenizerDocument(
      try Fixtures.json("qwen35"), companions: directory.files, subject: directory.name)
    let tokenizer = try Tokenizer(document)
    #expect(try tokenizer.encode(directory.text).map(Int.init) == directory.identifiers)
    for (row, token) in directory.rows { #expect(tokenizer.token(row) == token) }
  }

  @Test("Every case was read")
  func count() { #expect(Self.cases.count == 21 && Self.cases.compactMap(Case.init).count == 21) }

  @Test("They count in the comparison")
  func comparison() throws {
    func document(_ token: String) throws -> TokenizerDocument {
      try TokenizerDocument(
        SmallTokenizer.json, companions: ["tokenizer_config.json": ["extra_special_tokens": [.string(token)]]],
        subject: token)
    }
    let comparison = try TokenizerComparison(try document("<one>"), try document("<two>"))
    #expect(comparison.conflicts == ["row 5 is \"<one>\" here and \"<two>\" there"])
  }

  @Test("A declaration that is none is refused by its file")
  func malformed() throws {
    let files: [(String, JSONValue)] = [
      ("tokenizer_config.json", ["added_tokens_decoder": ["x": ["content": "<one>"]]]),
      ("tokenizer_config.json", ["added_tokens_decoder": ["7": ["lstrip": true]]]),
      ("tokenizer_config.json", ["added_tokens_decoder": [1]]), ("added_tokens.json", [1]),
      ("added_tokens.json", ["<one>": "seven"]),
    ]
    for (name, content) in files {
      let failure = failure {
        try TokenizerDocument(SmallTokenizer.json, companions: [name: content], subject: "small")
      }
      #expect(failure?.subject == name, "\(content)")
    }
  }
}
