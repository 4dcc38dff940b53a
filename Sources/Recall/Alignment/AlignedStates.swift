import Compute

/// The residual streams of every expert's samples: on the expert's own path, and on that of the merged model.
///
/// Advanced half a block at a time, when the maps before are solved. What reaches a map is computed anew for every map, so that
/// nothing but the streams is kept: `float32 [tokens, d]`, twice.
final class AlignedStates {
  /// The samples of one expert.
  struct Expert {
    /// The expert's number among the models.
    let model: Int
    let samples: SampleBatches
    /// The stream on its own path.
    let own: Matrix
    /// The stream through the merged model; on the own path, where there is no other.
    let merged: Matrix
  }

  /// Where linear maps take their inputs from.
  enum Stage {
    /// Queries, keys and values, from the normed stream.
    case attentionInput
    /// The output projection, from the heads.
    case heads
    /// Gate and up, from the normed stream.
    case feedForwardInput
    /// Down, from the gated activations.
    case gated
  }

  /// What reaches a map for a batch of tokens, `float32 [tokens, in]`, in scratch.
  struct MapInputs {
    /// In the merged model.
    let merged: Matrix
    /// On the expert's own path.
    let own: Matrix
    /// The streams that the map's outputs are added to, `float32 [tokens, out]`; `nil` for a map whose outputs go elsewhere.
    let streams: (merged: Matrix, own: Matrix)?
  }

  let experts: [Expert]
  private let hasMergedPath: Bool
  private let own: [DecoderForwardPass]
  private let merged: DecoderForwardPass
  private let ownWorkspace: ForwardWorkspace
  private let mergedWorkspace: ForwardWorkspace
  private let backend: any ComputeBackend

  /// Prepares streams that hold nothing yet.
  ///
  /// - Parameters:
  ///   - samples: The token identifiers of each model's samples; none for a model without samples.
  ///   - models: The models.
  ///   - reference: The model whose configuration the merged one has.
  ///   - hasMergedPath: Whether samples run through the merged model as well.
  ///   - backend: The device.
  /// - Throws: `DeviceError` when the device has no memory for them.
  init(
    _ samples: [[[Int32]]], models: [Model], reference: Model, hasMergedPath: Bool,
    on backend: any ComputeBackend
  ) throws(DeviceError) {
    let width = reference.configuration.hiddenSize
    var experts: [Expert] = []
    for (model, texts) in samples.enumerated() where !texts.isEmpty {
      let batches = try SampleBatches(texts, on: backend)
      let tokens = batches.tokenIdentifiers.count
      let own = try backend.allocate(rows: tokens, columns: width)
      let merged = hasMergedPath ? try backend.allocate(rows: tokens, columns: width) : own
      experts.append(Expert(model: model, samples: batches, own: own, merged: merged))
    }
    self.experts = experts
    self.hasMergedPath = hasMergedPath
    self.backend = backend
    own = models.map { DecoderForwardPass($0.configuration, precision: .full, on: backend) }
    merged = DecoderForwardPass(reference.configuration, precision: .full, on: backend)
    let (tokens, longest) = (
      experts.map(\.samples.largestBatch).max() ?? 0, experts.map(\.samples.longestText).max() ?? 0
    )
    ownWorkspace = try ForwardWorkspace(reference.configuration, tokens: tokens, longestText: longest, on: backend)
    mergedWorkspace = try ForwardWorkspace(reference.configuration, tokens: tokens, longestText: longest, on: backend)
  }

  /// The bytes of streams and scratch for samples of the given lengths, model by model.
  static func byteCount(_ configuration: ModelConfiguration, lengths: [[Int]]) -> Int {
    let tokens = lengths.joined().reduce(0, +)
    let batch = lengths.map { lengths in
      SampleBatches.groups(lengths: lengths).map { lengths[$0].reduce(0, +) }.max() ?? 0
    }
    let workspace = ForwardWorkspace.byteCount(
      configuration, tokens: batch.max() ?? 0, longestText: lengths.joined().max() ?? 0)
    return 2 * (tokens * configuration.hiddenSize * ElementType.float32.byteCount + workspace)
  }

  /// Looks the tokens of every expert up in its own embeddings and in the merged ones.
  ///
  /// - Parameters:
  ///   - models: All models, and the companions behind them.
  ///   - form: Makes the merged rows of theirs.
  /// - Throws: `Failure` when the embeddings cannot be read; `DeviceError`.
  func embed(_ models: [Model], form: (_ rows: [Matrix]) throws -> Matrix) throws {
    let used = Set(experts.flatMap(\.samples.tokenIdentifiers)).sorted()
    guard !used.isEmpty else { return }
    let rows = try models.map { try $0.embeddingRows(of: used, on: backend) }
    let merged = try form(rows)
    for expert in experts {
      let tokens = try expert.samples.tokens(amongRows: used, on: backend)
      try backend.embeddingLookup(tokens: tokens, table: rows[expert.model], into: expert.own)
      if hasMergedPath { try backend.embeddingLookup(tokens: tokens, table: merged, into: expert.merged) }
    }
    try backend.synchronize()
  }

