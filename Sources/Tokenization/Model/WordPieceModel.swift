import Diagnostics

/// WordPiece: a piece is cut, from its beginning on, into the longest tokens there are; tokens that go on have a prefix.
struct WordPieceModel: TokenModel {
  /// The tokens.
  let vocabulary: Vocabulary
  private let unknown: UnknownToken
  /// What the tokens that do not begin a piece begin with, such as `##`.
  private let prefix: [UInt8]
  /// Pieces of more scalars are unknown.
  private let longestPiece: Int

  /// Reads the `model` of a `tokenizer.json`.
  init(_ component: Component) throws(Failure) {
    vocabulary = try Vocabulary(try component.member("vocab"))
    unknown = try UnknownToken(try component.member("unk_token"), in: vocabulary)
    prefix = try component.member("continuing_subword_prefix").bytes
    let longest = try component.member("max_input_chars_per_word")
    guard let count = longest.value.integer.flatMap(Int.init(exactly:)), count >= 0 else {
      throw longest.failure(expected: "a count of characters", got: longest.value.compact)
    }
    longestPiece = count
  }

  func encode(
    _ text: [UInt8], in range: Range<Int>, with workspace: inout EncodingWorkspace, into identifiers: inout [Int32]
  ) throws(Failure) {
    let first = identifiers.count
    var isKnown = text[range].lazy.filter { $0 & 0xC0 != 0x80 }.count <= longestPiece
    var start = range.lowerBound
    while isKnown, start < range.upperBound {
      let begins = start == range.lowerBound
      workspace.spelling.removeAll(keepingCapacity: true)
      if !begins { workspace.spelling += prefix }
      let fixed = workspace.spelling.count
      workspace.spelling += text[start..<range.upperBound]
      let match = longestToken(workspace.spelling, behind: fixed)
      if let match { identifiers.append(match.identifier) }
      start += match?.length ?? 0
      isKnown = match != nil
    }
    guard !isKnown else { return }
    identifiers.removeSubrange(first...)
    identifiers.append(try unknown.identifier)
  }

  /// The longest token that a spelling begins with and that is longer than what it has to begin with.
  private func longestToken(_ spelling: [UInt8], behind fixed: Int) -> (identifier: Int32, length: Int)? {
    var end = spelling.count
    while end > fixed {
      if let identifier = vocabulary.identifier(of: spelling, in: 0..<end) { return (identifier, end - fixed) }
      end = UTF8Text.start(in: spelling, before: end)
    }
    return nil
  }
}
