import Compute

extension KernelBackend {
  /// The longest head whose columns an item keeps: 16 items share it, with 32 columns each.
  private static var longestHead: Int { 512 }

  /// Softmax attention inside each text: a group per 64 (or 16) queries and head, walking over the keys they see.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit, `DeviceError.Code.unsupported` for
  ///   heads of more than 512 elements.
  package func attention(
    queries: Matrix, keys: Matrix, values: Matrix, sequences: PackedSequences, shape: AttentionShape, into out: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.attention(
      queries: queries, keys: keys, values: values, sequences: sequences, shape: shape, into: out)
    guard shape.headDimension <= Self.longestHead else {
      throw DeviceError(
        .unsupported, operation: "attention", expected: "heads of at most \(Self.longestHead) elements",
        got: "\(shape.headDimension)")
    }
    // Few variants: the columns of an item are a power of two.
    var columns = 1
    while columns * 16 < shape.headDimension { columns *= 2 }
    let longest = (0..<sequences.count).map { sequences.starts[$0 + 1] - sequences.starts[$0] }.max() ?? 0
    let tiles = LaunchSizes.parts(of: longest, sizes.queries)
    try launch(
      "attention", of: "attention", ["QUERIES": sizes.queries, "COLUMNS": columns], operation: "attention",
      groups: sequences.count * tiles * shape.queryHeads,
      [
        .matrix(queries), .matrix(keys), .matrix(values), .matrix(sequences.deviceStarts), .matrix(out), .count(tiles),
        .count(shape.queryHeads), .count(shape.keyValueHeads), .count(shape.headDimension), .float(shape.scale),
        .flag(shape.causal), .uint32(UInt32(clamping: shape.window ?? 0)), .float(shape.softCap ?? 0),
      ])
  }
}
