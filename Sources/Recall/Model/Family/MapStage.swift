/// The linear maps of a block that share their inputs, so that they are solved for together.
struct MapStage: Sendable {
  /// What reaches the maps.
  enum Input: Sendable {
    /// The normed stream, for queries, keys and values.
    case attentionInput
    /// The heads, for attention's output map.
    case heads
    /// The normed stream, for the maps to hidden units.
    case feedForwardInput
    /// The hidden activations, for the map back.
    case hidden
  }

  /// How the outputs of two maps meet.
  enum Meeting: Sendable {
    /// As queries and keys, in attention patterns.
    case patterns
    /// As gates and what they let through.
    case gates
  }

  let input: Input
  /// The maps as they are stored, `[outputs, inputs]` each.
  let tensors: [TensorSpec]
  /// How the outputs of the first two meet, where they can be fitted together.
  let meeting: Meeting?
  /// Whether their outputs are added to the residual stream, which ends a half of the block.
  var isAdded: Bool { input == .heads || input == .hidden }
  /// Whether it is of the first half.
  var isOfAttention: Bool { input == .attentionInput || input == .heads }
  /// The number of inputs.
  var width: Int { tensors[0].shape[1] }

  fileprivate init(_ input: Input, _ maps: [LinearMap], meeting: Meeting? = nil) {
    self.input = input
    var seen: Set<String> = []
    tensors = maps.map(\.tensor).filter { seen.insert($0.name).inserted }
    self.meeting = maps.allSatisfy(\.isWholeTensor) ? meeting : nil
  }
}

extension Block {
  /// The stages of the block, in the order of the pass.
  var stages: [MapStage] {
    [
      MapStage(.attentionInput, attention.inner, meeting: attention.normsSingleHeads ? .patterns : nil),
      MapStage(.heads, [attention.output]),
      MapStage(.feedForwardInput, feedForward.inner, meeting: feedForward.gate == nil ? nil : .gates),
      MapStage(.hidden, [feedForward.down]),
    ]
  }

  /// What is stored beside the maps: gains and biases.
  var tensorsBesideMaps: [TensorSpec] {
    let maps = Set(maps.map(\.tensor))
    return tensors.filter { !maps.contains($0) }
  }

  /// What keeps the block's maps from being solved for, in words; `nil` where nothing does.
  ///
  /// A map is solved so that the merged stream becomes the expert's, which takes that its outputs are added to the stream as
  /// they are, and that the second half follows the first.
  var obstacleToAlignment: String? {
    if isParallel { return "attention and feed-forward side by side" }
    if residualScale != 1 { return "outputs that are multiplied by \(residualScale) before they are added" }
    if attention.outputNorm != nil || feedForward.outputNorm != nil { return "norms behind attention or feed-forward" }
    return nil
  }
}

extension ModelConfiguration {
  /// What keeps the maps of some block from being solved for, in words; `nil` where nothing does.
  var obstacleToAlignment: String? { blocks.lazy.compactMap(\.obstacleToAlignment).first }
}

extension AttentionHalf {
  /// Whether a head can be normed without knowing the others, by a root mean square.
  fileprivate var normsSingleHeads: Bool {
    [queryNorm, keyNorm].allSatisfy { norm in
      norm.map { $0.width == shape.headDimension && $0.kind == .rootMeanSquare } ?? true
    }
  }
}
