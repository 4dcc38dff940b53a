import Compute

extension KernelBackend {
  /// `out = x / sqrt(mean(x²) + epsilon) · gain` by row, for rows whose sum of squares is in the range of `float32`.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func rmsNorm(_ x: Matrix, gain: Matrix, epsilon: Float, into out: Matrix) throws(DeviceError) {
    try ArgumentChecks.rmsNorm(x, gain: gain, into: out)
    try launch(
      "rmsNorm", of: "normalisation", operation: "rmsNorm", groups: x.rows,
      [
        .matrix(x), .matrix(gain), .format(of: gain), .matrix(out), .format(of: out), .count(x.columns),
        .float(epsilon),
      ])
  }

  /// Replaces the gradient of `rmsNorm(x)` by that of x, by row, for rows as in `rmsNorm`.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func rmsNormGradient(_ x: Matrix, gain: Matrix, epsilon: Float, gradient: Matrix) throws(DeviceError) {
    try ArgumentChecks.rmsNormGradient(x, gain: gain, gradient: gradient)
    try launch(
      "rmsNormGradient", of: "normalisation", operation: "rmsNormGradient", groups: x.rows,
      [.matrix(x), .matrix(gain), .format(of: gain), .matrix(gradient), .count(x.columns), .float(epsilon)])
  }

  /// `out = (x − mean) / sqrt(mean((x − mean)²) + epsilon) · gain + bias` by row.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func layerNorm(
    _ x: Matrix, gain: Matrix, bias: Matrix?, epsilon: Float, into out: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.layerNorm(x, gain: gain, bias: bias, into: out)
    try launch(
      "layerNorm", of: "normalisation", operation: "layerNorm", groups: x.rows,
      [
        .matrix(x), .matrix(gain), .format(of: gain), .matrix(bias ?? gain), .format(of: bias ?? gain),
        .flag(bias != nil), .matrix(out), .count(x.columns), .float(epsilon),
      ])
  }
}
