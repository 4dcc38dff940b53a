import Diagnostics
import Foundation
import JSON
import TestSupport
import Testing

@Suite("Damaged JSON documents")
struct JSONFuzzTests {
  @Test(
    "a damaged document is refused, also when passed over, or means the same to Foundation and when written again",
    arguments: 0..<8)
  func mutants(seed: Int) throws {
    var survivors = 0
    for text in DamagedDocuments(from: Self.soundText, seed: seed) {
      let value = parse(text)
      #expect((value != nil) == isPassedOver(text), "\(String(decoding: text, as: UTF8.self))")
      guard let value else { continue }
      survivors += 1
      #expect(parse(Array(value.compact.utf8))?.compact == value.compact)
      #expect(parse(Array(value.formatted.utf8))?.compact == value.compact)
      // Foundation refuses numbers beyond its range; here they are kept as they are spelled.
      guard holdsOnlyFiniteNumbers(value) else { continue }
      let other = try? JSONSerialization.jsonObject(with: Data(text), options: .fragmentsAllowed)
      let means = other.map { isSame(value, $0) } ?? false
      #expect(means, "\(String(decoding: text, as: UTF8.self))")
    }
    #expect(survivors > 0)
    #expect(survivors < DamagedDocuments.count)
  }

  private static let soundText = Array(
    #"""
    {"a": [1, -2.50, 3e10, [], {}], "é😀": {"deep": [[[null, true, false]]], "\u00e9\ud83d\ude00\n": "\"\\\/\b\f\t\r"},
     "long text with 80 bytes or so": "lorem ipsum dolor sit amet", "number": 9007199254740993, "": -0.0}
    """#.utf8)

  private func parse(_ text: [UInt8]) -> JSONValue? {
    do throws(Failure) {
      return try JSONValue(parsing: text, from: "mutant")
    } catch {
      #expect(error.category == .badData)
      return nil
    }
  }

  private func isPassedOver(_ text: [UInt8]) -> Bool {
    var reader = JSONReader(text, from: "mutant", operation: "pass over JSON")
    do throws(Failure) {
      try reader.skipValue()
      try reader.end()
      return true
    } catch {
      return false
    }
  }

  private func holdsOnlyFiniteNumbers(_ value: JSONValue) -> Bool {
    switch value {
    case .number: value.double?.isFinite == true
    case .array(let elements): elements.allSatisfy(holdsOnlyFiniteNumbers)
    case .object(let object): object.members.allSatisfy { holdsOnlyFiniteNumbers($0.value) }
    case .null, .bool, .string: true
    }
  }

  private func isSame(_ value: JSONValue, _ other: Any) -> Bool {
    switch value {
    case .null: other is NSNull
    case .bool(let bool): other as? Bool == bool
    // Foundation scales the digits by a power of ten, itself rounded: with many digits its last bits are not the nearest.
    case .number: isNear((other as? NSNumber)?.doubleValue ?? .nan, value.double ?? .nan)
    case .string(let string): (other as? String).map { ExactString($0) == ExactString(string) } ?? false
    case .array(let elements):
      (other as? [Any]).map { $0.count == elements.count && zip(elements, $0).allSatisfy(isSame) } ?? false
    case .object(let object):
      // To Foundation, keys that are canonically equivalent are one.
      (other as? [String: Any]).map { others in
        others.count < object.members.count
          || object.members.allSatisfy { member in others[member.key].map { isSame(member.value, $0) } ?? false }
      } ?? false
    }
  }

  private func isNear(_ number: Double, _ other: Double) -> Bool { abs(number - other) <= 1e-14 * abs(other) }
}
