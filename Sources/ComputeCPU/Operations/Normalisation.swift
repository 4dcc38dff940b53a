import Compute

extension CPUBackend {
  /// `out = x / sqrt(mean(x²) + epsilon) · gain` by row; the squares are summed in double precision.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func rmsNorm(_ x: Matrix, gain: Matrix, epsilon: Float, into out: Matrix) throws(DeviceError) {
    try ArgumentChecks.rmsNorm(x, gain: gain, into: out)
    guard out.elementType == .float32 else {
      return try rounding(into: out) { wide throws(DeviceError) in
        try rmsNorm(x, gain: gain, epsilon: epsilon, into: wide)
      }
    }

    let width = x.columns
    let gains = try widenedWeights.floats(width)
    loops.widen(gain.address, gain.elementType.format, gains, width)
    let (input, output) = (x.floats, out.floats)
    workers.forEach(x.rows, grain: Workers.grain(rowLength: width)) { _, piece in
      for row in piece { loops.rmsNorm(input + row * width, gains, epsilon, output + row * width, width) }
    }
  }

  /// Replaces the gradient of `rmsNorm(x)` by that of x, by row, in double precision until it is rounded.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func rmsNormGradient(_ x: Matrix, gain: Matrix, epsilon: Float, gradient: Matrix) throws(DeviceError) {
    try ArgumentChecks.rmsNormGradient(x, gain: gain, gradient: gradient)

    let width = x.columns
    let gains = try widenedWeights.floats(width)
    loops.widen(gain.address, gain.elementType.format, gains, width)
    let (input, gradients) = (x.floats, gradient.floats)
    workers.forEach(x.rows, grain: Workers.grain(rowLength: width)) { _, piece in
      for row in piece {
        loops.rmsNormGradient(input + row * width, gains, epsilon, gradients + row * width, width)
      }
    }
  }

  /// `out = (x − mean) / sqrt(variance + epsilon) · gain + bias` by row, in double precision until it is rounded.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func layerNorm(
    _ x: Matrix, gain: Matrix, bias: Matrix?, epsilon: Float, into out: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.layerNorm(x, gain: gain, bias: bias, into: out)

    let width = x.columns
    let gains = try widenedWeights.floats(2 * width)
    loops.widen(gain.address, gain.elementType.format, gains, width)
    let offsets = bias == nil ? nil : UnsafePointer(gains + width)
    if let bias { loops.widen(bias.address, bias.elementType.format, gains + width, width) }
    let (input, output) = (x.floats, out.floats)
    workers.forEach(x.rows, grain: Workers.grain(rowLength: width)) { _, piece in
      for row in piece {
        loops.layerNorm(input + row * width, gains, offsets, epsilon, output + row * width, width)
      }
    }
  }
}
