import Compute

/// What a forward pass needs beside weights and states.
enum ForwardScratch: Hashable {
  /// The normed states that maps take.
  case normed
  /// Queries, keys and values.
  case queries, keys, values
  /// The heads of attention side by side.
  case heads
  /// What the gate map and the up map put out.
  case gate, up
  /// The gated activations where a product takes them in 16 bits; else they take the place of the gate.
  case narrow
  /// What a half adds to the stream, where it does not go there as it is.
  case output
  /// The stream that entered the block, where both halves read it.
  case entering
}

/// How much of each: what `ForwardWorkspace` allocates is what plans of memory count.
struct ForwardNeeds {
  /// The most tokens of a batch.
  let tokens: Int
  /// The most tokens of a text.
  let longestText: Int
  /// The bytes of one token.
  let bytesPerToken: [ForwardScratch: Int]
  /// How queries and keys are turned.
  let rotaries: Set<RotaryEmbedding>

  /// What batches of up to `tokens` tokens in texts of up to `longestText` tokens need.
  init(_ configuration: ModelConfiguration, tokens: Int, longestText: Int, on backend: any ComputeBackend) {
    self.tokens = tokens
    self.longestText = longestText
    let takesNarrow = backend.takesNarrowActivations
    bytesPerToken = configuration.blocks.reduce(into: [:]) { most, block in
      most.merge(block.scratch(takesNarrow: takesNarrow), uniquingKeysWith: max)
    }
    rotaries = Set(configuration.blocks.compactMap(\.attention.rotary))
  }

  /// The bytes on a device.
  var byteCount: Int {
    tokens * bytesPerToken.values.reduce(0, +)
      + rotaries.reduce(0) { $0 + RotaryTables.byteCount($1, longestText: longestText) }
  }
}

extension Block {
  /// The bytes of scratch for one token.
  fileprivate func scratch(takesNarrow: Bool) -> [ForwardScratch: Int] {
    let width = attention.output.outputs
    var columns: [ForwardScratch: Int] = [
      .normed: width, .queries: attention.query.outputs, .keys: attention.key.outputs,
      .values: attention.value.outputs, .heads: attention.output.inputs, .up: feedForward.up.outputs,
    ]
    if let gate = feedForward.gate { columns[.gate] = gate.outputs }
    if isParallel { columns[.entering] = width }
    if residualScale != 1 || attention.outputNorm != nil || feedForward.outputNorm != nil { columns[.output] = width }
    var scratch = columns.mapValues { $0 * ElementType.float32.byteCount }
    if takesNarrow, feedForward.gate != nil {
      scratch[.narrow] = feedForward.down.inputs * ElementType.bfloat16.byteCount
    }
    return scratch
  }
}

/// Scratch for one batch of tokens, allocated once and shared by all models of a merge.
public struct ForwardWorkspace {
  /// The most tokens that fit.
  public let tokens: Int
  private let buffers: [ForwardScratch: DeviceBuffer]
  private let rotaries: [RotaryEmbedding: RotaryTables]
  private let backend: any ComputeBackend

  /// Reserves scratch for batches of up to `tokens` tokens in texts of up to `longestText` tokens.
  public init(
    _ configuration: ModelConfiguration, tokens: Int, longestText: Int, on backend: any ComputeBackend
  ) throws(DeviceError) {
    let needs = ForwardNeeds(configuration, tokens: tokens, longestText: longestText, on: backend)
    self.tokens = tokens
    self.backend = backend
    var buffers: [ForwardScratch: DeviceBuffer] = [:]
    for (scratch, byteCount) in needs.bytesPerToken {
      buffers[scratch] = try backend.allocate(byteCount: tokens * byteCount)
    }
    self.buffers = buffers
    var rotaries: [RotaryEmbedding: RotaryTables] = [:]
    for rotary in needs.rotaries {
      rotaries[rotary] = try RotaryTables(rotary, longestText: longestText, on: backend)
    }
    self.rotaries = rotaries
  }

  /// A matrix with any content, until the same scratch is asked for again.
  func matrix(
    _ scratch: ForwardScratch, rows: Int, columns: Int, _ type: ElementType = .float32
  ) throws(DeviceError) -> Matrix {
    guard let buffer = buffers[scratch] else {
      throw DeviceError(
        .invalidArgument, operation: "run a layer", expected: "scratch for \(scratch)", got: "a workspace without")
    }
    return try Matrix(buffer, rows: rows, columns: columns, elementType: type)
  }

  /// How the queries and keys of a block are normed and turned.
  func geometry(of attention: AttentionHalf) -> AttentionGeometry {
    AttentionGeometry(
      headDimension: attention.shape.headDimension, tables: attention.rotary.flatMap { rotaries[$0] }, on: backend)
  }
}

extension ComputeBackend {
  /// Whether products take activations in 16 bits from some weights.
  fileprivate var takesNarrowActivations: Bool {
    ElementType.allCases.contains { activationType(withWeights: $0, precision: .fast) != .float32 }
  }
}
