import Compute

extension KernelBackend {
  /// `out[r] = |x_r − y_r|²`, in twice the precision of `float32` until the result is rounded.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func pairedSquaredDistances(_ x: Matrix, _ y: Matrix, into out: Matrix) throws(DeviceError) {
    try ArgumentChecks.pairedSquaredDistances(x, y, into: out)
    try launch(
      "pairedSquaredDistances", of: "paired-distances", operation: "pairedSquaredDistances", groups: x.rows,
      [.matrix(x), .matrix(y), .matrix(out), .count(x.columns)])
  }

  /// The squared distances between models sample by sample, and their squared norms: a group for each of them.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func squaredDistancesBetweenModels(_ x: Matrix, models: Int, into out: Matrix) throws(DeviceError) {
    try ArgumentChecks.squaredDistancesBetweenModels(x, models: models, into: out)
    try launch(
      "squaredDistancesBetweenModels", of: "paired-distances", operation: "squaredDistancesBetweenModels",
      groups: out.count, [.matrix(x), .matrix(out), .count(models), .count(out.columns), .count(x.columns)])
  }

  /// `out[a, b] = |x_a − y_b|²`, from differences.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func squaredDistances(_ x: Matrix, _ y: Matrix, into out: Matrix) throws(DeviceError) {
    try ArgumentChecks.squaredDistances(x, y, into: out)
    try everyPair(x, y, sigma: nil, into: out, operation: "squaredDistances")
  }

  /// `out[a, b] = exp(−|x_a − y_b|² / 2σ²)`, from differences unless the vendor's products serve.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and a sigma that is not positive.
  package func radialBasisKernel(_ x: Matrix, _ y: Matrix, sigma: Float, into out: Matrix) throws(DeviceError) {
    try ArgumentChecks.radialBasisKernel(x, y, sigma: sigma, into: out)
    if out.count > 0, let products = driver.products,
      try products.radialBasisKernel(x, y, sigma: sigma, into: out)
    {
      return
    }
    try everyPair(x, y, sigma: sigma, into: out, operation: "radialBasisKernel")
  }

  /// The distances of all pairs of rows, or their RBF kernel when there is a sigma.
  func everyPair(
    _ x: Matrix, _ y: Matrix, sigma: Float?, into out: Matrix, operation: String
  ) throws(DeviceError) {
    try launch(
      "everyPair", of: "pairs", ["TILE": sizes.tile], operation: operation,
      groups: LaunchSizes.parts(of: x.rows, sizes.tile) * LaunchSizes.parts(of: y.rows, sizes.tile),
      [
        .matrix(x), .matrix(y), .matrix(out), .count(x.rows), .count(y.rows), .count(x.columns), .float(sigma ?? 0),
      ])
  }
}
