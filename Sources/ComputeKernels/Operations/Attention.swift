import Compute

extension KernelBackend {
  /// The longest head whose columns an item keeps: 16 items share it, with 32 columns each.
  private static var longestHead: Int { 512 }

  /// Softmax attention inside each text: a group per 64 (or 16, or 128 on tensor cores) queries and head, walking over the
  /// keys they see.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit, `DeviceError.Code.unsupported` for
  ///   heads of more than 512 elements.
  package func attention(
    queries: Matrix, keys: Matrix, values: Matrix, sequences: PackedSequences, shape: AttentionShape, into out: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.attention(
      queries: queries, keys: keys, values: values, sequences: sequences, shape: shape, into: out)
    let states = [queries, keys, values]
    func arguments(_ launch: AttentionLaunch) -> [KernelArgument] {
      [
        .matrix(queries), .matrix(keys), .matrix(values), .matrix(sequences.deviceStarts), .matrix(out),
        .size(launch.tiles), .size(shape.queryHeads), .size(shape.keyValueHeads),
      ] + launch.scores
    }
    if let launch = tensorCoreLaunch(shape, sequences, of: states, into: out) {
      try self.launch(
        "attention", of: ProgramSource(file: "CUDA/attention.cu", constants: launch.constants), operation: "attention",
        groups: sequences.count * launch.tiles * shape.queryHeads, arguments(launch))
      return
    }
    let launch = try attentionLaunch(shape, sequences, of: states, operation: "attention")
    try self.launch(
      "attention", of: "attention",
      launch.constants.merging(["OUT_FORMAT": out.elementType.kernelFormat]) { $1 }, operation: "attention",
      groups: sequences.count * launch.tiles * shape.queryHeads, arguments(launch))
  }

  /// The roundoff of bfloat16 where tensor cores compute.
  package func attentionRoundoff(_ shape: AttentionShape, into type: ElementType) -> Double {
    tensorCoresServe(shape, into: type) ? 0x1p-8 : 0
  }

  /// `out[t, h] = log Σ exp(score)` over the keys that a query sees: groups as in `attention`.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit, `DeviceError.Code.unsupported` for
  ///   heads of more than 512 elements.
  package func attentionNormalisers(
    queries: Matrix, keys: Matrix, sequences: PackedSequences, shape: AttentionShape, into out: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.attentionNormalisers(
      queries: queries, keys: keys, sequences: sequences, shape: shape, into: out)
    let launch = try attentionLaunch(shape, sequences, of: [queries, keys], operation: "attentionNormalisers")
    try self.launch(
      "attentionNormalisers", of: "attention-divergence", launch.constants, operation: "attentionNormalisers",
      groups: sequences.count * launch.tiles * shape.queryHeads,
      [
        .matrix(queries), .matrix(keys), .matrix(sequences.deviceStarts), .matrix(out), .size(launch.tiles),
        .size(shape.queryHeads), .size(shape.keyValueHeads),
      ] + launch.scores)
  }

  /// How far an attention pattern is from a wanted one, and the gradients of that: a group per 64 (or 16) queries and head,
  /// then one per as many keys and key head, each walking over what sees or is seen.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit, `DeviceError.Code.unsupported` for
  ///   heads of more than 512 elements.
  package func attentionDivergence(
    queries: Matrix, keys: Matrix, normalisers: Matrix, wantedQueries: Matrix, wantedKeys: Matrix,
    wantedNormalisers: Matrix, sequences: PackedSequences, shape: AttentionShape, divergences: Matrix,
    queryGradient: Matrix, keyGradient: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.attentionDivergence(
      queries: queries, keys: keys, normalisers: normalisers, wantedQueries: wantedQueries, wantedKeys: wantedKeys,
      wantedNormalisers: wantedNormalisers, sequences: sequences, shape: shape, divergences: divergences,
      queryGradient: queryGradient, keyGradient: keyGradient)
    let launch = try attentionLaunch(
      shape, sequences, of: [queries, keys, wantedQueries, wantedKeys], operation: "attentionDivergence")
    let (ofQueries, ofKeys) = (
      GradientRows(queries, wantedQueries, shape.queryHeads), GradientRows(keys, wantedKeys, shape.keyValueHeads)
    )
    for (rows, others, gradient, isOfKeys) in [
      (ofQueries, ofKeys, queryGradient, false), (ofKeys, ofQueries, keyGradient, true),
    ] {
      try self.launch(
        "attentionGradient", of: "attention-divergence", launch.constants, operation: "attentionDivergence",
        groups: sequences.count * launch.tiles * rows.heads,
        [
          .matrix(rows.states), .matrix(others.states), .matrix(normalisers), .matrix(rows.wanted),
          .matrix(others.wanted), .matrix(wantedNormalisers), .matrix(sequences.deviceStarts), .matrix(divergences),
          .matrix(gradient), .flag(isOfKeys), .size(launch.tiles), .size(rows.heads), .size(others.heads),
        ] + launch.scores)
    }
  }

