import Diagnostics

/// A vocabulary of whole pieces.
struct WordLevelModel: TokenModel {
  /// The tokens.
  let vocabulary: Vocabulary
  private let unknown: UnknownToken

  /// Reads the `model` of a `tokenizer.json`.
  init(_ component: Component) throws(Failure) {
    vocabulary = try Vocabulary(try component.member("vocab"))
    unknown = try UnknownToken(try component.member("unk_token"), in: vocabulary)
  }

  func encode(
    _ text: [UInt8], in range: Range<Int>, with workspace: inout EncodingWorkspace, into identifiers: inout [Int32]
  ) throws(Failure) {
    if let known = vocabulary.identifier(of: text, in: range) {
      identifiers.append(known)
    } else {
      identifiers.append(try unknown.identifier)
    }
  }
}
