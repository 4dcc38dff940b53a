import Compute

/// What two maps bring about together, compared with what the experts' maps bring about on their own paths: for some rows of
/// each.
protocol FitObjective {
  /// Computes how far some rows of both maps are off, 0 where they do all that they are to do, and the gradient by them.
  ///
  /// - Parameters:
  ///   - rows: The rows of the first and the second map, `float32 [rows, in]`.
  ///   - gradient: Takes the gradient, shaped alike.
  /// - Returns: A mean over the samples.
  /// - Throws: `DeviceError`.
  func evaluate(
    _ rows: (first: Matrix, second: Matrix), gradient: (first: Matrix, second: Matrix)
  ) throws(DeviceError) -> Double
}
