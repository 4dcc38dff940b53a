import Diagnostics
import JSON

/// A Hugging Face tokenizer, read from a `tokenizer.json`.
///
/// It gives exactly the ids that the `tokenizers` package gives, or refuses the file by naming what it does not do. The
/// settings for truncation and padding and the decoder in the file are ignored: they are the caller's business.
public struct Tokenizer: Sendable {
  let model: any TokenModel
  let normalizer: Normalizer
  let preTokenizer: PreTokenizer
  let addedTokens: AddedTokens
  let postProcessor: PostProcessor
  /// The vocabulary's entry for each id that is no added token.
  private let entries: [Int32: Int]

  /// Reads a parsed `tokenizer.json`.
  ///
  /// - Parameters:
  ///   - json: The document.
  ///   - subject: The file it came from, for the error.
  /// - Throws: `Failure` of category `badData` that names the component at fault.
  /// - Complexity: Linear in the vocabulary and the merges.
  public init(json: JSONValue, subject: String) throws(Failure) {
    let file = Component(value: json, path: "", subject: subject)
    if let version = try file.optional("version")?.string, version != "1.0" {
      throw file.failure(expected: "version 1.0", got: "version \(version)")
    }
    model = try tokenModel(try file.member("model"))
    normalizer = try Normalizer(file.optional("normalizer"))
    preTokenizer = try PreTokenizer(file.optional("pre_tokenizer"))
    postProcessor = try PostProcessor(file.optional("post_processor"))
    addedTokens = try AddedTokens(
      file.optional("added_tokens"), vocabulary: model.vocabulary, normalizer: normalizer)
    let vocabulary = model.vocabulary
    entries = Dictionary((0..<vocabulary.count).map { (vocabulary.identifier(ofEntry: $0), $0) }) { first, _ in first }
    guard !preTokenizer.marksBeginning || normalizer.keepsBeginning && !preTokenizer.addsBeforeMarkingBeginning else {
      throw file.unsupported(
        "a Metaspace with prepend_scheme \"first\" behind a step that changes where the text begins",
        known: "none of these together")
    }
  }

  /// Reads a tokenizer.json with what is declared beside it.
  ///
  /// - Throws: as `init(json:subject:)` does.
  public init(_ document: TokenizerDocument) throws(Failure) {
    try self.init(json: document.json, subject: document.subject)
  }

  /// How many tokens there are: those of the model and the added ones that the model does not know.
  public var vocabularySize: Int {
    entries.count + addedTokens.tokens.count { entries[$0.identifier] == nil }
  }

  /// How a token is spelled in the vocabulary, byte-level letters and marks for spaces included; nil for an unused id.
  public func token(_ identifier: Int32) -> String? {
    if let added = addedTokens.tokens.first(where: { $0.identifier == identifier }) { return added.content }
    return entries[identifier].map { String(decoding: model.vocabulary.bytes(ofEntry: $0), as: UTF8.self) }
  }

  /// Encodes a text.
  ///
  /// - Parameters:
  ///   - text: The text; special tokens in it are found as the file says.
  ///   - addSpecialTokens: Whether the tokens of the template, such as a beginning-of-text token, are added.
  ///   - maximum: The most tokens to return, those of the template included, which are kept: the text loses its end.
  /// - Returns: The ids, none for an empty text but those of the template.
  /// - Throws: `Failure` when the text has a character that neither the vocabulary nor an unknown token covers, or when
  ///   the template alone is longer than the maximum.
  public func encode(
    _ text: String, addSpecialTokens: Bool = true, truncatedTo maximum: Int? = nil
  ) throws(Failure) -> [Int32] {
    let room = try room(in: maximum, addSpecialTokens: addSpecialTokens)
    var encoder = TextEncoder(tokenizer: self, room: room)
    try encoder.encode(Array(text.utf8))
    return postProcessor.apply(to: Array(encoder.identifiers.prefix(room)), addSpecialTokens: addSpecialTokens)
  }

  private func room(in maximum: Int?, addSpecialTokens: Bool) throws(Failure) -> Int {
    guard let maximum else { return .max }
    let added = addSpecialTokens ? postProcessor.addedCount : 0
    guard maximum >= added else {
      throw Failure(
        .usage, operation: "truncate the text", subject: "\(maximum) tokens",
        expected: "room for the \(added) tokens that the tokenizer adds to every text", got: "a lower maximum")
    }
    return maximum - added
  }
}

/// Takes one text through the tokenizer, component by component.
private struct TextEncoder {
  let tokenizer: Tokenizer
  /// Encoding stops when there are so many ids, because the rest would be cut off.
  let room: Int
  private(set) var identifiers: [Int32] = []
  private var workspace = EncodingWorkspace()

  init(tokenizer: Tokenizer, room: Int) {
    self.tokenizer = tokenizer
    self.room = room
  }

  /// Finds the added tokens that stand for themselves, and encodes what lies between them.
  mutating func encode(_ text: [UInt8]) throws(Failure) {
    for segment in tokenizer.addedTokens.segments(ofRaw: text) {
      switch segment {
      case .token(let identifier): identifiers.append(identifier)
      case .text(let range):
        try encodeNormalized(tokenizer.normalizer.normalize(Array(text[range])), isFirst: range.lowerBound == 0)
      }
    }
  }

  /// Finds the added tokens that are normalized like the text, and encodes what lies between them.
  private mutating func encodeNormalized(_ text: [UInt8], isFirst: Bool) throws(Failure) {
    for segment in tokenizer.addedTokens.segments(ofNormalized: text) {
      switch segment {
      case .token(let identifier): identifiers.append(identifier)
      case .text(let range):
        var pieces = Pieces(Array(text[range]), isFirst: isFirst && range.lowerBound == 0)
        try tokenizer.preTokenizer.split(&pieces)
        try encodePieces(pieces)
      }
    }
  }

  private mutating func encodePieces(_ pieces: Pieces) throws(Failure) {
    for piece in pieces.pieces where identifiers.count < room {
      try tokenizer.model.encode(pieces.text, in: piece.range, with: &workspace, into: &identifiers)
    }
  }
}
