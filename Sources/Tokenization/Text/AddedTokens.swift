import Diagnostics
import JSON

/// A token that is looked for in the text itself, before any model.
struct AddedToken: Sendable {
  /// What it looks like.
  let content: String
  /// Its id.
  let identifier: Int32
  /// Whether letters and digits beside it make it no token.
  let isSingleWord: Bool
  /// Whether it swallows the white space before it.
  let stripsLeft: Bool
  /// Whether it swallows the white space behind it.
  let stripsRight: Bool
  /// Whether it is looked for, normalized, in the normalized text.
  let isNormalized: Bool
}

/// The `added_tokens` of a `tokenizer.json`.
struct AddedTokens: Sendable {
  /// A stretch of text, or a token that was found in it.
  enum Segment {
    /// Text without added tokens.
    case text(Range<Int>)
    /// An added token.
    case token(Int32)
  }

  /// The tokens in ascending order of their ids.
  let tokens: [AddedToken]
  private let raw: AddedTokenFinder?
  private let normalized: AddedTokenFinder?

  /// Reads the component, gives every token its id, and prepares the search.
  ///
  /// As in the package, the id written in the file does not count: a token that the model knows has the model's id, and
  /// the others are numbered from the model's size on.
  init(_ component: Component?, vocabulary: Vocabulary, normalizer: Normalizer) throws(Failure) {
    tokens = try Self.declared(component, vocabulary: vocabulary)
    for token in tokens where token.isNormalized {
      // The package finds such a token everywhere, or searches without end.
      guard try normalizer.normalize(Array(token.content.utf8)).isEmpty else { continue }
      throw Failure(
        .badData, operation: "read added_tokens", subject: component?.subject ?? "",
        expected: "a token that the normalizer leaves something of", got: "\"\(token.content)\"")
    }
    raw = try AddedTokenFinder(tokens.filter { !$0.isNormalized }) { $0 }
    normalized = try AddedTokenFinder(tokens.filter(\.isNormalized), spelled: normalizer.normalize)
  }

  /// The tokens of the component in ascending order of their ids.
  static func declared(_ component: Component?, vocabulary: Vocabulary) throws(Failure) -> [AddedToken] {
    var known: [ExactString: AddedToken] = [:]
    var next = Int32(vocabulary.count)
    for element in try component?.elements ?? [] {
      let content = ExactString(try element.member("content").string)
      if content.string.isEmpty { continue }
      var identifier = known[content]?.identifier ?? vocabulary.identifier(of: content.string)
      if identifier == nil {
        identifier = next
        next += 1
      }
      known[content] = try token(element, content: content.string, identifier: identifier ?? next)
    }
    return known.values.sorted { $0.identifier < $1.identifier }
  }

  private static func token(
    _ component: Component, content: String, identifier: Int32
  ) throws(Failure) -> AddedToken {
    AddedToken(
      content: content, identifier: identifier, isSingleWord: try component.member("single_word").bool,
      stripsLeft: try component.member("lstrip").bool, stripsRight: try component.member("rstrip").bool,
      isNormalized: try component.member("normalized").bool)
  }

  /// Cuts raw text at the tokens that are not normalized.
  func segments(ofRaw text: [UInt8]) -> [Segment] {
    raw?.segments(of: text) ?? [.text(0..<text.count)]
  }

  /// Cuts normalized text at the tokens that are.
  func segments(ofNormalized text: [UInt8]) -> [Segment] {
    normalized?.segments(of: text) ?? [.text(0..<text.count)]
  }
}

/// Finds tokens in text: of those that begin leftmost the longest, then on behind it.
private struct AddedTokenFinder: Sendable {
  private let tokens: [AddedToken]
  private let trie: ByteTrie

  private static let wordSet = 0
  private static let spaceSet = 1
  private static let table = ScalarTable([UnicodeProperties.wordWithJoiners, UnicodeProperties.whiteSpace])

  /// Looks for the given spelling of each token; nil when there is none to look for.
  init?(_ tokens: [AddedToken], spelled spelling: ([UInt8]) throws(Failure) -> [UInt8]) throws(Failure) {
    guard !tokens.isEmpty else { return nil }
    self.tokens = tokens
    var trie = ByteTrie()
    for (index, token) in tokens.enumerated() {
      trie.insert(try spelling(Array(token.content.utf8)), value: Int32(index))
    }
    self.trie = trie
  }

  func segments(of text: [UInt8]) -> [AddedTokens.Segment] {
    var segments: [AddedTokens.Segment] = []
    var written = 0
    var position = 0
    while let (match, index) = trie.firstMatch(in: text, from: position) {
      position = match.upperBound
      let token = tokens[index]
      if token.isSingleWord, isInsideWord(match, of: text) { continue }
      // The match before may have taken the white space already.
      let start = token.stripsLeft ? max(spaceStart(before: match.lowerBound, in: text), written) : match.lowerBound
      let end = token.stripsRight ? spaceEnd(from: match.upperBound, in: text) : match.upperBound
      // White space that is a token itself is none where the token before it swallowed it.
      guard start < end else { continue }
      if written < start { segments.append(.text(written..<start)) }
      segments.append(.token(token.identifier))
      // A token may begin in white space that the one before it swallowed; the package goes back then, and so do we.
      written = end
    }
    if written != text.count { segments.append(.text(written..<text.count)) }
    return segments
  }

  private func isInsideWord(_ match: Range<Int>, of text: [UInt8]) -> Bool {
    let follows =
      match.lowerBound > 0 && contains(Self.wordSet, text, UTF8Text.start(in: text, before: match.lowerBound))
    return follows || match.upperBound < text.count && contains(Self.wordSet, text, match.upperBound)
  }

  private func spaceStart(before end: Int, in text: [UInt8]) -> Int {
    var start = end
    while start > 0 {
      let previous = UTF8Text.start(in: text, before: start)
      guard contains(Self.spaceSet, text, previous) else { break }
      start = previous
    }
    return start
  }

  private func spaceEnd(from start: Int, in text: [UInt8]) -> Int {
    var end = start
    while end < text.count, contains(Self.spaceSet, text, end) { end += UTF8Text.length(startingWith: text[end]) }
    return end
  }

  private func contains(_ set: Int, _ text: [UInt8], _ offset: Int) -> Bool {
    Self.table.contains(UTF8Text.scalar(in: text, at: offset).value, inSet: set)
  }
}
