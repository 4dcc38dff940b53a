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
    let heads = states.columns / headDimension
    let count = states.rows * heads * cosines.columns
    try launchForElements(
      "rotaryEmbedding", of: "rotary", operation: "rotaryEmbedding", count: count,
      [
        .matrix(states), .matrix(positions), .matrix(cosines), .matrix(sines), .count(heads), .count(headDimension),
        .count(cosines.rows), .count(cosines.columns), .count(count),
      ])
  }
}
