import Compute

extension KernelBackend {
  /// `states[t] = table[tokens[t]]`, widened exactly; NaN for a token outside of the table.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func embeddingLookup(tokens: Matrix, table: Matrix, into states: Matrix) throws(DeviceError) {
    try ArgumentChecks.embeddingLookup(tokens: tokens, table: table, into: states)
    try launch(
      "embeddingLookup", of: "embedding", operation: "embeddingLookup", groups: states.rows,
      [
        .matrix(tokens), .matrix(table), .format(of: table), .matrix(states), .count(table.rows),
        .count(states.columns),
      ])
  }
}
