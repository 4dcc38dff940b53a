import Compute
import Glibc

extension CPUBackend {
  /// `out[r] = |x_r − y_r|²`, accumulated in double precision.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func pairedSquaredDistances(_ x: Matrix, _ y: Matrix, into out: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "pairedSquaredDistances")
    try check.matrix(x, "x", rows: x.rows, columns: x.columns)
    try check.matrix(y, "y", rows: x.rows, columns: x.columns)
    try check.matrix(out, "out", rows: x.rows, columns: 1)

    let width = x.columns
    let (left, right, output) = (x.floats, y.floats, out.floats)
    workers.forEach(x.rows, grain: Workers.grain(rowLength: width)) { _, piece in
      for row in piece {
        output[row] = Float(loops.squaredDistance(left + row * width, right + row * width, width))
      }
    }
  }

  /// `out[a, b] = |x_a − y_b|²`, accumulated in double precision.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func squaredDistances(_ x: Matrix, _ y: Matrix, into out: Matrix) throws(DeviceError) {
    try everyPair(x, y, into: out, operation: "squaredDistances") { Float($0) }
  }

  /// `out[a, b] = exp(−|x_a − y_b|² / 2σ²)`, in double precision until the result is rounded.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and a sigma that is not positive.
  public func radialBasisKernel(_ x: Matrix, _ y: Matrix, sigma: Float, into out: Matrix) throws(DeviceError) {
    try ArgumentChecks(operation: "radialBasisKernel").require(sigma > 0, "a sigma above 0", got: "\(sigma)")
    let factor = -0.5 / (Double(sigma) * Double(sigma))
    try everyPair(x, y, into: out, operation: "radialBasisKernel") { Float(exp($0 * factor)) }
  }

  private func everyPair(
    _ x: Matrix, _ y: Matrix, into out: Matrix, operation: String, _ result: (_ squaredDistance: Double) -> Float
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: operation)
    try check.matrix(x, "x", rows: x.rows, columns: x.columns)
    try check.matrix(y, "y", rows: y.rows, columns: x.columns)
    try check.matrix(out, "out", rows: x.rows, columns: y.rows)

    let (width, others) = (x.columns, y.rows)
    let (left, right, output) = (x.floats, y.floats, out.floats)
    workers.forEach(x.rows, grain: Workers.grain(rowLength: width * others)) { _, piece in
      for row in piece {
        for other in 0..<others {
          output[row * others + other] = result(
            loops.squaredDistance(left + row * width, right + other * width, width))
        }
      }
    }
  }
}
