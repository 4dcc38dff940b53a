import Foundation

/// The four normal forms of Unicode.
///
/// Composition and ordering are done here, by the tables of the version that the `tokenizers` package uses: Foundation
/// is only asked for the decomposition of single scalars, which is stable, because its own normal forms of sequences
/// are not those of the standard everywhere (it composes some scalars beyond the basic plane as if cut to 16 bits).
enum NormalForm: String, Sendable {
  /// Canonical decomposition, then composition.
  case composed = "NFC"
  /// Canonical decomposition.
  case decomposed = "NFD"
  /// Compatibility decomposition, then canonical composition.
  case compatibilityComposed = "NFKC"
  /// Compatibility decomposition.
  case compatibilityDecomposed = "NFKD"

  /// The text in this form.
  func normalize(_ text: [UInt8]) -> [UInt8] {
    if isUnchangedByFirstBytes(text) { return text }
    let tables = NormalizationTables.shared
    var scalars = tables.decompose(text, compatibility: isCompatibility)
    tables.sortMarks(&scalars)
    if composes { tables.compose(&scalars) }
    var normalized: [UInt8] = []
    normalized.reserveCapacity(text.count)
    for scalar in scalars { UTF8Text.append(scalar.value, to: &normalized) }
    return normalized
  }

  private var isCompatibility: Bool { self == .compatibilityComposed || self == .compatibilityDecomposed }
  private var composes: Bool { self == .composed || self == .compatibilityComposed }

  /// ASCII never changes; scalars below U+0300, whose lead bytes are below 0xCC, are composed already.
  private func isUnchangedByFirstBytes(_ text: [UInt8]) -> Bool {
    let limit: UInt8 = self == .composed ? 0xCC : 0x80
    return text.allSatisfy { $0 < limit }
  }
}

/// A scalar on its way through a normal form.
private struct Decomposed {
  var value: UInt32
  /// The canonical combining class: 0 starts a sequence, marks of different classes may be reordered.
  var combiningClass: UInt8
}

/// What the normal forms need to know of each scalar, read once from Swift's and Foundation's tables.
private struct NormalizationTables {
  static let shared = NormalizationTables()

  private var canonical: [UInt32: [UInt32]] = [:]
  private var compatibility: [UInt32: [UInt32]] = [:]
  private var compositions: [UInt64: UInt32] = [:]
  private var combiningClasses: [UInt32: UInt8] = [:]
  /// The scalars that are in any of the above as something to be replaced or ordered; most text has none of them.
  private let changing: ScalarTable

  init() {
    var changing: [ClosedRange<UInt32>] = []
    for value in UInt32(0xA0)..<0x30000 {
      guard let scalar = Unicode.Scalar(value), Self.mayChange(scalar) else { continue }
      let combiningClass = scalar.properties.canonicalCombiningClass.rawValue
      if combiningClass != 0 { combiningClasses[value] = combiningClass }
      let text = String(scalar)
      let compatible = text.decomposedStringWithCompatibilityMapping.unicodeScalars.map(\.value)
      if compatible != [value] {
        compatibility[value] = compatible
        let decomposed = text.decomposedStringWithCanonicalMapping.unicodeScalars.map(\.value)
        if decomposed != [value] { canonical[value] = decomposed }
      }
      if combiningClass != 0 || compatible != [value] { changing.append(value...value) }
    }
    changing.append(Hangul.syllables)
    self.changing = ScalarTable([ScalarSet(changing)])
    compositions = Self.compositions(of: canonical)
  }

  /// Leaves out the tens of thousands of scalars that have no mapping and no class, so that the tables are made fast.
  private static func mayChange(_ scalar: Unicode.Scalar) -> Bool {
    guard UnicodeProperties.isAssigned(scalar, in: UnicodeProperties.normalizationVersion) else { return false }
    return !scalar.properties.isUnifiedIdeograph && !Hangul.syllables.contains(scalar.value)
  }

  /// The pairs that compose: a scalar that is its own composed form comes from its decomposition's last scalar and from
  /// what the scalars before that compose to.
  private static func compositions(of canonical: [UInt32: [UInt32]]) -> [UInt64: UInt32] {
    let composites = canonical.filter { value, decomposition in
      guard decomposition.count > 1, let scalar = Unicode.Scalar(value) else { return false }
      return String(scalar).precomposedStringWithCanonicalMapping.unicodeScalars.elementsEqual([scalar])
    }
    let composed = Dictionary(composites.map { ($0.value, $0.key) }) { first, _ in first }
    var compositions: [UInt64: UInt32] = [:]
    for (value, decomposition) in composites {
      let beginning = Array(decomposition.dropLast())
      let last = decomposition[decomposition.count - 1]
      guard let first = beginning.count == 1 ? beginning[0] : composed[beginning] else { continue }
      compositions[pair(first, last)] = value
    }
    return compositions
  }

