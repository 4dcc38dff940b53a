import Compute

extension OperationCase {
  /// The bits of a quarter, which is a frequent magnitude among numbers rounded to quarters.
  private static let quarter = Float(0.25).bitPattern

  static var changeCases: [OperationCase] {
    let selections: [ElementSelection] = [
      .all, .largest(magnitude: quarter, last: 5_000), .largest(magnitude: 0, last: 0),
      .largest(magnitude: quarter, last: .max), .largest(magnitude: .max >> 1, last: .max),
      .random(key: 0x0123_4567_89ab_cdef, threshold: 1 << 30), .random(key: 7, threshold: 0),
      .random(key: 0, threshold: .max),
    ]
    var cases = selections.flatMap { selection in
      [(0, 0), (1, 0), (10_007, 0), (10_007, 3), (4096, 1 << 33 + 2)].map { count, first in
        sparseChange([.bfloat16, .bfloat16], count: count, first: first, selection)
      }
    }
    for types in [[.float32, .bfloat16], [.float16, .float64], [.float64, .float32]] as [[ElementType]] {
      cases += selections.map { sparseChange(types, count: 1021, first: 1, $0) }
    }
    cases.append(sparseChangeOfAnything)
    cases += digitCases
    for count in [0, 1, 15, 16, 17, 4095, 4096, 4097, 30_011] {
      cases.append(blockMoments([.float32, .float32], count: count))
      cases.append(blockMoments([.bfloat16, .float16], count: count))
    }
    for (changes, count) in [(1, 0), (1, 1), (2, 1021), (3, 10_007), (15, 1021)] {
      for output in [.float32, .bfloat16] as [ElementType] {
        cases.append(sumAgreeing(changes: changes, count: count, output, isStrange: false))
        cases.append(sumAgreeing(changes: changes, count: count, output, isStrange: true))
      }
    }
    return cases
  }

  /// Numbers in quarters, so that many are equal and some are 0.
  private static func quarters(_ numbers: inout SeededNumbers, _ rows: Int, _ columns: Int) -> [Double] {
    let count = min(rows * columns, numbers.period ?? .max)
    return (0..<count).map { _ in (4 * numbers.normal()).rounded() / 4 }
  }

  private static func repeating(_ rows: Int, _ columns: Int, _ type: ElementType, _ values: [Double]) -> HostMatrix {
    HostMatrix(
      rows: rows, columns: columns, repeating: HostMatrix(rows: 1, columns: values.count, type, values: values))
  }

  static func sparseChange(
    _ types: [ElementType], count: Int, first: Int, _ selection: ElementSelection
  ) -> OperationCase {
    sparseChange("[1, \(count)] from \(first), \(selection)", types, count, first, selection) { numbers, type in
      repeating(1, count, type, quarters(&numbers, 1, count))
    }
  }

  /// Random bits: subnormal numbers, infinities and NaNs.
  private static var sparseChangeOfAnything: OperationCase {
    sparseChange(
      "any bits [1, 10007]", [.float16, .bfloat16], 10_007, 0, .largest(magnitude: quarter, last: 77)
    ) { numbers, type in
      HostMatrix(rows: 1, columns: 10_007, type, bits: (0..<10_007).map { _ in numbers.bits() & type.allBits })
    }
  }

  private static func sparseChange(
    _ shape: String, _ types: [ElementType], _ count: Int, _ first: Int, _ selection: ElementSelection,
    _ make: @escaping @Sendable (inout SeededNumbers, ElementType) -> HostMatrix
  ) -> OperationCase {
    OperationCase(
      "sparseChange", shape, type: types.map(\.rawValue).joined(separator: ", "), tolerance: .exact, flops: 2 * count,
      bytes: (types[0].byteCount + types[1].byteCount + 4) * count
    ) { bench throws(DeviceError) in
      let (x, base) = (make(&bench.numbers, types[0]), make(&bench.numbers, types[1]))
      let (input, origin) = (try bench.input(x), try bench.input(base))
      let out = try bench.output(1, count)
      try bench.perform { () throws(DeviceError) in
        try bench.backend.sparseChange(
          of: input, from: origin, first: first, keeping: selection, factor: 0.7, into: out)
      }
      try bench.expect(
        out, Reference.sparseChange(of: x, from: base, first: first, keeping: selection, factor: 0.7))
    }
  }

