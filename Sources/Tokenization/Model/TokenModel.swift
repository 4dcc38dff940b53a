import Diagnostics

/// What turns a piece of text into ids: the `model` of a `tokenizer.json`.
protocol TokenModel: Sendable {
  /// The tokens.
  var vocabulary: Vocabulary { get }

  /// Appends the ids of one piece, which is not empty.
  ///
  /// - Parameters:
  ///   - text: Valid UTF-8.
  ///   - range: The piece, on scalar boundaries.
  ///   - workspace: What is kept from piece to piece to save allocations.
  ///   - identifiers: Where the ids go.
  /// - Throws: `Failure` when the piece needs the unknown token and the vocabulary lacks it.
  func encode(
    _ text: [UInt8], in range: Range<Int>, with workspace: inout EncodingWorkspace, into identifiers: inout [Int32]
  ) throws(Failure)
}

/// What models keep from piece to piece.
struct EncodingWorkspace {
  /// For byte-pair encoding.
  var merger = PieceMerger()
  /// For Unigram.
  var paths: [UnigramModel.Path] = []
  /// For WordPiece: a prefix and the rest of the piece.
  var spelling: [UInt8] = []
}

/// Reads the `model` of a `tokenizer.json`.
func tokenModel(_ component: Component) throws(Failure) -> any TokenModel {
  let type = try component.optional("type")?.string ?? "BPE"
  switch type {
  case "BPE": return try BytePairModel(component)
  case "Unigram": return try UnigramModel(component)
  case "WordPiece": return try WordPieceModel(component)
  case "WordLevel": return try WordLevelModel(component)
  default:
    throw component.unsupported("the model \"\(type)\"", known: "one of BPE, Unigram, WordPiece, WordLevel")
  }
}

/// The token that stands for what a vocabulary lacks.
struct UnknownToken: Sendable {
  /// How it is spelled.
  let spelling: String
  private let found: Int32?
  private let subject: String

  /// Looks a token up; that it is missing matters only to a text that needs it.
  init(_ component: Component, in vocabulary: Vocabulary) throws(Failure) {
    spelling = try component.string
    found = vocabulary.identifier(of: spelling)
    subject = component.subject
  }

  /// Whether the vocabulary has it.
  var isKnown: Bool { found != nil }

  /// Its id.
  var identifier: Int32 {
    get throws(Failure) {
      guard let found else {
        throw Failure(
          .badData, operation: "encode text", subject: subject,
          expected: "the unknown token \"\(spelling)\" in the vocabulary", got: "none",
          advice: "The text has a character that the vocabulary lacks.")
      }
      return found
    }
  }
}
