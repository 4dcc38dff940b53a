import Checkpoint
import Compute
import Diagnostics

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

  /// The scores of all scored tokens, sequence by sequence.
  ///
  /// - Parameters:
  ///   - sequences: What to score.
  ///   - progress: Told the layers done, of how many; what it throws ends the scoring.
  /// - Returns: As many scores for each sequence as it has scored tokens.
  /// - Throws: `Failure` for a model that gives NaN or infinity; `DeviceError`.
  public func scores(
    of sequences: [ScoredSequence], progress: (Int, Int) throws -> Void = { _, _ in }
  ) throws -> [[TokenScore]] {
    let passes = SampleBatches.passes(
      lengths: sequences.map(\.input.count), width: model.configuration.hiddenSize, byteBudget: stateBudget,
      on: backend.device.kind)
    let layers = model.configuration.blockCount + 2
    var done = 0
    return try passes.flatMap { pass in
      let sequences = Array(sequences[pass])
      let walk = try LayerWalk(
        [WalkedModel(model: model)], samples: SampleBatches(sequences.map(\.input), on: backend),
        pooling: .last, on: backend)
      let states = try walk.run { _, _, _ in
        done += 1
        try progress(done, passes.count * layers)
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
    let scores = try HeadScores(places: places, targets: targets, model.configuration, on: backend)
    try meetHead(states, scores)
    var rest = try scores.finish(model: model.path)[...]
    return sequences.map { sequence in
      defer { rest = rest.dropFirst(sequence.targets.count) }
      return Array(rest.prefix(sequence.targets.count))
    }
  }

  /// Reads the head piece by piece, the next one while this one is computed on.
  private func meetHead(_ states: Matrix, _ scores: HeadScores) throws {
    let name = model.configuration.stem.head.name
    guard let head = model.directory.source(of: name), let type = ElementType(head.type) else {
      throw Failure(
        .internalError, operation: "score tokens", subject: model.path, expected: name, got: "no such tensor")
    }
    let width = model.configuration.hiddenSize
    let rowByteCount = width * type.byteCount
    let pieces = HeadScores.pieces(model.configuration)
    let ahead = ReadAhead(
      pieces,
      buffers: try (0..<2).map { _ throws(DeviceError) in
        try backend.allocateHost(byteCount: HeadScores.entriesPerPiece(model.configuration) * rowByteCount)
      }
    ) { [model] piece, buffer throws(Failure) in
      let bytes = piece.lowerBound * rowByteCount..<piece.upperBound * rowByteCount
      try buffer.withMutableBytes(in: 0..<bytes.count) { destination throws(Failure) in
        try model.directory.read(head, bytes: bytes, into: &destination)
      }
    }
    defer { ahead.cancel() }

    let tensors = DeviceTensors(model.directory, on: backend)
    for _ in pieces {
      let filled = try ahead.next()
      let elements = filled.unit.lowerBound * width..<filled.unit.upperBound * width
      let piece = try tensors.elements(of: head, elements, in: backend.upload(filled.buffer), at: 0)
        .reshaped(rows: filled.unit.count, columns: width).asWeights(on: backend)
      try scores.meet(piece, firstEntry: filled.unit.lowerBound, states: states)
      try backend.synchronize()
      ahead.giveBack(filled.buffer)
    }
  }
}
