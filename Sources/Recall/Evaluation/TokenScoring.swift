import Checkpoint
import Compute
import Diagnostics
import Foundation

/// What a model says about a token, given those before it.
public struct TokenScore: Sendable {
  /// log p of the token.
  public let logProbability: Double
  /// Its logit.
  public let logit: Float
  /// Whether it has the largest logit, which is what greedy decoding writes; ties go to the lowest identifier.
  public let isBest: Bool
}

/// Scores the tokens of many sequences with one model, in one pass over its layers for as many as fit the memory.
///
/// Answers are scored as they stand, in one forward pass and without decoding. The output head is streamed in pieces, so
/// that the logits of a whole vocabulary are never held.
public struct TokenScoring {
  /// The most elements of the head in one piece, and the most entries of the vocabulary: with `rowsPerProduct` they bound
  /// weights and logits to some tens of MB.
  private static let (pieceElements, pieceEntries) = (1 << 22, 1 << 13)
  /// How many tokens meet a piece of the head in one product.
  private static let rowsPerProduct = 1024

  private let model: Model
  private let stateBudget: Int
  private let backend: any ComputeBackend

  /// Prepares the scoring of one model.
  ///
  /// - Parameters:
  ///   - model: The model.
  ///   - stateBudget: How many bytes its residual stream may take.
  ///   - backend: The device.
  public init(
    _ model: Model, stateBudget: Int = HierarchicalMerge.defaultStateBudget, on backend: any ComputeBackend
  ) {
    self.model = model
    self.stateBudget = stateBudget
    self.backend = backend
  }

  /// The bytes that the head's pieces and their logits take, beside the layers and the residual stream.
  static func headByteCount(_ configuration: ModelConfiguration) -> Int {
    let rows = configuration.hiddenSize * (entriesPerPiece(configuration) * 3 + rowsPerProduct)
    return (rows + rowsPerProduct * entriesPerPiece(configuration)) * ElementType.float32.byteCount
  }

  /// The scores of all scored tokens, sequence by sequence.
  ///
  /// - Parameters:
  ///   - sequences: What to score.
  ///   - progress: Told the layers done, of how many.
  /// - Returns: As many scores for each sequence as it has scored tokens.
  /// - Throws: `Failure` for a model that gives NaN or infinity; `DeviceError`.
  public func scores(
    of sequences: [ScoredSequence], progress: (Int, Int) -> Void = { _, _ in }
  ) throws -> [[TokenScore]] {
    let passes = SampleBatches.passes(
      lengths: sequences.map(\.input.count), width: model.configuration.hiddenSize, byteBudget: stateBudget)
    let layers = model.configuration.blockCount + 2
    var done = 0
    return try passes.flatMap { pass in
      let sequences = Array(sequences[pass])
      let walk = try LayerWalk(
        [model], digests: [ModelDigester(model.directory)], samples: SampleBatches(sequences.map(\.input), on: backend),
        pooling: .last, on: backend)
      let states = try walk.run { _, _, _ in
        done += 1
        progress(done, passes.count * layers)
      }
      return try scores(of: sequences, states: states[0])
    }
  }

  /// Compares the normed states before every scored token with the output head.
  private func scores(of sequences: [ScoredSequence], states: Matrix) throws -> [[TokenScore]] {
    var (places, targets): ([Int32], [Int32]) = ([], [])
    var start = 0
    for sequence in sequences {
      places += (sequence.scoredFrom..<sequence.tokens.count).map { Int32(start + $0 - 1) }
      targets += sequence.targets
      start += sequence.input.count
    }
    let running = RunningScores(
      places: try backend.upload(places, columns: 1), targets: try backend.upload(targets, columns: 1),
      scores: try backend.upload(
        targets.flatMap { _ in [-Float.infinity, 0, -Float.infinity] }, columns: 3),
      best: try backend.upload([Int32](repeating: -1, count: targets.count), columns: 1))
    try meetHead(states, running)

    let numbers = try backend.download(running.scores)
    let best = try backend.downloadIntegers(running.best)
    let scores = try targets.indices.map { row in
      let (largest, sum, logit) = (numbers[3 * row], numbers[3 * row + 1], numbers[3 * row + 2])
      let logProbability = Double(logit) - Double(largest) - log(Double(sum))
      guard logProbability.isFinite else {
        throw Failure(
          .badData, operation: "score tokens", subject: model.path, expected: "finite logits", got: "NaN or infinity",
          advice: "A damaged model cannot be evaluated; download or train it again.")
      }
      return TokenScore(logProbability: logProbability, logit: logit, isBest: best[row] == targets[row])
    }
    var rest = scores[...]
    return sequences.map { sequence in
      defer { rest = rest.dropFirst(sequence.targets.count) }
      return Array(rest.prefix(sequence.targets.count))
    }
  }

