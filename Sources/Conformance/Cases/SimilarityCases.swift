import Compute

extension OperationCase {
  static var similarityCases: [OperationCase] {
    [(0, 3, 4), (1, 1, 1), (5, 7, 1021), (16, 32, 256)].flatMap { rows, others, width in
      [
        pairedSquaredDistances(rows: rows, width: width), pairedDistancesOfEqualRows(rows: rows, width: width),
        squaredDistances(rows: rows, others: others, width: width), distancesOfEqualRows(rows: rows, width: width),
        radialBasisKernel(rows: rows, others: others, width: width), kernelOfEqualRows(rows: rows, width: width),
      ]
    }
      + [(1, 5, 64), (2, 1, 1), (3, 7, 1021), (4, 0, 8), (5, 20, 256)].map {
        squaredDistancesBetweenModels(models: $0, samples: $1, width: $2)
      }
      + [1, 0.1, 1e-3].flatMap { share in
        [(40, 67), (80, 1021)].map { kernelOfNearRows(rows: $0, width: $1, share: share) }
      }
      // Large enough for a backend's way with large matrices.
      + [kernelOfNearRows(rows: 384, width: 1031, share: 1e-3)]
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

  /// The last model has the first one's rows, so that a distance is 0; of three models or more the second has a NaN.
  static func squaredDistancesBetweenModels(models: Int, samples: Int, width: Int) -> OperationCase {
    OperationCase(
      "squaredDistancesBetweenModels", "[\(models) · \(samples), \(width)]", tolerance: distanceTolerance,
      flops: 3 * models * (models + 1) / 2 * samples * width, bytes: 4 * models * samples * (width + models)
    ) { bench throws(DeviceError) in
      let numbers = bench.numbers.matrix(models * samples, width)
      let count = samples * width
      let states = numbers.mapped { index, value in
        if models > 2, index == 2 * count - 1 { return .nan }
        return index >= (models - 1) * count ? numbers.values[index % count % numbers.values.count] : value
      }
      let (x, out) = (try bench.input(states), try bench.output(models * models, samples))
      try bench.perform { () throws(DeviceError) in
        try bench.backend.squaredDistancesBetweenModels(x, models: models, into: out)
      }
      try bench.expect(out, Reference.squaredDistancesBetweenModels(states, models: models))
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

  static func kernelOfEqualRows(rows: Int, width: Int) -> OperationCase {
    OperationCase(
      "radialBasisKernel", "all rows equal [\(rows), \(width)], the least σ", tolerance: .exact,
      flops: 3 * rows * rows * width, bytes: 4 * (2 * rows * width + rows * rows)
    ) { bench throws(DeviceError) in
      let row = bench.numbers.matrix(1, width, scale: 1000).values
      let x = HostMatrix(rows: rows, columns: width, values: (0..<rows).flatMap { _ in row })
      let (left, right, out) = (try bench.input(x), try bench.input(x), try bench.output(rows, rows))
      try bench.perform { () throws(DeviceError) in
        try bench.backend.radialBasisKernel(left, right, sigma: .leastNormalMagnitude, into: out)
      }
      try bench.expect(out, Expectation([Double](repeating: 1, count: rows * rows)))
    }
  }

  /// Rows beside a common mean, as hidden states have one, and for each a row that differs by a small part of itself.
  ///
  /// |x|² + |y|² − 2xy would lose such differences to cancellation. σ² is a share of the rows' mean squared norm around
  /// their mean.
  static func kernelOfNearRows(rows: Int, width: Int, share: Double) -> OperationCase {
    OperationCase(
      "radialBasisKernel", "near rows [\(rows), \(width)], σ² = \(share) of the mean squared norm",
      tolerance: .relative(1e-5, because: "the contract's bound of the absolute error"),
      flops: 3 * rows * rows * width, bytes: 4 * (2 * rows * width + rows * rows)
    ) { bench throws(DeviceError) in
      let differences = [0, 0.1, 0.03, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7]
      let mean = bench.numbers.matrix(1, width, scale: 2).values
      let centred = bench.numbers.matrix(rows, width)
      let x = centred.mapped { $1 + mean[$0 % width] }
      let y = x.mapped { $1 + differences[$0 / width % differences.count] * bench.numbers.normal() }
      let variance = share * centred.values.reduce(0) { $0 + $1 * $1 } / Double(rows)
      let sigma = Float(variance.squareRoot())
      let (left, right, out) = (try bench.input(x), try bench.input(y), try bench.output(rows, rows))
      try bench.perform { () throws(DeviceError) in
        try bench.backend.radialBasisKernel(left, right, sigma: sigma, into: out)
      }
      try bench.expect(out, Reference.radialBasisKernel(x, y, sigma: sigma).absolute)
    }
  }

  /// All terms are positive, so partial sums in a wider type or by tree leave few roundings.
  private static var distanceTolerance: Tolerance {
    .roundings(4, because: "differences and squares in double precision, one rounding at the end, and a margin")
  }
}
