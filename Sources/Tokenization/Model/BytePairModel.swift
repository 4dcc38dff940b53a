import Diagnostics
import JSON

/// Byte-pair encoding: a piece is cut into scalars, and pairs of tokens are merged as the model learned.
struct BytePairModel: TokenModel {
  /// What the model does besides merging.
  private struct Options {
    /// Whether several unknown scalars in a row are one unknown token.
    var fusesUnknown: Bool
    /// Whether a piece that is a token is taken as it is.
    var ignoresMerges: Bool
  }

  /// The tokens.
  let vocabulary: Vocabulary
  private let merges: MergeTable
  private let options: Options
  /// The token for what is not in the vocabulary; without one it is left out.
  private let unknown: UnknownToken?
  /// The tokens that an unknown scalar is written in, where the model falls back to bytes.
  private let byteTokens: ByteTokens?
  /// For each entry of the vocabulary, whether a piece that spells it is encoded as just this token.
  private var encodesToItself: [Bool] = []

  /// Reads the `model` of a `tokenizer.json`.
  init(_ component: Component) throws(Failure) {
    try Self.refuseSettings(component)
    options = Options(
      fusesUnknown: try component.flag("fuse_unk", default: false),
      ignoresMerges: try component.flag("ignore_merges", default: false))
    let vocabulary = try Vocabulary(try component.member("vocab"))
    merges = try Self.merges(try component.member("merges"), vocabulary)
    self.vocabulary = vocabulary
    unknown = try component.optional("unk_token").map { token throws(Failure) in
      try UnknownToken(token, in: vocabulary)
    }
    byteTokens = try component.flag("byte_fallback", default: false) ? ByteTokens(in: vocabulary) : nil
    try markWholeTokens()
  }

  private static func refuseSettings(_ component: Component) throws(Failure) {
    for name in ["continuing_subword_prefix", "end_of_word_suffix"] {
      if let setting = component.optional(name), try !setting.string.isEmpty {
        throw component.unsupported("a \(name)", known: "none")
      }
    }
    if let dropout = component.optional("dropout"), dropout.value.double != 0 {
      throw component.unsupported("dropout, which encodes by chance", known: "none")
    }
  }

  // MARK: Merges

  private static func merges(_ component: Component, _ vocabulary: Vocabulary) throws(Failure) -> MergeTable {
    guard let elements = component.value.array else {
      throw component.failure(expected: "an array", got: component.value.kind)
    }
    var table = MergeTable(capacity: elements.count)
    for element in elements {
      // The first line of a merges file that was taken over whole.
      if let text = element.string, text.utf8.starts(with: "#version".utf8) { continue }
      guard let sides = sides(of: element) else {
        throw component.failure(expected: "two tokens in each merge", got: element.compact)
      }
      let pair = sides.left + sides.right
      guard let leftToken = vocabulary.identifier(of: pair, in: 0..<sides.left.count),
        let rightToken = vocabulary.identifier(of: pair, in: sides.left.count..<pair.count),
        let product = vocabulary.identifier(of: pair, in: 0..<pair.count)
      else {
        throw component.failure(
          expected: "merges of tokens in the vocabulary into one in the vocabulary", got: element.compact)
      }
      table.append(leftToken, rightToken, product: product)
    }
    return table
  }

  /// The two tokens that a merge joins.
  struct Sides: Equatable {
    let left: [UInt8]
    let right: [UInt8]
  }

  /// Reads the two spellings of a merge: `"a b"` and `["a", "b"]`.
  static func sides(of merge: JSONValue) -> Sides? {
    if let text = merge.string {
      let sides = text.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
      return sides.count == 2 ? Sides(left: Array(sides[0]), right: Array(sides[1])) : nil
    }
    guard let pair = merge.array, pair.count == 2, let left = pair[0].string, let right = pair[1].string else {
      return nil
    }
    return Sides(left: Array(left.utf8), right: Array(right.utf8))
  }

  // MARK: Encoding

  func encode(
    _ text: [UInt8], in range: Range<Int>, with workspace: inout EncodingWorkspace, into identifiers: inout [Int32]
  ) throws(Failure) {
    if let entry = vocabulary.entry(of: text, in: range), options.ignoresMerges || encodesToItself[entry] {
      identifiers.append(vocabulary.identifier(ofEntry: entry))
      return
    }
    try cut(text, in: range, into: &workspace.merger)
    workspace.merger.merge(with: merges, into: &identifiers)
  }

  /// Cuts a piece into the tokens of its scalars.
  private func cut(_ text: [UInt8], in range: Range<Int>, into merger: inout PieceMerger) throws(Failure) {
    merger.begin()
    var offset = range.lowerBound
    // An unknown token is kept back until the next known scalar, because the following unknown ones may join it. The
    // tokens of bytes do not count as known here; the package puts them in front of it.
    var pendingUnknown: Int32?
    while offset < range.upperBound {
      let scalar = offset..<offset + UTF8Text.length(startingWith: text[offset])
      offset = scalar.upperBound
      if let token = vocabulary.identifier(of: text, in: scalar) {
        if let unknown = pendingUnknown { merger.append(unknown) }
        pendingUnknown = nil
        merger.append(token)
      } else if byteTokens?.append(text, scalar, to: &merger.tokens) ?? false {
        continue
      } else if let unknown {
        if let pending = pendingUnknown, !options.fusesUnknown { merger.append(pending) }
        pendingUnknown = try unknown.identifier
      }
    }
    if let unknown = pendingUnknown { merger.append(unknown) }
  }

  /// Finds out once which tokens are encoded as themselves, so that most pieces of a text take a single look-up.
  private mutating func markWholeTokens() throws(Failure) {
    var merger = PieceMerger()
    var encoded: [Int32] = []
    var marks = [Bool](repeating: false, count: vocabulary.count)
    if !options.ignoresMerges {
      for entry in marks.indices {
        let bytes = Array(vocabulary.bytes(ofEntry: entry))
        guard !bytes.isEmpty, unknown?.isKnown ?? true else { continue }
        encoded.removeAll(keepingCapacity: true)
        try cut(bytes, in: 0..<bytes.count, into: &merger)
        merger.merge(with: merges, into: &encoded)
        marks[entry] = encoded == [vocabulary.identifier(ofEntry: entry)]
      }
    }
    encodesToItself = marks
  }
}