  /// One row for each scored token: where its state is, what it is, and what is known of it so far.
  private struct RunningScores {
    let places: Matrix
    let targets: Matrix
    let scores: Matrix
    let best: Matrix
  }

  /// Reads the head piece by piece, the next one while this one is computed on.
  private func meetHead(_ states: Matrix, _ running: RunningScores) throws {
    guard let head = model.directory.source(of: Architecture.outputHead), let type = ElementType(head.type) else {
      throw Failure(
        .internalError, operation: "score tokens", subject: model.path, expected: Architecture.outputHead,
        got: "no such tensor")
    }
    let width = model.configuration.hiddenSize
    let vocabulary = model.configuration.vocabularySize
    let entries = TokenScoring.entriesPerPiece(model.configuration)
    let pieces = stride(from: 0, to: vocabulary, by: entries).map { $0..<min($0 + entries, vocabulary) }
    let rowByteCount = width * type.byteCount
    let ahead = ReadAhead(
      pieces,
      buffers: try (0..<2).map { _ throws(DeviceError) in
        try backend.allocateHost(byteCount: entries * rowByteCount)
      }
    ) { [model] piece, buffer throws(Failure) in
      let bytes = piece.lowerBound * rowByteCount..<piece.upperBound * rowByteCount
      try buffer.withMutableBytes(in: 0..<bytes.count) { destination throws(Failure) in
        try model.directory.read(head, bytes: bytes, into: &destination)
      }
    }
    defer { ahead.cancel() }

    let tensors = try DeviceTensors(model.directory, on: backend)
    let rows = min(TokenScoring.rowsPerProduct, running.targets.rows)
    let gathered = try backend.allocate(rows: rows, columns: width)
    let logits = try backend.allocate(byteCount: rows * entries * ElementType.float32.byteCount)
    for _ in pieces {
      let filled = try ahead.next()
      let elements = filled.unit.lowerBound * width..<filled.unit.upperBound * width
      let piece = try tensors.elements(of: head, elements, in: backend.upload(filled.buffer), at: 0)
        .reshaped(rows: filled.unit.count, columns: width).asWeights(on: backend)
      for first in stride(from: 0, to: running.targets.rows, by: max(rows, 1)) {
        let batch = first..<min(first + rows, running.targets.rows)
        let batchStates = try gathered.rows(0..<batch.count)
        let batchLogits = try Matrix(logits, rows: batch.count, columns: piece.rows, elementType: .float32)
        try backend.embeddingLookup(tokens: running.places.rows(batch), table: states, into: batchStates)
        try backend.multiply(batchStates, transposed: piece, bias: nil, into: batchLogits)
        try backend.accumulateTokenScores(
          batchLogits, firstEntry: filled.unit.lowerBound, targets: running.targets.rows(batch),
          scores: running.scores.rows(batch), best: running.best.rows(batch))
      }
      try backend.synchronize()
      ahead.giveBack(filled.buffer)
    }
  }

  private static func entriesPerPiece(_ configuration: ModelConfiguration) -> Int {
    min(pieceEntries, configuration.vocabularySize, max(1, pieceElements / configuration.hiddenSize))
  }
}
