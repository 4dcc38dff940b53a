import Compute

/// The residual streams of all samples: on their own expert's path, and on that of the merged model.
///
/// Advanced half a block at a time, when the maps before are solved. What reaches a map is computed anew for every map, so that
/// nothing but the streams is kept: `float32 [tokens, d]`, twice.
final class AlignedStates {
  /// Samples of one group that are treated alike.
  struct Part {
    /// The group's number.
    let group: Int
    /// The number of the model that the group belongs to.
    let model: Int
    /// The numbers of the texts in the group.
    let texts: [Int]
    /// The lengths of the texts, in tokens.
    let lengths: [Int]
    /// Whether maps are fitted to these texts.
    let isFitted: Bool
    /// Whether the merged model is asked about these texts.
    let isMeasured: Bool
    let samples: SampleBatches
    /// The stream on the model's own path.
    let own: Matrix
    /// The stream through the merged model; on the own path, where there is no other.
    let merged: Matrix
  }

  /// What reaches a map for a batch of tokens, `float32 [tokens, in]`, in scratch.
  struct MapInputs {
    /// In the merged model.
    let merged: Matrix
    /// On the expert's own path.
    let own: Matrix
    /// The streams that the map's outputs are added to, `float32 [tokens, out]`; `nil` for a map whose outputs go elsewhere.
    let streams: (merged: Matrix, own: Matrix)?
    /// The texts that the tokens are of.
    let sequences: PackedSequences
  }

  let parts: [Part]
  private let hasMergedPath: Bool
  private let own: [DecoderForwardPass]
  private let merged: DecoderForwardPass
  private let ownWorkspace: ForwardWorkspace
  private let mergedWorkspace: ForwardWorkspace
  private let backend: any ComputeBackend

  /// Prepares streams that hold nothing yet.
  ///
  /// - Parameters:
  ///   - groups: The samples.
  ///   - fold: Which half of every group is fitted to, and asked about the other; `nil` to fit to all. A text that is a group
  ///     of its own is both fitted to and asked about.
  ///   - models: The models.
  ///   - reference: The model whose configuration the merged one has.
  ///   - hasMergedPath: Whether samples run through the merged model as well.
  ///   - backend: The device.
  /// - Throws: `DeviceError` when the device has no memory for them.
  init(
    _ groups: [SampleGroup], fold: Int?, models: [Model], reference: Model, hasMergedPath: Bool,
    on backend: any ComputeBackend
  ) throws(DeviceError) {
    let width = reference.configuration.hiddenSize
    var parts: [Part] = []
    for (number, group) in groups.enumerated() {
      let all = Array(group.texts.indices)
      let fitted = fold.map { fold in all.count > 1 ? all.filter { $0 % 2 == fold } : all } ?? all
      for (texts, isFitted) in [(fitted, true), (all.filter { !fitted.contains($0) }, false)] where !texts.isEmpty {
        let batches = try SampleBatches(texts.map { group.texts[$0] }, on: backend)
        let tokens = batches.tokenIdentifiers.count
        let own = try backend.allocate(rows: tokens, columns: width)
        let merged = hasMergedPath ? try backend.allocate(rows: tokens, columns: width) : own
        parts.append(
          Part(
            group: number, model: group.model, texts: texts, lengths: texts.map { group.texts[$0].count },
            isFitted: isFitted, isMeasured: fold != nil && (!isFitted || all.count == 1), samples: batches, own: own,
            merged: merged))
      }
    }
    self.parts = parts
    self.hasMergedPath = hasMergedPath
    self.backend = backend
    own = models.map { DecoderForwardPass($0.configuration, precision: .full, on: backend) }
    merged = DecoderForwardPass(reference.configuration, precision: .full, on: backend)
    let (tokens, longest) = (
      parts.map(\.samples.largestBatch).max() ?? 0, parts.map(\.samples.longestText).max() ?? 0
    )
    ownWorkspace = try ForwardWorkspace(reference.configuration, tokens: tokens, longestText: longest, on: backend)
    mergedWorkspace = try ForwardWorkspace(reference.configuration, tokens: tokens, longestText: longest, on: backend)
  }

  /// The shape of the merged model.
  var configuration: ModelConfiguration { merged.configuration }

