import Diagnostics

/// Unigram: of all ways to cut a piece into tokens, the one with the highest sum of scores, which are logarithms of
/// probabilities; of equal ones the one whose last token was met first from the left.
struct UnigramModel: TokenModel {
  /// The best way to cut the piece up to a place.
  struct Path {
    /// The token that ends there; nil where no way leads there.
    var identifier: Int32?
    /// The sum of the scores.
    var score = 0.0
    /// Where that token begins.
    var start = 0
  }

  /// The tokens, numbered by their places in the list.
  let vocabulary: Vocabulary
  private let scores: [Double]
  private let trie: ByteTrie
  private let unknown: Int32?
  private let unknownScore: Double
  /// The tokens `<0x00>` … `<0xFF>`, where the model falls back to them.
  private let byteTokens: ByteTokens?
  private let subject: String

  /// How far an unknown scalar lies below the lowest score.
  private static let unknownPenalty = 10.0

  /// Reads the `model` of a `tokenizer.json`.
  init(_ component: Component) throws(Failure) {
    let list = try component.member("vocab")
    vocabulary = try Vocabulary(list)
    var scores: [Double] = []
    for entry in try list.elements {
      guard let score = entry.value.array?.last?.double else {
        throw entry.failure(expected: "a token and its score", got: entry.value.compact)
      }
      scores.append(score)
    }
    var trie = ByteTrie()
    // Of equal tokens the last counts; the trie keeps the first.
    for entry in (0..<vocabulary.count).reversed() {
      trie.insert(Array(vocabulary.bytes(ofEntry: entry)), value: Int32(entry))
    }
    self.trie = trie
    self.scores = scores
    unknown = try component.optional("unk_id").map { unknown throws(Failure) in
      let identifier = try unknown.identifier
      guard identifier < scores.count else {
        throw unknown.failure(expected: "an id below \(scores.count)", got: "\(identifier)")
      }
      return identifier
    }
    unknownScore = (scores.min() ?? 0) - Self.unknownPenalty
    byteTokens = try component.flag("byte_fallback", default: false) ? ByteTokens(in: vocabulary) : nil
    subject = component.subject
  }

  func encode(
    _ text: [UInt8], in range: Range<Int>, with workspace: inout EncodingWorkspace, into identifiers: inout [Int32]
  ) throws(Failure) {
    try findPaths(text, in: range, &workspace.paths)
    // From the end back to the beginning; neighbouring unknown tokens are one.
    var tokens: [Range<Int>] = []
    var isUnknown = false
    var end = range.upperBound
    while end > range.lowerBound {
      let path = workspace.paths[end - range.lowerBound]
      let wasUnknown = isUnknown
      isUnknown = path.identifier == unknown
      let start = range.lowerBound + path.start
      if isUnknown, wasUnknown, let last = tokens.popLast() {
        tokens.append(start..<last.upperBound)
      } else {
        tokens.append(start..<end)
      }
      end = start
    }
    for token in tokens.reversed() {
      if let identifier = vocabulary.identifier(of: text, in: token) {
        identifiers.append(identifier)
      } else if !(byteTokens?.append(text, token, to: &identifiers) ?? false) {
        identifiers.append(try unknownIdentifier)
      }
    }
  }

  /// Finds the best way to every scalar boundary of the piece.
  private func findPaths(_ text: [UInt8], in range: Range<Int>, _ paths: inout [Path]) throws(Failure) {
    paths.removeAll(keepingCapacity: true)
    paths.append(contentsOf: repeatElement(Path(), count: range.count + 1))
    var start = 0
    while start < range.count {
      let score = paths[start].score
      let length = UTF8Text.length(startingWith: text[range.lowerBound + start])
      var knowsScalar = false
      func offer(_ identifier: Int32, _ score: Double, upTo end: Int) {
        guard paths[end].identifier == nil || score > paths[end].score else { return }
        paths[end] = Path(identifier: identifier, score: score, start: start)
      }
      trie.forEachPrefix(of: text, in: range.lowerBound + start..<range.upperBound) { end, identifier in
        knowsScalar = knowsScalar || end - range.lowerBound - start == length
        offer(identifier, scores[Int(identifier)] + score, upTo: end - range.lowerBound)
      }
      if !knowsScalar { offer(try unknownIdentifier, unknownScore + score, upTo: start + length) }
      start += length
    }
  }

  private var unknownIdentifier: Int32 {
    get throws(Failure) {
      guard let unknown else {
        throw Failure(
          .badData, operation: "encode text", subject: subject, expected: "an \"unk_id\" in the model", got: "none",
          advice: "The text has a character that the vocabulary lacks.")
      }
      return unknown
    }
  }
}