  private static func pair(_ first: UInt32, _ second: UInt32) -> UInt64 { UInt64(first) << 32 | UInt64(second) }

  func decompose(_ text: [UInt8], compatibility: Bool) -> [Decomposed] {
    var scalars: [Decomposed] = []
    scalars.reserveCapacity(text.count)
    var offset = 0
    while offset < text.count {
      let (value, length) = UTF8Text.scalar(in: text, at: offset)
      offset += length
      if !changing.contains(value, inSet: 0) {
        scalars.append(Decomposed(value: value, combiningClass: 0))
      } else if Hangul.syllables.contains(value) {
        for letter in Hangul.letters(of: value) { scalars.append(Decomposed(value: letter, combiningClass: 0)) }
      } else {
        for part in (compatibility ? self.compatibility[value] : canonical[value]) ?? [value] {
          scalars.append(Decomposed(value: part, combiningClass: combiningClasses[part] ?? 0))
        }
      }
    }
    return scalars
  }

  /// Puts each run of marks in the order of their classes; equal classes keep theirs.
  func sortMarks(_ scalars: inout [Decomposed]) {
    var start = 0
    while start < scalars.count {
      guard scalars[start].combiningClass != 0 else {
        start += 1
        continue
      }
      var end = start + 1
      while end < scalars.count, scalars[end].combiningClass != 0 { end += 1 }
      if end - start > 1 {
        let marks = scalars[start..<end].enumerated().sorted {
          ($0.element.combiningClass, $0.offset) < ($1.element.combiningClass, $1.offset)
        }
        scalars.replaceSubrange(start..<end, with: marks.map(\.element))
      }
      start = end
    }
  }

  /// Joins each starter with the marks that follow it and are not cut off from it by one of the same or a higher class.
  func compose(_ scalars: inout [Decomposed]) {
    var written = 0
    var starter: Int?
    for scalar in scalars {
      let previousClass = written > 0 ? scalars[written - 1].combiningClass : 0
      if let starter {
        let isAdjacent = starter == written - 1
        let isReachable = isAdjacent || previousClass != 0 && previousClass < scalar.combiningClass
        if isReachable, let composite = composition(scalars[starter].value, scalar.value) {
          scalars[starter].value = composite
          continue
        }
      }
      scalars[written] = scalar
      if scalar.combiningClass == 0 { starter = written }
      written += 1
    }
    scalars.removeSubrange(written...)
  }

  private func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
    guard second >= 0x300 else { return nil }
    return Hangul.composition(first, second) ?? compositions[Self.pair(first, second)]
  }
}

/// Korean syllables, composed and decomposed by arithmetic.
private enum Hangul {
  static let syllables: ClosedRange<UInt32> = 0xAC00...0xD7A3
  private static let firstLead: UInt32 = 0x1100
  private static let firstVowel: UInt32 = 0x1161
  /// One before the first trailing consonant: number 0 is "no trailing consonant".
  private static let noTrail: UInt32 = 0x11A7
  private static let leads: UInt32 = 19
  private static let vowels: UInt32 = 21
  private static let trails: UInt32 = 28

  static func letters(of syllable: UInt32) -> [UInt32] {
    let index = syllable - syllables.lowerBound
    let lead = firstLead + index / (vowels * trails)
    let vowel = firstVowel + index % (vowels * trails) / trails
    let trail = noTrail + index % trails
    return trail == noTrail ? [lead, vowel] : [lead, vowel, trail]
  }

  static func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if (firstLead..<firstLead + leads).contains(first), (firstVowel..<firstVowel + vowels).contains(second) {
      return syllables.lowerBound + ((first - firstLead) * vowels + second - firstVowel) * trails
    }
    let lacksTrail = syllables.contains(first) && (first - syllables.lowerBound) % trails == 0
    guard lacksTrail, (noTrail + 1..<noTrail + trails).contains(second) else { return nil }
    return first + second - noTrail
  }
}
