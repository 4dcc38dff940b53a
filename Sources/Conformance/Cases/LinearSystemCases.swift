import Compute

extension OperationCase {
  static var linearSystemCases: [OperationCase] {
    let shapes = [(0, 3, 4), (3, 0, 5), (1, 1, 1), (2, 67, 19), (67, 13, 131), (131, 259, 75)]
    let systems = [(1, 1, 1), (31, 5, 40), (32, 2, 3), (67, 131, 19), (131, 40, 300), (131, 7, 1)]
    let products = shapes.flatMap { rows, depth, columns in
      [false, true].flatMap { turnsA in
        [false, true].flatMap { turnsB in
          // A share of 0 must not read what is there, which is NaN.
          [(1, 0), (-1, 1), (0.25, 0.5), (0, 1)].map { scale, share in
            multiplyBlocks(
              rows: rows, depth: depth, columns: columns, turnsA: turnsA, turnsB: turnsB, scale: scale, share: share)
          }
        }
      }
    }
    return products + [1, 2, 67].map(addToDiagonal)
      + [1, 2, 31, 32].flatMap { order in [1, 1e-4].map { invertCholesky(order: order, ridge: $0) } }
      + [1, 32].map(invertIndefinite)
      + systems.flatMap { order, rows, samples in
        [1, 1e-3].map { solve(order: order, rows: rows, samples: samples, ridge: $0) }
      }
  }

  static func multiplyBlocks(
    rows: Int, depth: Int, columns: Int, turnsA: Bool, turnsB: Bool, scale: Float, share: Float
  ) -> OperationCase {
    OperationCase(
      "multiplyBlocks",
      "\(share) out + \(scale) [\(rows), \(depth)]\(turnsA ? "ᵀ" : "") · [\(depth), \(columns)]\(turnsB ? "ᵀ" : "")",
      tolerance: .sum(of: depth + 2), flops: 2 * rows * depth * columns,
      bytes: 4 * (rows * depth + depth * columns + rows * columns)
    ) { bench throws(DeviceError) in
      // Blocks lie inside of wider matrices, whose other elements are none of the operation's business.
      let (above, beside) = (2, 3)
      func surrounding(_ rows: Int, _ columns: Int) -> HostMatrix {
        bench.numbers.matrix(rows + above, columns + beside)
      }
      let (a, b) = (
        turnsA ? surrounding(depth, rows) : surrounding(rows, depth),
        turnsB ? surrounding(columns, depth) : surrounding(depth, columns)
      )
      let before = surrounding(rows, columns).mapped { _, value in share == 0 ? .nan : value }
      func block(_ matrix: Matrix) throws(DeviceError) -> MatrixBlock {
        try matrix.block(rows: above..<matrix.rows, columns: beside..<matrix.columns)
      }
      let (left, right) = (try block(bench.input(a)), try block(bench.input(b)))
      let out = try bench.inPlace(before)
      try bench.perform { () throws(DeviceError) in
        try bench.backend.multiply(
          turnsA ? left.transposed : left, turnsB ? right.transposed : right, scale: scale, keeping: share,
          into: block(out))
      }
      try bench.expect(
        out,
        Reference.multiplyBlocks(
          depth: depth,
          a: { turnsA ? a[above + $1, beside + $0] : a[above + $0, beside + $1] },
          b: { turnsB ? b[above + $1, beside + $0] : b[above + $0, beside + $1] },
          scale: Double(scale), share: Double(share), out: before, above: above, beside: beside))
    }
  }

  static func addToDiagonal(order: Int) -> OperationCase {
    OperationCase(
      "addToDiagonal", "[\(order), \(order)]", tolerance: .roundings(1, because: "one sum"), flops: order,
      bytes: 12 * order
    ) { bench throws(DeviceError) in
      let (values, before) = (bench.numbers.matrix(1, order), bench.numbers.matrix(order, order))
      let (terms, matrix) = (try bench.input(values), try bench.inPlace(before))
      try bench.perform { () throws(DeviceError) in try bench.backend.add(terms, toDiagonalOf: matrix) }
      try bench.expect(
        matrix,
        Expectation(
          before.values.enumerated().map { index, value in
            index % (order + 1) == 0 ? value + values[0, index / (order + 1)] : value
          }))
    }
  }

