import Diagnostics
import Foundation
import JSON
import TestSupport
import Testing
import YAML

/// YAML through libyaml: values are PyYAML's, and what PyYAML lets pass and a recipe should not have is refused with its line.
@Suite struct YAMLTests {
  private static let corpus: [JSONValue] = {
    let path = "\(Fixtures.root)/yaml/corpus.json"
    let bytes = FileManager.default.contents(atPath: path).map { Array($0) } ?? []
    return (try? JSONValue(parsing: bytes, from: path).array) ?? []
  }()

  @Test("values are those that PyYAML reads") func values() throws {
    #expect(YAMLTests.corpus.count > 300)
    for entry in YAMLTests.corpus {
      let text = try #require(entry["text"]?.string)
      let expected = try #require(entry["documents"])
      let read = try? YAMLNode.documents(in: Array(text.utf8), from: "text")
      let typed = read.map { JSONValue.array($0.map(YAMLTests.typed)) } ?? .null
      #expect(YAMLTests.isSame(typed, expected), "\(text.debugDescription): \(typed.compact), not \(expected.compact)")
    }
  }

  @Test("every value has its line") func lines() throws {
    let text = "a: 1\nb:\n  - x\n\n  - y: |\n      z\nc: &n\n  d\ne: *n\n---\nf: 2\n"
    let documents = try YAMLNode.documents(in: Array(text.utf8), from: "text")
    let members = try #require(documents.first?.object)
    #expect(members.map(\.line) == [1, 2, 7, 9])
    #expect(members[1].value.array?.map(\.line) == [3, 5])
    #expect(members.map(\.value.line) == [1, 3, 7, 7])
    #expect(documents.last?.object?.first?.line == 11)
  }

  @Test(
    "what a recipe should not have is refused with its line",
    arguments: [
      ("a: 1\nb: 2\na: 3\n", 3, "a again"),
      ("a:\n  <<: {x: 1}\n  <<: {y: 1}\n", 3, "<< again"),
      ("a: 2026-11-29\n", 1, "the date 2026-11-29"),
      ("a: 2026-11-29 12:30:00\n", 1, "the date 2026-11-29 12:30:00"),
      ("a: 1\nyes: 1\n", 2, "yes"),
      ("a: 1\n5: 1\n", 2, "5"),
      ("? [a]\n: 1\n", 1, "another one"),
      ("a: 9223372036854775808\n", 1, "which has no 64 bits"),
      ("a: &a\n  b: *a\n", 2, "*a inside"),
      ("a: 1\nb: !thing 2\n", 2, "!thing"),
      ("a: 1\nb: [2\n", 3, "did not find expected"),
    ])
  func refusals(text: String, line: Int, got: String) throws {
    let failure = try #require(throws: Failure.self) {
      try YAMLNode.documents(in: Array(text.utf8), from: "recipe.yml")
    }
    #expect(failure.category == .badData)
    #expect(failure.subject == "recipe.yml, line \(line)")
    #expect(failure.got.contains(got), "\(failure)")
  }

  @Test("what is too large, too deep or repeated without end is refused") func bounds() throws {
    let deep = String(repeating: "[", count: 200) + String(repeating: "]", count: 200)
    let billion = (1...9).reduce("a0: &a0 [x, x, x, x, x, x, x, x, x]\n") { text, level in
      text + "a\(level): &a\(level) [" + [String](repeating: "*a\(level - 1)", count: 9).joined(separator: ",") + "]\n"
    }
    let ladder = (1...200).reduce("a0: &a0 [x]\n") { text, level in text + "a\(level): &a\(level) [*a\(level - 1)]\n" }
    let large = "a: " + String(repeating: "x", count: YAMLNode.mostBytes)
    for (text, expected) in [
      (deep, "at most 128 nested values"), (billion, "at most 100000 values"), (ladder, "at most 128 nested values"),
      (large, "at most 1048576 bytes"),
    ] {
      let failure = try #require(throws: Failure.self) { try YAMLNode.documents(in: Array(text.utf8), from: "text") }
      #expect(failure.category == .badData)
      #expect(failure.expected.hasPrefix(expected), "\(failure)")
    }
    #expect(throws: Failure.self) { try YAMLNode.documents(in: [0x61, 0x3a, 0x20, 0xff], from: "text") }
  }

  @Test("without the library the error names it, and says what needs none") func missingLibrary() throws {
    let failure = try #require(throws: Failure.self) {
      try YAMLNode.documents(in: Array("a: 1".utf8), from: "merge.yml", libraryName: "libyaml-that-is-not-there.so")
    }
    #expect(failure.category == .missingInput)
    #expect(failure.description.contains("libyaml-that-is-not-there.so"))
    #expect(failure.advice.contains("libyaml-0-2") && failure.advice.contains("JSON"))
  }

  @Test("a damaged text is refused as such, or read", arguments: 0..<4) func mutants(seed: Int) {
    var survivors = 0
    let alphabet = "{}[]&*!|>'\"%@`#,:?-<=~ \n\t0123456789.eExob_aé\u{0}"
    for text in DamagedDocuments(from: Array(YAMLTests.sound.utf8), seed: seed, alphabet: alphabet) {
      do throws(Failure) {
        _ = try YAMLNode.documents(in: text, from: "mutant")
        survivors += 1
      } catch {
        #expect(error.category == .badData)
      }
    }
    #expect(survivors > 0)
    #expect(survivors < DamagedDocuments.count)
  }

  private static let sound = """
    # A recipe with everything that YAML has.
    defaults: &defaults {weight: 0.5, density: [0.1, 1.0e-3, .inf]}
    models:
      - model: ./a
        parameters: {<<: *defaults, weight: 1}
      - model: "b \\u00e9"
        parameters:
          - filter: 'it''s'
            value: !!float 3
          - value: 0x1F
    text: |
      one
        two
    folded: >-
      one
      two
    yes: no
    ---
    ? other
    : [~, null, 1_000, 1:30, on, - 1]
    ...
    """.replacingOccurrences(of: "yes: no", with: "'yes': no")

  /// A value with its type, as the corpus has it.
  private static func typed(_ node: YAMLNode) -> JSONValue {
    switch node.value {
    case .null: .null
    case .bool(let bool): .bool(bool)
    case .integer(let number): ["int": .string("\(number)")]
    case .double(let number): ["float": .string("\(number)")]
    case .string(let text): .string(text)
    case .array(let elements): .array(elements.map(typed))
    case .object(let members):
      ["map": .object(JSONObject(members.map { ($0.key, typed($0.value)) }))]
    }
  }

  private static func isSame(_ value: JSONValue, _ other: JSONValue) -> Bool {
    switch (value, other) {
    case (.null, .null): return true
    case (.bool(let a), .bool(let b)): return a == b
    case (.string(let a), .string(let b)): return ExactString(a) == ExactString(b)
    case (.array(let a), .array(let b)): return a.count == b.count && zip(a, b).allSatisfy(isSame)
    case (.object(let a), .object(let b)):
      if let number = a["float"]?.string.flatMap(Double.init), let wanted = b["float"]?.string.flatMap(Double.init) {
        return number == wanted || number.isNaN && wanted.isNaN
      }
      return a.members.count == b.members.count
        && a.members.allSatisfy { member in b[member.key].map { isSame(member.value, $0) } ?? false }
    default: return false
    }
  }
}
