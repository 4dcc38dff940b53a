import Compute
import Diagnostics
import Foundation

/// The scores of tokens while the output head passes by, piece by piece: the logits of a whole vocabulary are never held.
struct HeadScores {
  /// The most elements of the head in one piece, and the most entries of the vocabulary: with `rowsPerProduct` they bound
  /// weights and logits to some tens of MB.
  private static let (pieceElements, pieceEntries) = (1 << 22, 1 << 13)
  /// How many tokens meet a piece of the head in one product.
  private static let rowsPerProduct = 1024

  /// One row for each scored token: where its state is, what it is, and what is known of it so far.
  private let places: Matrix
  private let targets: Matrix
  private let scores: Matrix
  private let best: Matrix
  private let targetTokens: [Int32]
  /// Scratch: some states, and their logits.
  private let gathered: Matrix
  private let logits: DeviceBuffer
  /// What logits are multiplied by.
  private let logitScale: Float
  private let backend: any ComputeBackend

  /// Starts with nothing known.
  ///
  /// - Parameters:
  ///   - places: For each scored token the row of the state that predicts it.
  ///   - targets: The scored tokens.
  ///   - configuration: The shape of the model.
  ///   - backend: The device.
  /// - Throws: `DeviceError` when the device has no memory for it.
  init(
    places: [Int32], targets: [Int32], _ configuration: ModelConfiguration, on backend: any ComputeBackend
  ) throws(DeviceError) {
    self.backend = backend
    logitScale = configuration.stem.logitScale
    targetTokens = targets
    self.places = try backend.upload(places, columns: 1)
    self.targets = try backend.upload(targets, columns: 1)
    scores = try backend.upload(targets.flatMap { _ in [-Float.infinity, 0, -Float.infinity] }, columns: 3)
    best = try backend.upload([Int32](repeating: -1, count: targets.count), columns: 1)
    let rows = min(HeadScores.rowsPerProduct, targets.count)
    gathered = try backend.allocate(rows: rows, columns: configuration.hiddenSize)
    logits = try backend.allocate(
      byteCount: rows * HeadScores.entriesPerPiece(configuration) * ElementType.float32.byteCount)
  }

  /// The bytes of scratch, and of a piece that is read, uploaded and converted.
  static func byteCount(_ configuration: ModelConfiguration) -> Int {
    let rows = configuration.hiddenSize * (entriesPerPiece(configuration) * 3 + rowsPerProduct)
    return (rows + rowsPerProduct * entriesPerPiece(configuration)) * ElementType.float32.byteCount
  }

  /// The rows of a head, piece by piece.
  static func pieces(_ configuration: ModelConfiguration) -> [Range<Int>] {
    let (vocabulary, entries) = (configuration.vocabularySize, entriesPerPiece(configuration))
    return stride(from: 0, to: vocabulary, by: entries).map { $0..<min($0 + entries, vocabulary) }
  }

  /// How many rows a piece has at most.
  static func entriesPerPiece(_ configuration: ModelConfiguration) -> Int {
    min(pieceEntries, configuration.vocabularySize, max(1, pieceElements / configuration.hiddenSize))
  }

  /// Compares the states with a piece of the head.
  ///
  /// - Parameters:
  ///   - piece: Some rows of the head.
  ///   - firstEntry: The token of the first of them.
  ///   - states: Normed states, `float32 [rows, d]`.
  /// - Throws: `DeviceError`.
  func meet(_ piece: Matrix, firstEntry: Int, states: Matrix) throws(DeviceError) {
    for first in stride(from: 0, to: targets.rows, by: max(gathered.rows, 1)) {
      let batch = first..<min(first + gathered.rows, targets.rows)
      let batchStates = try gathered.rows(0..<batch.count)
      let batchLogits = try Matrix(logits, rows: batch.count, columns: piece.rows, elementType: .float32)
      try backend.embeddingLookup(tokens: places.rows(batch), table: states, into: batchStates)
      try backend.multiply(batchStates, transposed: piece, bias: nil, into: batchLogits)
      if logitScale != 1 { try backend.sum([batchLogits], [logitScale], into: batchLogits) }
      try backend.accumulateTokenScores(
        batchLogits, firstEntry: firstEntry, targets: targets.rows(batch), scores: scores.rows(batch),
        best: best.rows(batch))
    }
  }

  /// The scores, once the whole head has passed.
  ///
  /// - Parameter model: Whose they are, for messages.
  /// - Returns: One for each scored token.
  /// - Throws: `Failure` for logits that are NaN or infinite; `DeviceError`.
  func finish(model: String) throws -> [TokenScore] {
    let numbers = try backend.download(scores)
    let best = try backend.downloadIntegers(best)
    return try targetTokens.indices.map { row in
      let (largest, sum, logit) = (numbers[3 * row], numbers[3 * row + 1], numbers[3 * row + 2])
      let logProbability = Double(logit) - Double(largest) - log(Double(sum))
      guard logProbability.isFinite else {
        throw Failure(
          .badData, operation: "score tokens", subject: model, expected: "finite logits", got: "NaN or infinity",
          advice: "A damaged model cannot be evaluated; download or train it again.")
      }
      return TokenScore(logProbability: logProbability, logit: logit, isBest: best[row] == targetTokens[row])
    }
  }
}
