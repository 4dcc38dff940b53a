import Compute

extension CPUBackend {
  /// `out = x / sqrt(mean(x²) + epsilon) · gain` by row; the squares are summed in double precision.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func rmsNorm(_ x: Matrix, gain: Matrix, epsilon: Float, into out: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "rmsNorm")
    try check.matrix(x, "x", rows: x.rows, columns: x.columns)
    try check.matrix(gain, "gain", rows: 1, columns: x.columns, ElementType.weights)
    try check.matrix(out, "out", rows: x.rows, columns: x.columns)

    let width = x.columns
    let gains = try widenedWeights.floats(width)
    loops.widen(gain.address, gain.elementType.format, gains, width)
    let (input, output) = (x.floats, out.floats)
    workers.forEach(x.rows, grain: Workers.grain(rowLength: width)) { _, piece in
      for row in piece { loops.rmsNorm(input + row * width, gains, epsilon, output + row * width, width) }
    }
  }
}
