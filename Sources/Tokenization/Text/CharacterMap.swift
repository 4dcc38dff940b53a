import Diagnostics
import Foundation

/// SentencePiece's normalizer, compiled: `precompiled_charsmap`, which says what some characters are replaced by.
///
/// The bytes are a length in 32 bits, so many bytes of a trie laid out as a double array of 32-bit units (Darts-clone),
/// and the replacements, each ended by a zero, where the trie's values are offsets. All numbers are little-endian.
struct CharacterMap: Sendable {
  private let units: [UInt32]
  private let replacements: [UInt8]

  /// Characters of more bytes are not looked up whole.
  private static let longestCharacter = 5

  /// Reads the map in base64.
  init(_ component: Component) throws(Failure) {
    guard let data = Data(base64Encoded: try component.string) else {
      throw component.failure(expected: "base64", got: "something else")
    }
    let bytes = [UInt8](data)
    func number(at offset: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }
    let trie = bytes.count >= 4 ? Int(number(at: 0)) : 0
    guard bytes.count >= 4, trie <= bytes.count - 4, trie >= 4 else {
      throw component.failure(expected: "a map that holds its trie", got: "\(bytes.count) bytes")
    }
    units = stride(from: 4, to: 4 + trie / 4 * 4, by: 4).map(number)
    replacements = Array(bytes[(4 + trie / 4 * 4)...])
    guard String(validating: replacements, as: UTF8.self) != nil else {
      throw component.failure(expected: "replacements in UTF-8", got: "other bytes")
    }
  }

  /// The text with every character replaced that has a replacement, or else every scalar that has one.
  ///
  /// A character is looked up by its beginning: as in the package, the shortest entry that it begins with replaces it
  /// whole.
  func apply(to text: [UInt8]) -> [UInt8] {
    var mapped: [UInt8] = []
    mapped.reserveCapacity(text.count)
    for character in String(decoding: text, as: UTF8.self) {
      let bytes = Array(character.utf8)
      if bytes.count <= Self.longestCharacter, let replacement = replacement(of: bytes[...]) {
        mapped += replacement
        continue
      }
      var offset = 0
      while offset < bytes.count {
        let scalar = bytes[offset..<offset + UTF8Text.length(startingWith: bytes[offset])]
        mapped += replacement(of: scalar) ?? scalar
        offset = scalar.endIndex
      }
    }
    return mapped
  }

  /// The replacement of the shortest entry that some bytes begin with.
  private func replacement(of bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    var node = Int(Self.offset(units[0]))
    for byte in bytes.prefix(while: { $0 != 0 }) {
      node ^= Int(byte)
      guard node < units.count, units[node] & 0x8000_00FF == UInt32(byte) else { return nil }
      let unit = units[node]
      node ^= Int(Self.offset(unit))
      if unit >> 8 & 1 == 1 { return node < units.count ? replacement(at: Int(units[node] & 0x7FFF_FFFF)) : nil }
    }
    return nil
  }

  private static func offset(_ unit: UInt32) -> UInt32 { (unit >> 10) << ((unit & 0x200) >> 6) }

  /// The replacement that begins at an offset; nil for an offset into the middle of a scalar, which no sound map has.
  private func replacement(at start: Int) -> ArraySlice<UInt8>? {
    guard start < replacements.count, replacements[start] & 0xC0 != 0x80 else { return nil }
    return replacements[start...].prefix { $0 != 0 }
  }
}
