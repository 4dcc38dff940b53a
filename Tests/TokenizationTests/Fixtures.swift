import Diagnostics
import Foundation
import JSON
import Tokenization

/// The tokenizers, texts and golden ids that `generate.py` wrote.
enum Fixtures {
  /// The kinds of tokenizer, named after the families whose components they have.
  static let kinds = [
    "albert", "bert", "bytes", "cased", "cl100k", "deepseek", "digits", "gemma", "gpt2", "llama2", "llama3",
    "metaspace",
    "mistral", "o200k", "odd", "qwen2", "qwen35", "roberta", "stripped", "t5", "words",
  ]

  /// How many texts, from the first on, are also encoded without special tokens.
  static let countWithoutSpecialTokens = 400

  /// The texts, the same for every kind.
  static func texts() throws -> [String] {
    (try document("strings.json").array ?? []).compactMap(\.string)
  }

  /// The file of one kind.
  static func json(_ kind: String) throws -> JSONValue { try document("\(kind).json") }

  /// A document of the folder.
  static func document(_ name: String) throws -> JSONValue { try JSONValue(parsing: try bytes(name), from: name) }

  /// The tokenizer of one kind.
  static func tokenizer(_ kind: String) throws -> Tokenizer {
    try Tokenizer(json: try json(kind), subject: "\(kind).json")
  }

  /// The ids of all texts with special tokens, then of the first ones without.
  static func identifiers(_ kind: String) throws -> [[Int32]] {
    var numbers = LEB128Numbers(bytes: try bytes("\(kind).ids"))
    var lists: [[Int32]] = []
    while let count = numbers.next() {
      lists.append((0..<count).compactMap { _ in numbers.next().map { Int32($0) } })
    }
    return lists
  }

  /// The path of a file in the folder.
  static func path(_ name: String) throws -> String {
    guard let folder = Bundle.module.resourcePath else { throw CocoaError(.fileNoSuchFile) }
    return "\(folder)/Fixtures/\(name)"
  }

  private static func bytes(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: URL(fileURLWithPath: try path(name))))
  }
}

/// Numbers in groups of seven bits, the lowest first.
private struct LEB128Numbers {
  let bytes: [UInt8]
  var position = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func next() -> Int? {
    guard position < bytes.count else { return nil }
    var number = 0
    var shift = 0
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      number |= Int(byte & 0x7F) << shift
      shift += 7
      if byte < 0x80 { break }
    }
    return number
  }
}
