import Compute

extension CPUBackend {
  /// Turns the pairs `(i, i + rotated / 2)` of each head of each token by the angles of the token's position, in place.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and positions outside of the
  ///   tables.
  public func rotaryEmbedding(
    _ states: Matrix, headDimension: Int, positions: Matrix, cosines: Matrix, sines: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.rotaryEmbedding(
      states, headDimension: headDimension, positions: positions, cosines: cosines, sines: sines)
    try ArgumentChecks(operation: "rotaryEmbedding").numbers(positions, "position", in: 0..<cosines.rows)

    let (width, pairs) = (states.columns, cosines.columns)
    let (heads, places) = (states.floats, positions.integers)
    let (cosineTable, sineTable) = (cosines.floats, sines.floats)
    workers.forEach(states.rows, grain: Workers.grain(rowLength: width)) { _, piece in
      for token in piece {
        let angles = Int(places[token]) * pairs
        for start in stride(from: token * width, to: (token + 1) * width, by: headDimension) {
          loops.rotate(heads + start, cosineTable + angles, sineTable + angles, pairs)
        }
      }
    }
  }
}