  /// How the queries and keys of a block are normed and turned.
  func geometry(block: Int) -> AttentionGeometry {
    mergedWorkspace.geometry(of: configuration.blocks[block].attention)
  }

  /// The tokens of the samples that maps are fitted to.
  var fittedTokens: Int { parts.reduce(0) { $0 + ($1.isFitted ? $1.samples.tokenIdentifiers.count : 0) } }

  /// The bytes of streams and scratch for samples of the given lengths, model by model, on a device.
  static func byteCount(
    _ configuration: ModelConfiguration, lengths: [[Int]], on backend: any ComputeBackend
  ) -> Int {
    let tokens = lengths.joined().reduce(0, +)
    let batch = lengths.map { SampleBatches.mostTokens(lengths: $0, on: backend.device.kind) }
    let workspace = ForwardNeeds(
      configuration, tokens: batch.max() ?? 0, longestText: lengths.joined().max() ?? 0, on: backend)
    return 2 * (tokens * configuration.hiddenSize * ElementType.float32.byteCount + workspace.byteCount)
  }

  /// Looks the tokens of every expert up in its own embeddings and in the merged ones.
  ///
  /// - Parameters:
  ///   - models: All models, and the companions behind them.
  ///   - form: Makes the merged rows of theirs.
  /// - Throws: `Failure` when the embeddings cannot be read; `DeviceError`.
  func embed(_ models: [Model], form: (_ rows: [Matrix]) throws -> Matrix) throws {
    let used = Set(parts.flatMap(\.samples.tokenIdentifiers)).sorted()
    guard !used.isEmpty else { return }
    let rows = try models.map { try $0.embeddingRows(of: used, on: backend) }
    let merged = try form(rows)
    for part in parts {
      let tokens = try part.samples.tokens(amongRows: used, on: backend)
      try own[part.model].embed(tokens, table: rows[part.model], into: part.own)
      if hasMergedPath { try self.merged.embed(tokens, table: merged, into: part.merged) }
    }
    try backend.synchronize()
  }

  /// Computes what reaches the maps of a stage, batch by batch of the samples that maps are fitted to.
  ///
  /// - Parameters:
  ///   - stage: The stage.
  ///   - block: The block.
  ///   - tensors: The block's tensors of every model.
  ///   - mergedTensors: Those of the merged model, as far as the stage needs them.
  ///   - body: Gets the samples' part and what reaches its expert's map.
  /// - Throws: `DeviceError`.
  func forEachInput(
    of stage: MapStage, block: Int, tensors: [LayerTensors], merged mergedTensors: LayerTensors,
    _ body: (Part, MapInputs) throws(DeviceError) -> Void
  ) throws(DeviceError) {
    try forEachBatch(of: parts.filter(\.isFitted)) { part, sequences, mergedStates, ownStates throws(DeviceError) in
      let ownInput = try input(
        of: stage, own[part.model], ownStates, sequences, block: block, tensors: tensors[part.model],
        workspace: ownWorkspace)
      let mergedInput =
        hasMergedPath
        ? try input(
          of: stage, merged, mergedStates, sequences, block: block, tensors: mergedTensors, workspace: mergedWorkspace)
        : ownInput
      try body(
        part,
        MapInputs(
          merged: mergedInput, own: ownInput,
          streams: hasMergedPath && stage.isAdded ? (merged: mergedStates, own: ownStates) : nil, sequences: sequences))
    }
  }

  /// Advances all streams through attention or through the feed-forward half of a block, whose maps are all solved.
  ///
  /// - Parameters:
  ///   - stage: The last stage of the half.
  ///   - block: The block.
  ///   - tensors: The block's tensors of every model.
  ///   - mergedTensors: Those of the merged model.
  /// - Throws: `DeviceError`.
  func advance(
    through stage: MapStage, block: Int, tensors: [LayerTensors], merged mergedTensors: LayerTensors
  ) throws(DeviceError) {
    try forEachBatch(of: parts) { part, sequences, mergedStates, ownStates throws(DeviceError) in
      let paths = [
        (own[part.model], ownStates, tensors[part.model], ownWorkspace),
        (merged, mergedStates, mergedTensors, mergedWorkspace),
      ]
      for (forward, states, tensors, workspace) in paths.prefix(hasMergedPath ? 2 : 1) {
        let input = try input(
          of: stage, forward, states, sequences, block: block, tensors: tensors, workspace: workspace)
        if stage.input == .heads {
          try forward.addAttention(input, to: states, tensors: tensors, block: block, workspace: workspace)
        } else {
          try forward.addFeedForward(input, to: states, tensors: tensors, block: block, workspace: workspace)
        }
      }
    }
  }

