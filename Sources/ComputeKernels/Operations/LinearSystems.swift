import Compute

extension KernelBackend {
  /// `out = share · out + scale · a · b` of rectangles, by the vendor's library where it has one, else in tiles through local
  /// memory.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func multiply(
    _ a: MatrixBlock, _ b: MatrixBlock, scale: Float, keeping share: Float, into out: MatrixBlock
  ) throws(DeviceError) {
    try ArgumentChecks.multiply(a, b, into: out)
    guard out.rows > 0, out.columns > 0 else { return }
    if a.columns > 0, let products = driver.products,
      try products.multiply(a, b, scale: scale, keeping: share, into: out)
    {
      return
    }
    try launch(
      "multiplyBlocks", of: "linear-systems", ["TILE": sizes.tile], operation: "multiplyBlocks",
      groups: LaunchSizes.parts(of: out.rows, sizes.tile) * LaunchSizes.parts(of: out.columns, sizes.tile),
      [
        .matrix(a.extent), .count(a.stride), .flag(a.isTransposed), .matrix(b.extent), .count(b.stride),
        .flag(b.isTransposed), .matrix(out.extent), .count(out.stride), .count(out.rows), .count(a.columns),
        .count(out.columns), .float(scale), .float(share),
      ])
  }

  /// `matrix[i, i] += values[i]`.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func add(_ values: Matrix, toDiagonalOf matrix: Matrix) throws(DeviceError) {
    try ArgumentChecks.add(values, toDiagonalOf: matrix)
    try launch(
      "addToDiagonal", of: "linear-systems", ["TILE": sizes.tile], operation: "addToDiagonal",
      groups: sizes.groups(forElements: matrix.rows), [.matrix(values), .matrix(matrix), .count(matrix.rows)])
  }

  /// The inverse of the Cholesky factor of a small block, by one group.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and a block that is too large.
  package func invertCholesky(
    of block: MatrixBlock, into inverse: MatrixBlock, failures: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.invertCholesky(of: block, into: inverse, failures: failures)
    try launch(
      "invertCholesky", of: "linear-systems", ["TILE": sizes.tile], operation: "invertCholesky",
      groups: block.rows == 0 ? 0 : 1,
      [
        .matrix(block.extent), .count(block.stride), .matrix(inverse.extent), .count(inverse.stride),
        .matrix(failures), .uint32(UInt32(block.rows)),
      ])
  }
}
