/// A symmetric positive definite matrix A = L · Lᵀ `[n, n]`, factored on a device for systems with many right-hand sides.
///
/// Column block by column block: what the blocks to the left contribute is one product, the diagonal block is inverted by one
/// small kernel, and what is below it is one more product. All in `float32`: a solution is off by about n · 2⁻²⁴ · the
/// condition of A, relative to itself. n³ / 3 products for the factor, 2n² for each right-hand side.
public struct CholeskyFactor {
  /// L below its diagonal blocks; the rest holds anything.
  private let lower: Matrix
  /// The inverses of L's diagonal blocks, one under the other.
  private let inverses: Matrix
  private let columns: [Range<Int>]
  private let backend: any ComputeBackend

  /// Factors a matrix; `nil` when it is not positive definite in `float32`.
  ///
  /// - Parameters:
  ///   - matrix: A, `float32 [n, n]`, of which the lower triangle is read; it holds anything on return.
  ///   - lower: Room for L, `float32 [n, n]`, which the factor keeps.
  ///   - backend: The device.
  /// - Throws: `DeviceError`.
  public init?(of matrix: Matrix, into lower: Matrix, on backend: any ComputeBackend) throws(DeviceError) {
    let order = matrix.rows
    let width = CholeskyLimits.largestBlock
    self.lower = lower
    self.backend = backend
    columns = stride(from: 0, to: order, by: width).map { $0..<min($0 + width, order) }
    inverses = try backend.allocate(rows: order, columns: min(width, order))
    let failures = try backend.upload([Int32(0)], columns: 1)
    for block in columns {
      let left = 0..<block.lowerBound
      let below = block.upperBound..<order
      try backend.multiply(
        lower.block(rows: block.lowerBound..<order, columns: left), lower.block(rows: block, columns: left).transposed,
        scale: -1, keeping: 1, into: matrix.block(rows: block.lowerBound..<order, columns: block))
      let inverse = try inverse(of: block)
      try backend.invertCholesky(of: matrix.block(rows: block, columns: block), into: inverse, failures: failures)
      try backend.multiply(
        matrix.block(rows: below, columns: block), inverse.transposed, scale: 1, keeping: 0,
        into: lower.block(rows: below, columns: block))
    }
    guard try backend.downloadIntegers(failures)[0] == 0 else { return nil }
  }

  /// Solves `Z · A = R`, which is A · Zᵀ = Rᵀ: a system for every row.
  ///
  /// - Parameters:
  ///   - rows: R, `float32 [m, n]`; holds Z on return.
  ///   - scratch: Room for as much.
  /// - Throws: `DeviceError`.
  public func solve(_ rows: Matrix, scratch: Matrix) throws(DeviceError) {
    try solveTransposed(rows, into: scratch)
    try solveLower(scratch, into: rows)
  }

  /// Solves `U · Lᵀ = R` for every row, from the left: n² products for each.
  ///
  /// - Parameters:
  ///   - rows: R, `float32 [m, n]`; holds anything on return.
  ///   - out: Takes U, of the same shape.
  /// - Throws: `DeviceError`.
  public func solveTransposed(_ rows: Matrix, into out: Matrix) throws(DeviceError) {
    let all = 0..<rows.rows
    for block in columns {
      let left = 0..<block.lowerBound
      let rest = try rows.block(rows: all, columns: block)
      try backend.multiply(
        out.block(rows: all, columns: left), lower.block(rows: block, columns: left).transposed, scale: -1, keeping: 1,
        into: rest)
      try backend.multiply(
        rest, inverse(of: block).transposed, scale: 1, keeping: 0, into: out.block(rows: all, columns: block))
    }
  }

  /// Solves `Z · L = U` for every row, from the right: n² products for each.
  ///
  /// - Parameters:
  ///   - rows: U, `float32 [m, n]`; holds anything on return.
  ///   - out: Takes Z, of the same shape.
  /// - Throws: `DeviceError`.
  public func solveLower(_ rows: Matrix, into out: Matrix) throws(DeviceError) {
    let all = 0..<rows.rows
    for block in columns.reversed() {
      let right = block.upperBound..<rows.columns
      let rest = try rows.block(rows: all, columns: block)
      try backend.multiply(
        out.block(rows: all, columns: right), lower.block(rows: right, columns: block), scale: -1, keeping: 1,
        into: rest)
      try backend.multiply(rest, inverse(of: block), scale: 1, keeping: 0, into: out.block(rows: all, columns: block))
    }
  }

  private func inverse(of block: Range<Int>) throws(DeviceError) -> MatrixBlock {
    try inverses.block(rows: block, columns: 0..<block.count)
  }
}