  private static var digitCases: [OperationCase] {
    let all: [(SortDigit, Int)] = [
      (SortDigit(.magnitude, shift: 15), 1 << 16),
      (SortDigit(.magnitude, shift: 0, prefix: quarter >> 15, prefixShift: 15), 1 << 15),
      (SortDigit(.number, shift: 16, prefix: quarter, prefixShift: 0), 1 << 16),
      (SortDigit(.number, shift: 0, prefix: 0, prefixShift: 0), 1 << 16),
      (SortDigit(.magnitude, shift: 30), 1),
    ]
    return all.flatMap { digit, digits in
      [0, 1, 1021, 100_003].flatMap { count in
        [
          countDigits(digit, digits, count: count) { numbers in
            repeating(1, count, .float32, quarters(&numbers, 1, count))
          },
          countDigits(digit, digits, count: count, "any bits ") { numbers in
            let made = min(count, numbers.period ?? .max)
            let bits = (0..<made).map { _ in numbers.bits() & ElementType.float32.allBits }
            return HostMatrix(
              rows: 1, columns: count, repeating: HostMatrix(rows: 1, columns: made, .float32, bits: bits))
          },
          countDigits(digit, digits, count: count, "equal ") { _ in
            HostMatrix(rows: 1, columns: count, values: [Double](repeating: -0.25, count: count))
          },
        ]
      }
    }
  }

  static func countDigits(
    _ digit: SortDigit, _ digits: Int, count: Int, _ kind: String = "",
    _ make: @escaping @Sendable (inout SeededNumbers) -> HostMatrix
  ) -> OperationCase {
    let first = 65_000
    return OperationCase(
      "countDigits", "\(kind)[1, \(count)], \(digits) by \(digit.source) >> \(digit.shift)", tolerance: .exact,
      flops: 0, bytes: 4 * count
    ) { bench throws(DeviceError) in
      let values = make(&bench.numbers)
      let input = try bench.input(values)
      let earlier = HostMatrix(
        rows: 1, columns: digits, .int32, values: (0..<digits).map { Double($0 % 7) })
      let counts = try bench.inPlace(earlier)
      try bench.perform { () throws(DeviceError) in
        try bench.backend.countDigits(of: input, first: first, digit: digit, into: counts)
      }
      try bench.expect(
        counts,
        Expectation(
          zip(Reference.countDigits(of: values, first: first, digit: digit, digits: digits), earlier.values).map(+)))
    }
  }

  static func blockMoments(_ types: [ElementType], count: Int) -> OperationCase {
    let blocks = (count + MomentLimits.block - 1) / MomentLimits.block
    return OperationCase(
      "blockMoments", "[1, \(count)]", type: types.map(\.rawValue).joined(separator: ", "), tolerance: .exact,
      flops: 8 * count, bytes: (types[0].byteCount + types[1].byteCount) * count
    ) { bench throws(DeviceError) in
      let (x, y) = (bench.numbers.matrix(1, count, types[0]), bench.numbers.matrix(1, count, types[1]))
      let (left, right) = (try bench.input(x), try bench.input(y))
      let sums = try bench.output(blocks, 5)
      try bench.perform { () throws(DeviceError) in try bench.backend.blockMoments(left, right, into: sums) }
      try bench.expect(sums, Reference.blockMoments(x, y))
    }
  }

  /// Strange ones have infinities and NaNs among their changes and in the base.
  static func sumAgreeing(changes: Int, count: Int, _ output: ElementType, isStrange: Bool) -> OperationCase {
    OperationCase(
      "sumAgreeing", "\(isStrange ? "strange " : "")[\(changes), \(count)]", type: output.rawValue,
      tolerance: .exact, flops: 3 * changes * count, bytes: (4 * changes + 2 * output.byteCount) * count
    ) { bench throws(DeviceError) in
      var values = quarters(&bench.numbers, changes, count)
      var origins = bench.numbers.matrix(1, count, output).values
      if isStrange {
        for index in stride(from: 0, to: values.count, by: 11) {
          values[index] = [.infinity, -.infinity, .nan][index / 11 % 3]
        }
        for index in stride(from: 5, to: origins.count, by: 13) { origins[index] = .infinity }
      }
      let terms = repeating(changes, count, .float32, values)
      let base = repeating(1, count, output, origins)
      let factors = (0..<1 << changes).map { 1 / Float(max(1, $0.nonzeroBitCount)) }
      let table = HostMatrix(rows: 1, columns: factors.count, values: factors.map(Double.init))
      let (input, origin, shares) = (try bench.input(terms), try bench.input(base), try bench.input(table))
      let out = try bench.output(1, count, output)
      let nonFinite = try bench.inPlace(
        HostMatrix(rows: 1, columns: changes + 2, .int32, values: [Double](repeating: 5, count: changes + 2)))
      try bench.perform { () throws(DeviceError) in
        try bench.backend.sumAgreeing(input, base: origin, factors: shares, into: out, nonFinite: nonFinite)
      }
      try bench.expect(out, Reference.sumAgreeing(terms, base: base, factors: factors, output: output).sums)
      try bench.expect(
        nonFinite,
        Expectation(
          Reference.sumAgreeing(terms, base: base, factors: factors, output: output).nonFinite.map { $0 + 5 }))
    }
  }
}
