import Compute

extension CPUBackend {
  /// Turns the pairs `(i, i + rotated / 2)` of each head of each token by the angles of the token's position, in place.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and positions outside of the
  ///   tables.
  public func rotaryEmbedding(
    _ states: Matrix, headDimension: Int, positions: Matrix, cosines: Matrix, sines: Matrix
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: "rotaryEmbedding")
    try check.require(
      headDimension > 0 && states.columns % headDimension == 0, "a head dimension that divides \(states.columns)",
      got: "\(headDimension)")
    try check.require(
      cosines.columns * 2 <= headDimension, "at most \(headDimension / 2) cosines per position",
      got: "\(cosines.columns)")
    try check.matrix(states, "states", rows: states.rows, columns: states.columns)
    try check.matrix(positions, "positions", rows: states.rows, columns: 1, [.int32])
    try check.matrix(cosines, "cosines", rows: cosines.rows, columns: cosines.columns)
    try check.matrix(sines, "sines", rows: cosines.rows, columns: cosines.columns)
    try check.numbers(positions, "position", in: 0..<cosines.rows)

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
