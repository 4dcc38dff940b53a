import Compute

/// The weights of one block on the device.
public struct BlockWeights {
  private let parts: [BlockPart: Matrix]

  /// Collects the tensors of a block; vectors are matrices of one row.
  public init(_ parts: [BlockPart: Matrix]) { self.parts = parts }

  /// Takes the tensors of a block from those of a model by their full names.
  init(_ tensors: ResidentTensors, block: Int) {
    self.init(
      Dictionary(
        uniqueKeysWithValues: BlockPart.allCases.compactMap { part in
          tensors[Architecture.name(of: part, block: block)].map { (part, $0) }
        }))
  }

  /// A tensor that every block of the model has.
  func callAsFunction(_ part: BlockPart) throws(DeviceError) -> Matrix {
    guard let matrix = parts[part] else {
      throw DeviceError(.invalidArgument, operation: "run a block", expected: part.rawValue, got: "no such tensor")
    }
    return matrix
  }

  /// A tensor that only some models have.
  func optional(_ part: BlockPart) -> Matrix? { parts[part] }
}

/// Scratch for one batch of tokens, allocated once and shared by all models of a merge.
public struct ForwardWorkspace {
  /// The most tokens that fit.
  public let tokens: Int
  let normed: Matrix
  let queries: Matrix
  let keys: Matrix
  let values: Matrix
  let heads: Matrix
  let gate: Matrix
  let up: Matrix
  /// The gated activations where a product takes them in 16 bits; else they take the place of the gate.
  let gated: Matrix?
  let geometry: AttentionGeometry

  /// Reserves scratch for batches of up to `tokens` tokens in texts of up to `longestText` tokens.
  public init(
    _ configuration: ModelConfiguration, tokens: Int, longestText: Int, on backend: any ComputeBackend
  ) throws(DeviceError) {
    let queryWidth = configuration.queryHeads * configuration.headDimension
    let keyValueWidth = configuration.keyValueHeads * configuration.headDimension
    self.tokens = tokens
    normed = try backend.allocate(rows: tokens, columns: configuration.hiddenSize)
    queries = try backend.allocate(rows: tokens, columns: queryWidth)
    keys = try backend.allocate(rows: tokens, columns: keyValueWidth)
    values = try backend.allocate(rows: tokens, columns: keyValueWidth)
    heads = try backend.allocate(rows: tokens, columns: queryWidth)
    gate = try backend.allocate(rows: tokens, columns: configuration.intermediateSize)
    up = try backend.allocate(rows: tokens, columns: configuration.intermediateSize)
    gated =
      backend.takesNarrowActivations
      ? try backend.allocate(rows: tokens, columns: configuration.intermediateSize, .bfloat16) : nil
    geometry = try AttentionGeometry(configuration, longestText: longestText, on: backend)
  }

  /// The bytes that a workspace takes on a device.
  public static func byteCount(
    _ configuration: ModelConfiguration, tokens: Int, longestText: Int, on backend: any ComputeBackend
  ) -> Int {
    let heads = 2 * configuration.queryHeads + 2 * configuration.keyValueHeads
    let width = configuration.hiddenSize + heads * configuration.headDimension + 2 * configuration.intermediateSize
    let narrow = backend.takesNarrowActivations ? configuration.intermediateSize : 0
    return tokens * (4 * width + 2 * narrow) + AttentionGeometry.byteCount(configuration, longestText: longestText)
  }
}

extension ComputeBackend {
  /// Whether products take activations in 16 bits from some weights.
  fileprivate var takesNarrowActivations: Bool {
    ElementType.allCases.contains { activationType(withWeights: $0, precision: .fast) != .float32 }
  }
}

/// The arithmetic of one decoder, layer by layer, written once for all families and devices.
///
/// The residual stream of a batch is `float32 [tokens, d]`; texts are packed without padding.
public struct DecoderForwardPass {
  /// The model's shape.
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

  /// Advances a residual stream through a block: attention and feed-forward, each on a normed copy and added back.
  ///
  /// - Parameters:
  ///   - states: The residual stream before the block; holds the one after it on return.
  ///   - sequences: The texts in it; at most as many tokens as the workspace holds.
  ///   - weights: The block's tensors.
  ///   - block: Its number.
  ///   - workspace: Scratch.
  /// - Throws: `DeviceError`.
  public func advance(
    _ states: Matrix, sequences: PackedSequences, through weights: BlockWeights, block: Int,
    workspace: ForwardWorkspace
  ) throws(DeviceError) {
    func input(of parts: BlockPart...) throws(DeviceError) -> ElementType {
      let types = try parts.map { part throws(DeviceError) in
        try backend.activationType(withWeights: weights(part).elementType, precision: precision)
      }
      return types.allSatisfy { $0 == types[0] } ? types[0] : .float32
    }
    let normed = try attentionInput(
      states, weights: weights, workspace: workspace, as: input(of: .query, .key, .value))
    let heads = try attend(
      normed, sequences: sequences, weights: weights, block: block, workspace: workspace,
      as: input(of: .attentionOutput))
    try addAttention(heads, to: states, weights: weights)
    let inner = try feedForwardInput(states, weights: weights, workspace: workspace, as: input(of: .gate, .up))
    let gated = try feed(inner, weights: weights, workspace: workspace, as: input(of: .down))
    try addFeedForward(gated, to: states, weights: weights)
  }

