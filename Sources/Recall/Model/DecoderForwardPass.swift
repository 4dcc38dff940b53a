import Compute

/// The arithmetic of one decoder, layer by layer, as its blocks describe it: written once for all families and devices.
///
/// The residual stream of a batch is `float32 [tokens, d]`; texts are packed without padding.
public struct DecoderForwardPass {
  /// What the model is made of.
  public let configuration: ModelConfiguration
  private let precision: ProductPrecision
  private let backend: any ComputeBackend

  /// Prepares the pass of one model on a device.
  public init(
    _ configuration: ModelConfiguration, precision: ProductPrecision = .fast, on backend: any ComputeBackend
  ) {
    self.configuration = configuration
    self.precision = precision
    self.backend = backend
  }

  /// Looks tokens up: the residual stream that enters the first block.
  ///
  /// - Parameters:
  ///   - tokens: The numbers of their rows in the table, `int32 [tokens, 1]`.
  ///   - table: Rows of the embeddings.
  ///   - states: Takes the stream.
  /// - Throws: `DeviceError`.
  func embed(_ tokens: Matrix, table: Matrix, into states: Matrix) throws(DeviceError) {
    try backend.embeddingLookup(tokens: tokens, table: table, into: states)
    let scale = configuration.stem.embeddingScale
    if scale != 1 { try backend.sum([states], [scale], into: states) }
  }

  /// Advances a residual stream through a block: attention and feed-forward, whose outputs are added to it.
  ///
  /// - Parameters:
  ///   - states: The residual stream before the block; holds the one after it on return.
  ///   - sequences: The texts in it; at most as many tokens as the workspace holds.
  ///   - tensors: The block's tensors.
  ///   - number: Its number.
  ///   - workspace: Scratch.
  /// - Throws: `DeviceError`.
  package func advance(
    _ states: Matrix, sequences: PackedSequences, through tensors: LayerTensors, block number: Int,
    workspace: ForwardWorkspace
  ) throws(DeviceError) {
    let block = configuration.blocks[number]
    let (attention, feedForward) = (block.attention, block.feedForward)
    var entering = states
    if block.isParallel {
      entering = try workspace.matrix(.entering, rows: states.rows, columns: states.columns)
      try backend.copy(states, into: entering)
    }
    let attentionInput = try input(
      states, of: attention.inner, norm: attention.input, tensors: tensors, workspace: workspace)
    let heads = try attend(
      attentionInput, sequences: sequences, tensors: tensors, block: number, workspace: workspace,
      as: inputType(of: [attention.output], tensors))
    try addAttention(heads, to: states, tensors: tensors, block: number, workspace: workspace)
    let feedForwardInput = try input(
      entering, of: feedForward.inner, norm: feedForward.input, tensors: tensors, workspace: workspace)
    let hidden = try feed(
      feedForwardInput, tensors: tensors, block: number, workspace: workspace,
      as: inputType(of: [feedForward.down], tensors))
    try addFeedForward(hidden, to: states, tensors: tensors, block: number, workspace: workspace)
  }

  // MARK: The steps of a block, each in scratch that the next block of any model overwrites, in a type that the next product
  // takes

  /// The type that products with maps take best, where they agree on one.
  private func inputType(of maps: [LinearMap], _ tensors: LayerTensors) throws(DeviceError) -> ElementType {
    let types = try maps.map { map throws(DeviceError) in
      try backend.activationType(withWeights: tensors(map.tensor).elementType, precision: precision)
    }
    return types.allSatisfy { $0 == types[0] } ? types[0] : .float32
  }

  private func input(
    _ states: Matrix, of maps: [LinearMap], norm: Norm?, tensors: LayerTensors, workspace: ForwardWorkspace
  ) throws(DeviceError) -> Matrix {
    try normed(states, norm, tensors: tensors, workspace: workspace, as: inputType(of: maps, tensors))
  }

  /// The states as the maps of a half take them: normed, or as they are where the half has no norm before its maps.
  func normed(
    _ states: Matrix, _ norm: Norm?, tensors: LayerTensors, workspace: ForwardWorkspace,
    as type: ElementType = .float32
  ) throws(DeviceError) -> Matrix {
    guard let norm = try tensors.norm(norm) else { return states }
    // Layer norms write float32 alone.
    let type = norm.norm.kind == .layer ? .float32 : type
    let normed = try workspace.matrix(.normed, rows: states.rows, columns: states.columns, type)
    try norm.apply(to: states, into: normed, on: backend)
    return normed
  }