  /// What the launches of attention have in common.
  private func attentionLaunch(
    _ shape: AttentionShape, _ sequences: PackedSequences, of states: [Matrix], operation: String
  ) throws(DeviceError) -> AttentionLaunch {
    guard shape.headDimension <= Self.longestHead else {
      throw DeviceError(
        .unsupported, operation: operation, expected: "heads of at most \(Self.longestHead) elements",
        got: "\(shape.headDimension)")
    }
    // Few variants: the columns of an item are a power of two, and as many as heads of 64 have at least, for which compilers
    // do not try to save registers.
    var columns = 4
    while columns * 16 < shape.headDimension { columns *= 2 }
    let liesInFours = shape.headDimension % 4 == 0 && states.allSatisfy { $0.elementOffset % 4 == 0 }
    return AttentionLaunch(
      shape, sequences, queries: sizes.queries,
      constants: ["QUERIES": sizes.queries, "COLUMNS": columns, "FOURS": liesInFours ? 1 : 0])
  }

  /// Whether a device has a kernel for tensor cores: for bfloat16 and heads of 4, 8 … 96, 112 or 128 elements, of which
  /// registers hold the sums.
  private func tensorCoresServe(_ shape: AttentionShape, into type: ElementType) -> Bool {
    let dimension = shape.headDimension
    return driver.hasTensorCores && type == .bfloat16 && dimension % (dimension <= 96 ? 4 : 16) == 0 && dimension <= 128
  }

  /// A launch on tensor cores: a group of 8 warps per 128 queries and head; `nil` where they do not serve, or heads do not
  /// start at multiples of 16 bytes.
  private func tensorCoreLaunch(
    _ shape: AttentionShape, _ sequences: PackedSequences, of states: [Matrix], into out: Matrix
  ) -> AttentionLaunch? {
    guard tensorCoresServe(shape, into: out.elementType), (states + [out]).allSatisfy({ $0.elementOffset % 4 == 0 })
    else { return nil }
    let padded = LaunchSizes.parts(of: shape.headDimension, 16) * 16
    return AttentionLaunch(
      shape, sequences, queries: 128,
      constants: [
        "QUERIES": 128, "GROUP_SIZE": 256, "DIMENSION": padded, "PADDED": padded == shape.headDimension ? 0 : 1,
        "CAPPED": shape.softCap == nil ? 0 : 1,
      ])
  }
}

/// What the launches of attention have in common.
private struct AttentionLaunch {
  /// What the program is compiled with.
  let constants: [String: Int]
  /// The tiles of the longest text.
  let tiles: Int
  /// How scores come from products: the last arguments.
  let scores: [KernelArgument]

  /// Describes launches with so many queries in a tile.
  init(_ shape: AttentionShape, _ sequences: PackedSequences, queries: Int, constants: [String: Int]) {
    self.constants = constants
    let longest = (0..<sequences.count).map { sequences.starts[$0 + 1] - sequences.starts[$0] }.max() ?? 0
    tiles = LaunchSizes.parts(of: longest, queries)
    scores = [
      .size(shape.headDimension), .float(shape.scale), .flag(shape.causal), .size(shape.window ?? 0),
      .float(shape.softCap ?? 0),
    ]
  }
}

/// The states on one side of the products in an attention, as they are and as they are wanted.
private struct GradientRows {
  let states: Matrix
  let wanted: Matrix
  let heads: Int

  init(_ states: Matrix, _ wanted: Matrix, _ heads: Int) {
    (self.states, self.wanted, self.heads) = (states, wanted, heads)
  }
}