  /// Computes what reaches the maps of a stage, batch by batch.
  ///
  /// - Parameters:
  ///   - stage: The stage.
  ///   - block: The block.
  ///   - weights: The block's tensors of every model.
  ///   - mergedWeights: Those of the merged model, as far as the stage needs them.
  ///   - body: Gets the expert and what reaches its map.
  /// - Throws: `DeviceError`.
  func forEachInput(
    of stage: Stage, block: Int, weights: [BlockWeights], mergedWeights: BlockWeights,
    _ body: (Expert, MapInputs) throws(DeviceError) -> Void
  ) throws(DeviceError) {
    try forEachBatch { expert, sequences, mergedStates, ownStates throws(DeviceError) in
      let ownInput = try input(
        of: stage, own[expert.model], ownStates, sequences, block: block, weights: weights[expert.model],
        workspace: ownWorkspace)
      let mergedInput =
        hasMergedPath
        ? try input(
          of: stage, merged, mergedStates, sequences, block: block, weights: mergedWeights, workspace: mergedWorkspace)
        : ownInput
      let isAdded = stage == .heads || stage == .gated
      try body(
        expert,
        MapInputs(
          merged: mergedInput, own: ownInput,
          streams: hasMergedPath && isAdded ? (merged: mergedStates, own: ownStates) : nil))
    }
  }

  /// Advances all streams through attention or through the feed-forward half of a block, whose maps are all solved.
  ///
  /// - Parameters:
  ///   - stage: `heads` or `gated`, the last stage of the half.
  ///   - block: The block.
  ///   - weights: The block's tensors of every model.
  ///   - mergedWeights: Those of the merged model.
  /// - Throws: `DeviceError`.
  func advance(
    through stage: Stage, block: Int, weights: [BlockWeights], mergedWeights: BlockWeights
  ) throws(DeviceError) {
    try forEachBatch { expert, sequences, mergedStates, ownStates throws(DeviceError) in
      let paths = [
        (own[expert.model], ownStates, weights[expert.model], ownWorkspace),
        (merged, mergedStates, mergedWeights, mergedWorkspace),
      ]
      for (forward, states, weights, workspace) in paths.prefix(hasMergedPath ? 2 : 1) {
        let input = try input(
          of: stage, forward, states, sequences, block: block, weights: weights, workspace: workspace)
        if stage == .heads {
          try forward.addAttention(input, to: states, weights: weights, workspace: workspace)
        } else {
          try forward.addFeedForward(input, to: states, weights: weights, workspace: workspace)
        }
      }
    }
  }

  /// Norms the last block's output on both paths, and gives what reaches the head, batch by batch.
  func forEachHeadInput(
    gains: [Matrix], mergedGain: Matrix, _ body: (Expert, MapInputs) throws(DeviceError) -> Void
  ) throws(DeviceError) {
    try forEachBatch { expert, sequences, mergedStates, ownStates throws(DeviceError) in
      let rows = 0..<sequences.tokens
      let (mergedInput, ownInput) = (
        try mergedWorkspace.normed.rows(rows), try ownWorkspace.normed.rows(rows)
      )
      if hasMergedPath { try merged.normalise(mergedStates, gain: mergedGain, into: mergedInput) }
      try own[expert.model].normalise(ownStates, gain: gains[expert.model], into: ownInput)
      try body(expert, MapInputs(merged: mergedInput, own: ownInput, streams: nil))
    }
  }

  /// How far every model's stream is from the merged one on its samples: the relative distance of their states, mean over all
  /// tokens; `nil` for a model without samples.
  func deviations(of models: Int) throws(DeviceError) -> [Double?] {
    var deviations = [Double?](repeating: nil, count: models)
    for expert in experts {
      let distances = try InterModelDistances([expert.own, expert.merged], measure: .relative, on: backend).all
      deviations[expert.model] = distances.reduce(0, +) / Double(max(distances.count, 1))
    }
    return deviations
  }

  private func forEachBatch(
    _ body: (_ expert: Expert, PackedSequences, _ merged: Matrix, _ own: Matrix) throws(DeviceError) -> Void
  ) throws(DeviceError) {
    for expert in experts {
      for batch in expert.samples.batches {
        try body(expert, batch.sequences, expert.merged.rows(batch.tokens), expert.own.rows(batch.tokens))
      }
    }
  }

  private func input(
    of stage: Stage, _ forward: DecoderForwardPass, _ states: Matrix, _ sequences: PackedSequences, block: Int,
    weights: BlockWeights, workspace: ForwardWorkspace
  ) throws(DeviceError) -> Matrix {
    switch stage {
    case .attentionInput: try forward.attentionInput(states, weights: weights, workspace: workspace)
    case .heads:
      try forward.attend(
        forward.attentionInput(states, weights: weights, workspace: workspace), sequences: sequences, weights: weights,
        block: block, workspace: workspace)
    case .feedForwardInput: try forward.feedForwardInput(states, weights: weights, workspace: workspace)
    case .gated:
      try forward.feed(
        forward.feedForwardInput(states, weights: weights, workspace: workspace), weights: weights, workspace: workspace
      )
    }
  }
}
