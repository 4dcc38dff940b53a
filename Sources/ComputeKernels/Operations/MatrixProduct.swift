import Compute

extension KernelBackend {
  /// `out = a · weightsᵀ + bias`, or that added to it, by the vendor's library where it has one, else in tiles through local
  /// memory.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func multiply(
    _ a: Matrix, transposed weights: Matrix, bias: Matrix?, precision: ProductPrecision, adding: Bool, into out: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.multiply(a, transposed: weights, bias: bias, into: out)
    if out.count > 0, a.columns > 0, let products = driver.products,
      try products.multiply(a, transposed: weights, precision: precision, adding: adding, into: out)
    {
      if let bias { try add(bias: bias, to: out) }
      return
    }
    try launch(
      "multiply", of: "multiply", multiplyConstants(a.elementType, weights.elementType), operation: "multiply",
      groups: LaunchSizes.parts(of: out.rows, sizes.tile) * LaunchSizes.parts(of: out.columns, sizes.tile),
      [
        .matrix(a), .matrix(weights), .matrix(bias ?? weights), .format(of: bias ?? weights), .flag(bias != nil),
        .matrix(out), .flag(adding), .count(out.rows), .count(a.columns), .count(out.columns),
      ])
  }

  /// As the vendor's library has it.
  package func activationRoundoff(withWeights type: ElementType, precision: ProductPrecision) -> Double {
    driver.products?.activationRoundoff(withWeights: type, precision: precision) ?? 0
  }

  /// As the vendor's library has it.
  package func activationType(withWeights type: ElementType, precision: ProductPrecision) -> ElementType {
    driver.products?.activationType(withWeights: type, precision: precision) ?? .float32
  }

  private func add(bias: Matrix, to out: Matrix) throws(DeviceError) {
    try launch(
      "addBias", of: "multiply", multiplyConstants(.float32, .float32), operation: "multiply",
      groups: out.rows, [.matrix(bias), .format(of: bias), .matrix(out), .count(out.columns)])
  }

  private func multiplyConstants(_ activations: ElementType, _ weights: ElementType) -> [String: Int] {
    ["TILE": sizes.tile, "ACTIVATION_FORMAT": activations.kernelFormat, "WEIGHT_FORMAT": weights.kernelFormat]
  }
}
