import Compute

extension OperationCase {
  private static var floatingTypes: [ElementType] { [.float64, .float32, .float16, .bfloat16] }

  static var fusionCases: [OperationCase] {
    var cases: [OperationCase] = []
    for output in floatingTypes {
      for types in [[.bfloat16], [.bfloat16, .bfloat16, .bfloat16], floatingTypes] as [[ElementType]] {
        for (rows, columns) in [(0, 5), (1, 1), (3, 1021), (4, 2048)] {
          cases.append(weightedSum(types, output, rows: rows, columns: columns))
        }
      }
      cases.append(weightedSumOfAnything(Array(repeating: output, count: 2), output))
      cases += floatingTypes.map { convert($0, to: output) }
    }
    cases += ElementType.allCases.flatMap { type in [0, 1, 10_007].map { copy(type, count: $0) } }
    cases.append(weightedSum(Array(repeating: .bfloat16, count: 16), .bfloat16, rows: 7, columns: 331))
    cases += floatingTypes.flatMap { type in [1, 1021].map { weightedSumInPlace(type, count: $0) } }
    cases.append(weightedSumOfAnything([.float64, .float16, .bfloat16, .float32], .float16))
    for type in floatingTypes {
      cases.append(weightedSum([type, type], type, rows: 4, columns: 2048).shifted)
      cases.append(convert(type, to: type == .float32 ? .bfloat16 : .float32).shifted)
    }
    return cases
  }

  static func weightedSum(_ types: [ElementType], _ output: ElementType, rows: Int, columns: Int) -> OperationCase {
    weightedSum("[\(rows), \(columns)]", types, output, rows, columns) { numbers, type in
      numbers.matrix(rows, columns, type)
    }
  }

  /// Inputs of random bits: subnormal numbers, infinities, NaNs, and results beyond the range of the output.
  static func weightedSumOfAnything(_ types: [ElementType], _ output: ElementType) -> OperationCase {
    weightedSum("any bits [1, 10007]", types, output, 1, 10_007) { numbers, type in
      HostMatrix(rows: 1, columns: 10_007, type, bits: (0..<10_007).map { _ in numbers.bits() & type.allBits })
    }
  }

  /// A sum that takes the place of its second input, and counts nothing.
  private static func weightedSumInPlace(_ type: ElementType, count: Int) -> OperationCase {
    OperationCase(
      "weightedSum", "in place [1, \(count)]", type: type.rawValue, tolerance: .exact, flops: 4 * count,
      bytes: 3 * type.byteCount * count
    ) { bench throws(DeviceError) in
      let (other, own) = (bench.numbers.matrix(1, count, type), bench.numbers.matrix(1, count, type))
      let (term, sum) = (try bench.input(other), try bench.inPlace(own))
      let weights: [Float] = [0.75, -0.5]
      try bench.perform { () throws(DeviceError) in
        try bench.backend.weightedSum([term, sum], weights: weights, into: sum)
      }
      try bench.expect(sum, Reference.weightedSum([other, own], weights: weights, output: type).sums)
    }
  }

  private static func weightedSum(
    _ shape: String, _ types: [ElementType], _ output: ElementType, _ rows: Int, _ columns: Int,
    _ make: @escaping @Sendable (inout SeededNumbers, ElementType) -> HostMatrix
  ) -> OperationCase {
    let elementBytes = types.reduce(output.byteCount) { $0 + $1.byteCount }
    return OperationCase(
      "weightedSum", shape, type: "\(inWords(types)) → \(output.rawValue)", tolerance: .exact,
      flops: 2 * types.count * rows * columns, bytes: elementBytes * rows * columns
    ) { bench throws(DeviceError) in
      let inputs = types.map { make(&bench.numbers, $0) }
      let weights = types.indices.map { Float($0 + 1) / Float(types.count + 2) * ($0 == 1 ? -1 : 1) }
      let terms = try inputs.map { matrix throws(DeviceError) in try bench.input(matrix) }
      let out = try bench.output(rows, columns, output)
      let earlier = 5.0
      let counters = types.count + 1
      let nonFinite = try bench.inPlace(
        HostMatrix(rows: 1, columns: counters, .int32, values: [Double](repeating: earlier, count: counters)))
      try bench.perform { () throws(DeviceError) in
        try bench.backend.weightedSum(terms, weights: weights, into: out, nonFinite: nonFinite)
      }
      try bench.expect(out, Reference.weightedSum(inputs, weights: weights, output: output).sums)
      try bench.expect(
        nonFinite,
        Expectation(Reference.weightedSum(inputs, weights: weights, output: output).nonFinite.map { $0 + earlier }))
    }
  }

  private static func inWords(_ types: [ElementType]) -> String {
    if types.count > 1, Set(types).count == 1 { return "\(types.count) × \(types[0].rawValue)" }
    return types.map(\.rawValue).joined(separator: ", ")
  }

  /// All 16-bit numbers, or random bits and ties: numbers halfway between two of a 16-bit format, and just beside them.
  static func convert(_ source: ElementType, to destination: ElementType) -> OperationCase {
    let count = source.byteCount == 2 ? 1 << 16 : 30_000
    return OperationCase(
      "convert", "[1, \(count)]", type: "\(source.rawValue) → \(destination.rawValue)", tolerance: .exact, flops: 0,
      bytes: count * (source.byteCount + destination.byteCount)
    ) { bench throws(DeviceError) in
      let bits =
        source.byteCount == 2
        ? (0..<count).map(UInt64.init) : (0..<count).map { demandingBits(&bench.numbers, source, destination, $0) }
      let matrix = HostMatrix(rows: 1, columns: count, source, bits: bits)
      let (input, out) = (try bench.input(matrix), try bench.output(1, count, destination))
      try bench.perform { () throws(DeviceError) in try bench.backend.convert(input, into: out) }
      try bench.expect(out, Reference.convert(matrix, to: destination))
    }
  }

  static func copy(_ type: ElementType, count: Int) -> OperationCase {
    OperationCase(
      "copy", "[1, \(count)]", type: type.rawValue, tolerance: .exact, flops: 0, bytes: 2 * count * type.byteCount
    ) { bench throws(DeviceError) in
      let row =
        type == .int32
        ? HostMatrix(
          rows: 1, columns: count, type, values: bench.numbers.integers(count, below: 1 << 30).values)
        : bench.numbers.matrix(1, count, type)
      let (input, out) = (try bench.input(row), try bench.output(1, count, type))
      try bench.perform { () throws(DeviceError) in try bench.backend.copy(input, into: out) }
      try bench.expect(out, Expectation(row.values))
    }
  }

  private static func demandingBits(
    _ numbers: inout SeededNumbers, _ source: ElementType, _ destination: ElementType, _ index: Int
  ) -> UInt64 {
    if index % 2 == 0 { return numbers.bits() & source.allBits }
    let (wide, narrow) = (NumberFormat(source), NumberFormat(destination))
    let lower = numbers.bits() & destination.allBits
    let tie = (narrow.value(of: lower) + narrow.value(of: lower + 1)) / 2
    return (wide.bits(of: tie) &+ UInt64(index / 2 % 3) &- 1) & source.allBits
  }
}

extension ElementType {
  /// A mask of an element's bits.
  var allBits: UInt64 { UInt64.max >> UInt64(64 - 8 * byteCount) }
}
