import Compute

extension KernelBackend {
  /// One row per text: the mean of its tokens or its last token; zeros for an empty text.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func pool(
    _ states: Matrix, sequences: PackedSequences, pooling: Pooling, into out: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.pool(states, sequences: sequences, into: out)
    try launch(
      "pool", of: "pool", operation: "pool",
      groups: sequences.count * LaunchSizes.parts(of: states.columns, sizes.group),
      [
        .matrix(states), .matrix(sequences.deviceStarts), .matrix(out), .count(states.columns), .flag(pooling == .last),
      ])
  }
}
