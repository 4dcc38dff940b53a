import Compute
import Glibc

extension CPUBackend {
  /// `out[r] = |x_r − y_r|²`, accumulated in double precision.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func pairedSquaredDistances(_ x: Matrix, _ y: Matrix, into out: Matrix) throws(DeviceError) {
    try ArgumentChecks.pairedSquaredDistances(x, y, into: out)

    let width = x.columns
    let (left, right, output) = (x.floats, y.floats, out.floats)
    workers.forEach(x.rows, grain: Workers.grain(rowLength: width)) { _, piece in
      for row in piece {
        output[row] = Float(loops.squaredDistance(left + row * width, right + row * width, width))
      }
    }
  }

  /// The squared distances between models sample by sample, and their squared norms, accumulated in double precision.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func squaredDistancesBetweenModels(_ x: Matrix, models: Int, into out: Matrix) throws(DeviceError) {
    try ArgumentChecks.squaredDistancesBetweenModels(x, models: models, into: out)

    let (width, samples) = (x.columns, out.columns)
    let (rows, output) = (x.floats, out.floats)
    let origin = try widenedWeights.floats(width)
    origin.update(repeating: 0, count: width)
    workers.forEach(samples, grain: Workers.grain(rowLength: models * models * width)) { _, piece in
      for sample in piece {
        for i in 0..<models {
          for j in i..<models {
            let other = i == j ? origin : rows + (j * samples + sample) * width
            let distance = Float(loops.squaredDistance(rows + (i * samples + sample) * width, other, width))
            output[(i * models + j) * samples + sample] = distance
            output[(j * models + i) * samples + sample] = distance
          }
        }
      }
    }
  }

  /// `out[a, b] = |x_a − y_b|²`, accumulated in double precision.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func squaredDistances(_ x: Matrix, _ y: Matrix, into out: Matrix) throws(DeviceError) {
    try ArgumentChecks.squaredDistances(x, y, into: out)
    everyPair(x, y, into: out) { Float($0) }
  }

  /// `out[a, b] = exp(−|x_a − y_b|² / 2σ²)`, in double precision until the result is rounded.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and a sigma that is not positive.
  public func radialBasisKernel(_ x: Matrix, _ y: Matrix, sigma: Float, into out: Matrix) throws(DeviceError) {
    try ArgumentChecks.radialBasisKernel(x, y, sigma: sigma, into: out)
    let factor = -0.5 / (Double(sigma) * Double(sigma))
    everyPair(x, y, into: out) { Float(exp($0 * factor)) }
  }

  private func everyPair(
    _ x: Matrix, _ y: Matrix, into out: Matrix, _ result: (_ squaredDistance: Double) -> Float
  ) {
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