  // MARK: The steps of a block, each in scratch that the next block of any model overwrites, in a type that the next product
  // takes

  /// The normed states, of which queries, keys and values are made.
  func attentionInput(
    _ states: Matrix, weights: BlockWeights, workspace: ForwardWorkspace, as type: ElementType = .float32
  ) throws(DeviceError) -> Matrix {
    let normed = try workspace.normed.first(states.rows, as: type)
    try backend.rmsNorm(states, gain: weights(.attentionNorm), epsilon: configuration.normEpsilon, into: normed)
    return normed
  }

  /// The heads of attention side by side, the input of its output projection.
  func attend(
    _ normed: Matrix, sequences: PackedSequences, weights: BlockWeights, block: Int, workspace: ForwardWorkspace,
    as type: ElementType = .float32
  ) throws(DeviceError) -> Matrix {
    let batch = 0..<sequences.tokens
    let queries = try workspace.queries.rows(batch)
    let keys = try workspace.keys.rows(batch)
    let values = try workspace.values.rows(batch)
    let heads = try workspace.heads.first(sequences.tokens, as: type)
    try backend.multiply(
      normed, transposed: weights(.query), bias: weights.optional(.queryBias), precision: precision, into: queries)
    try backend.multiply(
      normed, transposed: weights(.key), bias: weights.optional(.keyBias), precision: precision, into: keys)
    try backend.multiply(
      normed, transposed: weights(.value), bias: weights.optional(.valueBias), precision: precision, into: values)
    for (states, norm) in [(queries, BlockPart.queryNorm), (keys, .keyNorm)] {
      try workspace.geometry.normAndTurn(states, gain: weights.optional(norm), positions: sequences.positions)
    }
    try backend.attention(
      queries: queries, keys: keys, values: values, sequences: sequences,
      shape: configuration.attention(block: block), into: heads)
    return heads
  }

  /// Projects the heads and adds them to the residual stream.
  func addAttention(_ heads: Matrix, to states: Matrix, weights: BlockWeights) throws(DeviceError) {
    try backend.multiply(
      heads, transposed: weights(.attentionOutput), bias: weights.optional(.attentionOutputBias), precision: precision,
      adding: true, into: states)
  }

  /// The normed states, of which gate and up are made.
  func feedForwardInput(
    _ states: Matrix, weights: BlockWeights, workspace: ForwardWorkspace, as type: ElementType = .float32
  ) throws(DeviceError) -> Matrix {
    let normed = try workspace.normed.first(states.rows, as: type)
    try backend.rmsNorm(states, gain: weights(.feedForwardNorm), epsilon: configuration.normEpsilon, into: normed)
    return normed
  }

  /// The gated activations, the input of the down projection.
  func feed(
    _ normed: Matrix, weights: BlockWeights, workspace: ForwardWorkspace, as type: ElementType = .float32
  ) throws(DeviceError) -> Matrix {
    let gate = try workspace.gate.rows(0..<normed.rows)
    let up = try workspace.up.rows(0..<normed.rows)
    try backend.multiply(
      normed, transposed: weights(.gate), bias: weights.optional(.gateBias), precision: precision, into: gate)
    try backend.multiply(
      normed, transposed: weights(.up), bias: weights.optional(.upBias), precision: precision, into: up)
    var gated = gate
    if type != .float32, let narrow = workspace.gated { gated = try narrow.first(normed.rows, as: type) }
    try backend.gatedActivation(configuration.activation, gate: gate, up: up, into: gated)
    return gated
  }

  /// Projects the gated activations and adds them to the residual stream.
  func addFeedForward(_ gated: Matrix, to states: Matrix, weights: BlockWeights) throws(DeviceError) {
    try backend.multiply(
      gated, transposed: weights(.down), bias: weights.optional(.downBias), precision: precision, adding: true,
      into: states)
  }

  /// The final norm: `out = norm(states)`, both `float32 [tokens, d]`.
  public func normalise(_ states: Matrix, gain: Matrix, into out: Matrix) throws(DeviceError) {
    try backend.rmsNorm(states, gain: gain, epsilon: configuration.normEpsilon, into: out)
  }
}

extension Matrix {
  /// The memory of the first rows or of fewer bytes, as so many rows of a type.
  fileprivate func first(_ count: Int, as type: ElementType) throws(DeviceError) -> Matrix {
    try Matrix(buffer, byteOffset: byteOffset, rows: count, columns: columns, elementType: type)
  }

  /// The matrix in a type that the operations of the pass take: float64 is rounded to float32, as it is in sums.
  func asWeights(on backend: any ComputeBackend) throws(DeviceError) -> Matrix {
    guard elementType == .float64 else { return self }
    let rounded = try backend.allocate(rows: rows, columns: columns)
    try backend.convert(self, into: rounded)
    return rounded
  }
}
