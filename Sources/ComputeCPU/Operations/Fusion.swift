import CVector
import Compute

extension CPUBackend {
  /// The elements that one piece of a sum takes.
  private static let sumGrain = 1 << 16

  /// `out = Σ weights[i] · inputs[i]` in float32, rounded once; the non-finite numbers of inputs and result are counted
  /// where that is wanted.
  ///
  /// A `float64` input is rounded to `float32` first, and counts as infinite when that makes it so. A result that is not a
  /// number is the canonical quiet NaN. One pass: each input is read once, the output written once.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and other than 1 to 16 inputs.
  public func weightedSum(
    _ inputs: [Matrix], weights: [Float], into out: Matrix, nonFinite: Matrix?
  ) throws(DeviceError) {
    try ArgumentChecks.weightedSum(inputs, weights: weights, into: out, nonFinite: nonFinite)

    let counters = inputs.count + 1
    var counts = [UInt64](repeating: 0, count: counters * workers.count)
    let addresses = inputs.map { UnsafeRawPointer($0.address) }
    let formats = inputs.map(\.elementType.format)
    addresses.withUnsafeBufferPointer { addresses in
      formats.withUnsafeBufferPointer { formats in
        weights.withUnsafeBufferPointer { weights in
          counts.withUnsafeMutableBufferPointer { counts in
            guard let address = addresses.baseAddress, let format = formats.baseAddress,
              let weight = weights.baseAddress, let count = counts.baseAddress
            else { return }
            var sum = WeightedSum(
              inputCount: inputs.count, inputs: address, formats: format, weights: weight, output: out.address,
              outputFormat: out.elementType.format)
            withUnsafePointer(to: &sum) { sum in
              workers.forEach(out.count, grain: Self.sumGrain) { worker, piece in
                loops.weightedSum(sum, piece.lowerBound, piece.count, count + worker * counters)
              }
            }
          }
        }
      }
    }
    nonFinite?.add(counts)
  }

  /// Converts element by element, rounded once to nearest, ties to even; equal types are copied bit by bit.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes that differ and types that are not floating point.
  public func convert(_ source: Matrix, into destination: Matrix) throws(DeviceError) {
    try ArgumentChecks.convert(source, into: destination)

    let (from, to) = (source.elementType, destination.elementType)
    let (input, output) = (source.address, destination.address)
    workers.forEach(source.count, grain: Self.sumGrain) { _, piece in
      loops.convert(
        input + piece.lowerBound * from.byteCount, from.format, output + piece.lowerBound * to.byteCount, to.format,
        piece.count)
    }
  }

  /// Gives an operation a `float32` matrix to write, and rounds it into a matrix of 16 bits, which nobody asks a processor
  /// for but to compare: products here take `float32`.
  func rounding(into out: Matrix, _ operation: (Matrix) throws(DeviceError) -> Void) throws(DeviceError) {
    let wide = try allocate(rows: out.rows, columns: out.columns)
    try operation(wide)
    try convert(wide, into: out)
  }
}
