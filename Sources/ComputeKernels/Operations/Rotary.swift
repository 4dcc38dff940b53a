import Compute

extension KernelBackend {
  /// Turns the pairs of each head by the angles of its token's position; NaN for a position outside of the tables.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func rotaryEmbedding(
    _ states: Matrix, headDimension: Int, positions: Matrix, cosines: Matrix, sines: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.rotaryEmbedding(
      states, headDimension: headDimension, positions: positions, cosines: cosines, sines: sines)
    try launch(
      "rotaryEmbedding", of: "rotary", operation: "rotaryEmbedding", groups: states.rows,
      [
        .matrix(states), .matrix(positions), .matrix(cosines), .matrix(sines), .count(states.columns / headDimension),
        .count(headDimension), .count(cosines.rows), .count(cosines.columns),
      ])
  }
}
