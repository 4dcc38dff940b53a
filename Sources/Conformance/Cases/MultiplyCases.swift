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
      + [ElementType.float32, .float16, .bfloat16].flatMap { type in
        [(1, 64, 64), (7, 257, 131), (64, 512, 160), (131, 259, 75)].flatMap { rows, depth, columns in
          [ElementType.float32, type].flatMap { activations in
            ProductPrecision.allCases.flatMap { precision in
              [false, true].map {
                multiply(
                  rows: rows, depth: depth, columns: columns, type, hasBias: $0, precision: precision,
                  activations: activations, isAdding: true)
              }
            }
          }
        }
      }
  }

  static func multiply(
    rows: Int, depth: Int, columns: Int, _ type: ElementType, hasBias: Bool,
    precision: ProductPrecision = .fast, activations: ElementType = .float32, isAdding: Bool = false
  ) -> OperationCase {
    OperationCase(
      "multiply",
      "[\(rows), \(depth)] · [\(columns), \(depth)]ᵀ\(hasBias ? " + bias" : "")\(isAdding ? ", added" : "")"
        + (precision == .full ? ", full" : ""),
      type: activations == .float32 ? type.rawValue : "\(activations.rawValue) · \(type.rawValue)",
      tolerance: .sum(of: depth + (isAdding ? 2 : 1)), flops: 2 * rows * depth * columns,
      bytes: 4 * rows * (depth + columns) + type.byteCount * depth * columns,
      rounding: .activations(withWeights: type, precision: precision)
    ) { bench throws(DeviceError) in
      let a = bench.numbers.matrix(rows, depth, activations)
      let weights = bench.numbers.matrix(columns, depth, type)
      let bias = hasBias ? bench.numbers.matrix(1, columns, type) : nil
      let before = isAdding ? bench.numbers.matrix(rows, columns) : nil
      let (left, right) = (try bench.input(a), try bench.input(weights))
      let out: Matrix
      if let before { out = try bench.inPlace(before) } else { out = try bench.output(rows, columns) }
      var offsets: Matrix?
      if let bias { offsets = try bench.input(bias) }
      try bench.perform { () throws(DeviceError) in
        try bench.backend.multiply(
          left, transposed: right, bias: offsets, precision: precision, adding: isAdding, into: out)
      }
      try bench.expect(out, Reference.multiply(a, weights, bias: bias, addedTo: before))
    }
  }
}
