import Diagnostics
import JSON

/// Byte-pair encoding: a piece is cut into scalars, and pairs of tokens are merged as the model learned.
struct BytePairModel: Sendable {
  /// What the model does besides merging.
  struct Options: Equatable, Sendable {
    /// The token for what is not in the vocabulary; without one it is left out.
    var unknownToken: ExactString?
    /// Whether several unknown scalars in a row are one unknown token.
    var fusesUnknown: Bool
    /// Whether an unknown scalar is written as tokens for its bytes.
    var fallsBackToBytes: Bool
    /// Whether a piece that is a token is taken as it is.
    var ignoresMerges: Bool
  }

  /// The tokens.
  let vocabulary: Vocabulary
  /// The merges.
  let merges: MergeTable
  /// The two sides of each merge, to compare models.
  let mergeList: [MergePair]
  /// The rest of the settings.
  let options: Options

  private let subject: String
  private let unknown: Int32?
  /// The tokens `<0x00>` … `<0xFF>`, where the model falls back to them.
  private let byteTokens: [Int32?]
  /// For each entry of the vocabulary, whether a piece that spells it is encoded as just this token.
  private var encodesToItself: [Bool] = []

  /// Reads the `model` of a `tokenizer.json`.
  init(_ component: Component) throws(Failure) {
    let type = try component.optional("type")?.string ?? "BPE"
    guard type == "BPE" else { throw component.unsupported("the model \"\(type)\"", known: "the model BPE") }
    try Self.refuseSettings(component)
    options = Options(
      unknownToken: try component.optional("unk_token").map { token throws(Failure) in ExactString(try token.string) },
      fusesUnknown: try component.flag("fuse_unk", default: false),
      fallsBackToBytes: try component.flag("byte_fallback", default: false),
      ignoresMerges: try component.flag("ignore_merges", default: false))
    let vocabulary = try Vocabulary(try component.member("vocab"))
    (merges, mergeList) = try Self.merges(try component.member("merges"), vocabulary)
    self.vocabulary = vocabulary
    subject = component.subject
    unknown = options.unknownToken.flatMap { vocabulary.identifier(of: $0.string) }
    byteTokens = options.fallsBackToBytes ? (0...255).map { vocabulary.identifier(of: Self.byteToken($0)) } : []
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

  private static func byteToken(_ byte: Int) -> String {
    let digits = String(byte, radix: 16, uppercase: true)
    return digits.count == 1 ? "<0x0\(digits)>" : "<0x\(digits)>"
  }

  // MARK: Merges

  private static func merges(
    _ component: Component, _ vocabulary: Vocabulary
  ) throws(Failure) -> (MergeTable, [MergePair]) {
    guard let elements = component.value.array else {
      throw component.failure(expected: "an array", got: component.value.kind)
    }
    var table = MergeTable(capacity: elements.count)
    var list: [MergePair] = []
    list.reserveCapacity(elements.count)
    for element in elements {
      // The first line of a merges file that was taken over whole.
      if let text = element.string, text.utf8.starts(with: "#version".utf8) { continue }
      guard let (left, right) = sides(of: element) else {
        throw component.failure(expected: "two tokens in each merge", got: element.compact)
      }
      let pair = left + right
      guard let leftToken = vocabulary.identifier(of: pair, in: 0..<left.count),
        let rightToken = vocabulary.identifier(of: pair, in: left.count..<pair.count),
        let product = vocabulary.identifier(of: pair, in: 0..<pair.count)
      else {
        throw component.failure(
          expected: "merges of tokens in the vocabulary into one in the vocabulary", got: element.compact)
      }
      table.append(leftToken, rightToken, product: product)
      list.append(MergePair(left: leftToken, right: rightToken))
    }
    return (table, list)
  }

  /// The two spellings of a merge: `"a b"` and `["a", "b"]`.
  private static func sides(of merge: JSONValue) -> (left: [UInt8], right: [UInt8])? {
    if let text = merge.string {
      let sides = text.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
      return sides.count == 2 ? (Array(sides[0]), Array(sides[1])) : nil
    }
    guard let pair = merge.array, pair.count == 2, let left = pair[0].string, let right = pair[1].string else {
      return nil
    }
    return (Array(left.utf8), Array(right.utf8))
  }

  // MARK: Encoding

  /// Appends the ids of one piece.
  ///
  /// - Throws: `Failure` when the piece needs the unknown token and the vocabulary lacks it.
  func encode(
    _ text: [UInt8], in range: Range<Int>, with merger: inout PieceMerger, into identifiers: inout [Int32]
  ) throws(Failure) {
    if let entry = vocabulary.entry(of: text, in: range), options.ignoresMerges || encodesToItself[entry] {
      identifiers.append(vocabulary.identifier(ofEntry: entry))
      return
    }
    try cut(text, in: range, into: &merger)
    merger.merge(with: merges, into: &identifiers)
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
      } else if let bytes = bytes(of: text, in: scalar) {
        for token in bytes { merger.append(token) }
      } else if options.unknownToken != nil {
        if let unknown = pendingUnknown, !options.fusesUnknown { merger.append(unknown) }
        pendingUnknown = try unknownIdentifier()
      }
    }
    if let unknown = pendingUnknown { merger.append(unknown) }
  }

  /// The tokens of a scalar's bytes, if there is one for each.
  private func bytes(of text: [UInt8], in scalar: Range<Int>) -> [Int32]? {
    guard options.fallsBackToBytes else { return nil }
    let tokens = text[scalar].compactMap { byteTokens[Int($0)] }
    return tokens.count == scalar.count ? tokens : nil
  }

  private func unknownIdentifier() throws(Failure) -> Int32 {
    guard let unknown else {
      throw Failure(
        .badData, operation: "encode text", subject: subject,
        expected: "the unknown token \"\(options.unknownToken?.string ?? "")\" in the vocabulary", got: "none",
        advice: "The text has a character that the vocabulary lacks.")
    }
    return unknown
  }

  /// Finds out once which tokens are encoded as themselves, so that most pieces of a text take a single look-up.
  private mutating func markWholeTokens() throws(Failure) {
    var merger = PieceMerger()
    var encoded: [Int32] = []
    var marks = [Bool](repeating: false, count: vocabulary.count)
    if !options.ignoresMerges {
      for entry in marks.indices {
        let bytes = Array(vocabulary.bytes(ofEntry: entry))
        guard !bytes.isEmpty, options.unknownToken == nil || unknown != nil else { continue }
        encoded.removeAll(keepingCapacity: true)
        try cut(bytes, in: 0..<bytes.count, into: &merger)
        merger.merge(with: merges, into: &encoded)
        marks[entry] = encoded == [vocabulary.identifier(ofEntry: entry)]
      }
    }
    encodesToItself = marks
  }
}

/// The two tokens of a merge.
struct MergePair: Equatable, Sendable {
  /// The first token.
  let left: Int32
  /// The second token.
  let right: Int32
}