  /// The heads of attention side by side, the input of its output map.
  func attend(
    _ normed: Matrix, sequences: PackedSequences, tensors: LayerTensors, block: Int, workspace: ForwardWorkspace,
    as type: ElementType = .float32
  ) throws(DeviceError) -> Matrix {
    let attention = configuration.blocks[block].attention
    func outputs(of map: LinearMap, _ scratch: ForwardScratch) throws(DeviceError) -> Matrix {
      let out = try workspace.matrix(scratch, rows: sequences.tokens, columns: map.outputs)
      try multiply(normed, by: map, tensors, into: out)
      return out
    }
    let queries = try outputs(of: attention.query, .queries)
    let keys = try outputs(of: attention.key, .keys)
    let values = try outputs(of: attention.value, .values)
    let heads = try workspace.matrix(.heads, rows: sequences.tokens, columns: attention.output.inputs, type)
    let geometry = workspace.geometry(of: attention)
    for (states, norm) in [(queries, attention.queryNorm), (keys, attention.keyNorm)] {
      try geometry.normAndTurn(states, norm: tensors.norm(norm), positions: sequences.positions)
    }
    try backend.attention(
      queries: queries, keys: keys, values: values, sequences: sequences, shape: attention.shape, into: heads)
    return heads
  }

  /// Maps the heads and adds what comes out to the residual stream.
  func addAttention(
    _ heads: Matrix, to states: Matrix, tensors: LayerTensors, block: Int, workspace: ForwardWorkspace
  ) throws(DeviceError) {
    let block = configuration.blocks[block]
    try add(
      heads, by: block.attention.output, norm: block.attention.outputNorm, scale: block.residualScale, to: states,
      tensors: tensors, workspace: workspace)
  }

  /// The hidden activations, the input of the down map.
  func feed(
    _ normed: Matrix, tensors: LayerTensors, block: Int, workspace: ForwardWorkspace, as type: ElementType = .float32
  ) throws(DeviceError) -> Matrix {
    let half = configuration.blocks[block].feedForward
    let up = try workspace.matrix(.up, rows: normed.rows, columns: half.up.outputs)
    guard let gateMap = half.gate else {
      try multiply(normed, by: half.up, tensors, into: up)
      try backend.activate(half.activation, up, into: up)
      return up
    }
    let gate = try workspace.matrix(.gate, rows: normed.rows, columns: gateMap.outputs)
    try multiply(normed, by: gateMap, tensors, into: gate)
    try multiply(normed, by: half.up, tensors, into: up)
    let gated =
      type == .float32 ? gate : try workspace.matrix(.narrow, rows: normed.rows, columns: gateMap.outputs, type)
    try backend.gatedActivation(half.activation, gate: gate, up: up, into: gated)
    return gated
  }

  /// Maps the hidden activations and adds what comes out to the residual stream.
  func addFeedForward(
    _ hidden: Matrix, to states: Matrix, tensors: LayerTensors, block: Int, workspace: ForwardWorkspace
  ) throws(DeviceError) {
    let block = configuration.blocks[block]
    try add(
      hidden, by: block.feedForward.down, norm: block.feedForward.outputNorm, scale: block.residualScale, to: states,
      tensors: tensors, workspace: workspace)
  }

  /// The final norm: `out = norm(states)`, both `float32 [tokens, d]`, by the tensors of the head.
  func normalise(_ states: Matrix, tensors: LayerTensors, into out: Matrix) throws(DeviceError) {
    try tensors.norm(configuration.stem.finalNorm)?.apply(to: states, into: out, on: backend)
  }

  // MARK: Maps

  private func multiply(
    _ x: Matrix, by map: LinearMap, _ tensors: LayerTensors, adding: Bool = false, into out: Matrix
  ) throws(DeviceError) {
    try backend.multiply(
      x, transposed: tensors.weights(of: map), bias: tensors.bias(of: map), precision: precision, adding: adding,
      into: out)
  }

  /// `states += scale · norm(map(x))`; a product adds by itself what is neither normed nor scaled.
  private func add(
    _ x: Matrix, by map: LinearMap, norm: Norm?, scale: Float, to states: Matrix, tensors: LayerTensors,
    workspace: ForwardWorkspace
  ) throws(DeviceError) {
    if norm == nil, scale == 1 {
      try multiply(x, by: map, tensors, adding: true, into: states)
      return
    }
    let output = try workspace.matrix(.output, rows: states.rows, columns: states.columns)
    try multiply(x, by: map, tensors, into: output)
    try tensors.norm(norm)?.apply(to: output, into: output, on: backend)
    try backend.sum([states, output], [1, scale], into: states)
  }
}
