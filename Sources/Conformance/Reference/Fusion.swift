import Compute

extension Reference {
  /// The only reference in single precision: the order of its operations is part of the definition.
  static func weightedSum(
    _ inputs: [HostMatrix], weights: [Float], output: ElementType
  ) -> (sums: Expectation, nonFinite: [Double]) {
    let (single, format) = (NumberFormat(.float32), NumberFormat(output))
    let floats = inputs.map { input in input.values.map { Float(single.rounded($0)) } }
    let sums = (floats.first ?? []).indices.map { element in
      var sum = weights[0] * floats[0][element]
      for input in 1..<max(1, inputs.count) { sum = sum.addingProduct(weights[input], floats[input][element]) }
      return format.rounded(Double(sum))
    }
    let counts = floats.map { input in Double(input.count { !$0.isFinite }) }
    return (Expectation(sums), counts + [Double(sums.count { !$0.isFinite })])
  }

  static func convert(_ source: HostMatrix, to type: ElementType) -> Expectation {
    let format = NumberFormat(type)
    return Expectation(source.values.map(format.rounded))
  }
}
