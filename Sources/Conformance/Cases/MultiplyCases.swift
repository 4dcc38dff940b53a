import Compute

extension OperationCase {
  static var multiplyCases: [OperationCase] {
    let shapes = [
      (0, 8, 4), (3, 0, 4), (3, 5, 0), (1, 1, 1), (1, 64, 64), (2, 67, 19), (7, 257, 131), (8, 128, 256), (67, 300, 17),
      (64, 512, 160), (131, 259, 75),
    ]
    return [ElementType.float32, .float16, .bfloat16].flatMap { type in
      shapes.flatMap { rows, depth, columns in
        ProductPrecision.allCases.flatMap { precision in
          [false, true].map {
            multiply(rows: rows, depth: depth, columns: columns, type, hasBias: $0, precision: precision)
          }
        }
      }
    }
  }

  static func multiply(
    rows: Int, depth: Int, columns: Int, _ type: ElementType, hasBias: Bool,
    precision: ProductPrecision = .fast
  ) -> OperationCase {
    OperationCase(
      "multiply",
      "[\(rows), \(depth)] · [\(columns), \(depth)]ᵀ\(hasBias ? " + bias" : "")\(precision == .full ? ", full" : "")",
      type: type.rawValue,
      tolerance: .sum(of: depth + 1), flops: 2 * rows * depth * columns,
      bytes: 4 * rows * (depth + columns) + type.byteCount * depth * columns, product: (type, precision)
    ) { bench throws(DeviceError) in
      let a = bench.numbers.matrix(rows, depth)
      let weights = bench.numbers.matrix(columns, depth, type)
      let bias = hasBias ? bench.numbers.matrix(1, columns, type) : nil
      let (left, right, out) = (
        try bench.input(a), try bench.input(weights), try bench.output(rows, columns)
      )
      var offsets: Matrix?
      if let bias { offsets = try bench.input(bias) }
      try bench.perform { () throws(DeviceError) in
        try bench.backend.multiply(left, transposed: right, bias: offsets, precision: precision, into: out)
      }
      try bench.expect(out, Reference.multiply(a, weights, bias: bias))
    }
  }
}
