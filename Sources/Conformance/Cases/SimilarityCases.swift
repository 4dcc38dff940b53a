import Compute

extension OperationCase {
  static var similarityCases: [OperationCase] {
    [(0, 3, 4), (1, 1, 1), (5, 7, 1021), (16, 32, 256)].flatMap { rows, others, width in
      [
        pairedSquaredDistances(rows: rows, width: width), pairedDistancesOfEqualRows(rows: rows, width: width),
        squaredDistances(rows: rows, others: others, width: width), distancesOfEqualRows(rows: rows, width: width),
        radialBasisKernel(rows: rows, others: others, width: width),
      ]
    } + [radialBasisKernelOfNearRows(rows: 384, others: 257, width: 1031)]
  }

  static func pairedSquaredDistances(rows: Int, width: Int) -> OperationCase {
    OperationCase(
      "pairedSquaredDistances", "[\(rows), \(width)]", tolerance: distanceTolerance, flops: 3 * rows * width,
      bytes: 8 * rows * width
    ) { bench throws(DeviceError) in
      let (x, y) = (bench.numbers.matrix(rows, width), bench.numbers.matrix(rows, width))
      let (left, right, out) = (try bench.input(x), try bench.input(y), try bench.output(rows, 1))
      try bench.perform { () throws(DeviceError) in try bench.backend.pairedSquaredDistances(left, right, into: out) }
      try bench.expect(out, Reference.pairedSquaredDistances(x, y))
    }
  }

  static func pairedDistancesOfEqualRows(rows: Int, width: Int) -> OperationCase {
    OperationCase(
      "pairedSquaredDistances", "equal [\(rows), \(width)]", tolerance: .exact, flops: 3 * rows * width,
      bytes: 8 * rows * width
    ) { bench throws(DeviceError) in
      let x = bench.numbers.matrix(rows, width, scale: 1000)
      let (left, right, out) = (try bench.input(x), try bench.input(x), try bench.output(rows, 1))
      try bench.perform { () throws(DeviceError) in try bench.backend.pairedSquaredDistances(left, right, into: out) }
      try bench.expect(out, Expectation([Double](repeating: 0, count: rows)))
    }
  }

  static func squaredDistances(rows: Int, others: Int, width: Int) -> OperationCase {
    OperationCase(
      "squaredDistances", "[\(rows), \(width)] to [\(others), \(width)]", tolerance: distanceTolerance,
      flops: 3 * rows * others * width, bytes: 4 * ((rows + others) * width + rows * others)
    ) { bench throws(DeviceError) in
      let (x, y) = (bench.numbers.matrix(rows, width), bench.numbers.matrix(others, width))
      let (left, right, out) = (try bench.input(x), try bench.input(y), try bench.output(rows, others))
      try bench.perform { () throws(DeviceError) in try bench.backend.squaredDistances(left, right, into: out) }
      try bench.expect(out, Reference.squaredDistances(x, y))
    }
  }

  static func distancesOfEqualRows(rows: Int, width: Int) -> OperationCase {
    OperationCase(
      "squaredDistances", "all rows equal [\(rows), \(width)]", tolerance: .exact, flops: 3 * rows * rows * width,
      bytes: 4 * (2 * rows * width + rows * rows)
    ) { bench throws(DeviceError) in
      let row = bench.numbers.matrix(1, width, scale: 1000).values
      let x = HostMatrix(rows: rows, columns: width, values: (0..<rows).flatMap { _ in row })
      let (left, right, out) = (try bench.input(x), try bench.input(x), try bench.output(rows, rows))
      try bench.perform { () throws(DeviceError) in try bench.backend.squaredDistances(left, right, into: out) }
      try bench.expect(out, Expectation([Double](repeating: 0, count: rows * rows)))
    }
  }

  static func radialBasisKernel(rows: Int, others: Int, width: Int) -> OperationCase {
    let sigma = Float(width).squareRoot()
    return OperationCase(
      "radialBasisKernel", "[\(rows), \(width)] to [\(others), \(width)], σ = \(sigma)",
      tolerance: .roundings(
        8, because: "a distance and its quotient (4 roundings of the exponent), an exponential within 2 ulp"),
      flops: 3 * rows * others * width, bytes: 4 * ((rows + others) * width + rows * others)
    ) { bench throws(DeviceError) in
      let (x, y) = (bench.numbers.matrix(rows, width), bench.numbers.matrix(others, width))
      let (left, right, out) = (try bench.input(x), try bench.input(y), try bench.output(rows, others))
      try bench.perform { () throws(DeviceError) in
        try bench.backend.radialBasisKernel(left, right, sigma: sigma, into: out)
      }
      try bench.expect(out, Reference.radialBasisKernel(x, y, sigma: sigma))
    }
  }

  /// Rows that share most of what they are, as those of sibling models do: a third of them equal, a third near each other.
  ///
  /// With the smallest sigma that the contract's bound is for, and large enough for a backend's way with large matrices.
  static func radialBasisKernelOfNearRows(rows: Int, others: Int, width: Int) -> OperationCase {
    let sigma = (Float(width) * 1e-3).squareRoot()
    return OperationCase(
      "radialBasisKernel", "near [\(rows), \(width)] to [\(others), \(width)], σ = \(sigma)",
      tolerance: .relative(1e-5, because: "the bound of the contract, absolute"), flops: 3 * rows * others * width,
      bytes: 4 * ((rows + others) * width + rows * others)
    ) { bench throws(DeviceError) in
      let shared = bench.numbers.matrix(1, width, scale: 30).values
      let x = HostMatrix(
        rows: rows, columns: width,
        values: bench.numbers.matrix(rows, width).values.enumerated().map {
          $0.element + shared[$0.offset % width]
        })
      let noise = bench.numbers.matrix(others, width).values
      let y = HostMatrix(
        rows: others, columns: width,
        values: noise.enumerated().map { place, noise in
          let other = place / width
          // Distances of up to 5 σ² in the second third.
          let step = other % 3 == 0 ? 0 : other % 3 == 1 ? 0.1 * Double(other) / Double(others) : 1
          return other % 3 == 2
            ? noise + shared[place % width] : x.values[other % rows * width + place % width] + step * noise
        })
      let (left, right, out) = (try bench.input(x), try bench.input(y), try bench.output(rows, others))
      try bench.perform { () throws(DeviceError) in
        try bench.backend.radialBasisKernel(left, right, sigma: sigma, into: out)
      }
      let kernel = Reference.radialBasisKernel(x, y, sigma: sigma).values
      try bench.expect(out, Expectation(kernel, magnitudes: [Double](repeating: 1, count: kernel.count)))
    }
  }

  /// All terms are positive, so partial sums in a wider type or by tree leave few roundings.
  private static var distanceTolerance: Tolerance {
    .roundings(4, because: "differences and squares in double precision, one rounding at the end, and a margin")
  }
}