  /// Norms the last block's output on both paths, and gives what reaches the head, batch by batch of the samples that maps
  /// are fitted to.
  func forEachHeadInput(
    norms: [LayerTensors], mergedNorm: LayerTensors, _ body: (Part, MapInputs) throws(DeviceError) -> Void
  ) throws(DeviceError) {
    try forEachBatch(of: parts.filter(\.isFitted)) { part, sequences, mergedStates, ownStates throws(DeviceError) in
      let (rows, columns) = (sequences.tokens, configuration.hiddenSize)
      let mergedInput = try mergedWorkspace.matrix(.normed, rows: rows, columns: columns)
      let ownInput = try ownWorkspace.matrix(.normed, rows: rows, columns: columns)
      if hasMergedPath { try merged.normalise(mergedStates, tensors: mergedNorm, into: mergedInput) }
      try own[part.model].normalise(ownStates, tensors: norms[part.model], into: ownInput)
      try body(part, MapInputs(merged: mergedInput, own: ownInput, streams: nil, sequences: sequences))
    }
  }

  /// Scores the tokens of a part by the merged model, once its last block was advanced through.
  ///
  /// - Parameters:
  ///   - part: Some samples.
  ///   - head: The output head of the merged model.
  ///   - norm: The tensors of its final norm.
  ///   - model: What it is called in messages.
  /// - Returns: For every text the scores of all tokens but the first.
  /// - Throws: `Failure` for logits that are NaN or infinite; `DeviceError`.
  func scores(of part: Part, head: Matrix, norm: LayerTensors, model: String) throws -> [[TokenScore]] {
    try part.samples.batches.flatMap { batch -> [[TokenScore]] in
      let states = try mergedWorkspace.matrix(
        .normed, rows: batch.tokens.count, columns: configuration.hiddenSize)
      try merged.normalise(part.merged.rows(batch.tokens), tensors: norm, into: states)
      let lengths = Array(part.lengths[batch.samples])
      var (places, start): ([Int], Int) = ([], 0)
      for length in lengths {
        places += start..<start + length - 1
        start += length
      }
      let tokens = Array(part.samples.tokenIdentifiers[batch.tokens])
      let scores = try HeadScores(
        places: places.map(Int32.init), targets: places.map { tokens[$0 + 1] }, configuration, on: backend)
      for piece in HeadScores.pieces(configuration) {
        try scores.meet(head.rows(piece), firstEntry: piece.lowerBound, states: states)
      }
      var rest = try scores.finish(model: model)[...]
      return lengths.map { length in
        defer { rest = rest.dropFirst(length - 1) }
        return Array(rest.prefix(length - 1))
      }
    }
  }

  private func forEachBatch(
    of parts: [Part],
    _ body: (_ part: Part, PackedSequences, _ merged: Matrix, _ own: Matrix) throws(DeviceError) -> Void
  ) throws(DeviceError) {
    for part in parts {
      for batch in part.samples.batches {
        try body(part, batch.sequences, part.merged.rows(batch.tokens), part.own.rows(batch.tokens))
      }
    }
  }

  private func input(
    of stage: MapStage, _ forward: DecoderForwardPass, _ states: Matrix, _ sequences: PackedSequences, block: Int,
    tensors: LayerTensors, workspace: ForwardWorkspace
  ) throws(DeviceError) -> Matrix {
    let halves = forward.configuration.blocks[block]
    let norm = stage.isOfAttention ? halves.attention.input : halves.feedForward.input
    let normed = try forward.normed(states, norm, tensors: tensors, workspace: workspace)
    return switch stage.input {
    case .attentionInput, .feedForwardInput: normed
    case .heads:
      try forward.attend(normed, sequences: sequences, tensors: tensors, block: block, workspace: workspace)
    case .hidden: try forward.feed(normed, tensors: tensors, block: block, workspace: workspace)
    }
  }
}