  static func invertCholesky(order: Int, ridge: Double) -> OperationCase {
    OperationCase(
      "invertCholesky", "[\(order), \(order)], ridge \(ridge)",
      tolerance: .roundings(
        2 * Double(order + 2),
        because: "n + 1 roundings of |L| |Lᵀ| in the factor and n of |L⁻¹| |L| in its inverse (Higham, ch. 8 and 10)"),
      flops: order * order * order / 3 * 2, bytes: 8 * order * order
    ) { bench throws(DeviceError) in
      let block = bench.numbers.positiveDefinite(order, samples: max(1, order / 2), ridge: ridge)
      let (input, out) = (try bench.input(block), try bench.output(order, order))
      let failures = try bench.inPlace(HostMatrix(rows: 1, columns: 1, .int32, values: [0]))
      try bench.perform { () throws(DeviceError) in
        try bench.backend.invertCholesky(of: input.block, into: out.block, failures: failures)
      }
      try bench.expect(out, Reference.invertCholesky(block))
      try bench.expect(failures, Expectation([0]))
    }
  }

  static func invertIndefinite(order: Int) -> OperationCase {
    OperationCase(
      "invertCholesky", "[\(order), \(order)], not positive definite", tolerance: .exact, flops: 0,
      bytes: 8 * order * order
    ) { bench throws(DeviceError) in
      var values = bench.numbers.positiveDefinite(order, samples: order, ridge: 1).values
      values[(order - 1) * (order + 1)] = -1
      let input = try bench.input(HostMatrix(rows: order, columns: order, values: values))
      let out = try bench.output(order, order)
      let failures = try bench.inPlace(HostMatrix(rows: 1, columns: 1, .int32, values: [0]))
      try bench.perform { () throws(DeviceError) in
        try bench.backend.invertCholesky(of: input.block, into: out.block, failures: failures)
      }
      try bench.expect(out, Expectation([Double](repeating: .nan, count: order * order)))
      try bench.expect(failures, Expectation([Double(bench.repetitions + 1)]))
    }
  }

  /// A system as merges have it: the Gram matrix of a few samples, often of lower rank than order, and a ridge.
  static func solve(order: Int, rows: Int, samples: Int, ridge: Double) -> OperationCase {
    OperationCase(
      "choleskySolve", "[\(rows), \(order)] · A⁻¹, \(samples) samples, ridge \(ridge)",
      tolerance: .roundings(
        4 * (Double(3 * order).squareRoot() + 2),
        because: "3n roundings of |Z| |L| |Lᵀ| |A⁻¹|, which add up as in a sum (Higham, ch. 10)"),
      flops: order * order * order / 3 + 2 * rows * order * order, bytes: 4 * (order * order + 2 * rows * order)
    ) { bench throws(DeviceError) in
      let system = bench.numbers.positiveDefinite(order, samples: samples, ridge: ridge)
      let right = bench.numbers.matrix(rows, order)
      let (original, sides) = (try bench.input(system), try bench.input(right))
      let (matrix, lower) = (try bench.output(order, order), try bench.output(order, order))
      let (solution, scratch) = (try bench.output(rows, order), try bench.output(rows, order))
      let backend = bench.backend
      try bench.perform { () throws(DeviceError) in
        try backend.copy(original, into: matrix)
        try backend.copy(sides, into: solution)
        guard let factor = try CholeskyFactor(of: matrix, into: lower, on: backend) else {
          throw DeviceError(.driver, operation: "choleskySolve", expected: "a factor", got: "none")
        }
        try factor.solve(solution, scratch: scratch)
      }
      try bench.expect(solution, Reference.solve(system, right))
    }
  }
}
