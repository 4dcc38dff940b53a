import Compute

/// Single precision as in the weighted sum: the order of the operations is part of the definition.
extension Reference {
  private static func floats(_ matrix: HostMatrix) -> [Float] {
    let single = NumberFormat(.float32)
    return matrix.values.map { Float(single.rounded($0)) }
  }

  static func sparseChange(
    of x: HostMatrix, from base: HostMatrix, first: Int, keeping selection: ElementSelection, factor: Float
  ) -> Expectation {
    let changes = zip(floats(x), floats(base)).map { $0 - $1 }
    return Expectation(
      changes.enumerated().map { index, change in
        guard change.isFinite else { return .nan }
        let isKept: Bool =
          switch selection {
          case .all: true
          case .largest(let magnitude, let last):
            change.magnitude.bitPattern > magnitude
              || change.magnitude.bitPattern == magnitude && UInt64(first + index) <= last
          case .random(let key, let threshold): randomWord(of: first + index, key: key) < threshold
          }
        return isKept ? Double(factor * change) : 0
      })
  }

  /// Word e mod 4 of Philox4x32-10 for the counter e / 4, as its paper defines it.
  static func randomWord(of element: Int, key: UInt64) -> UInt32 {
    let multipliers: [UInt32] = [0xd251_1f53, 0xcd9e_8d57]
    var counter = [UInt32(truncatingIfNeeded: element / 4), UInt32(truncatingIfNeeded: (element / 4) >> 32), 0, 0]
    var keys = [UInt32(truncatingIfNeeded: key), UInt32(truncatingIfNeeded: key >> 32)]
    for _ in 0..<10 {
      let products = [
        multipliers[0].multipliedFullWidth(by: counter[0]), multipliers[1].multipliedFullWidth(by: counter[2]),
      ]
      counter = [
        products[1].high ^ counter[1] ^ keys[0], products[1].low, products[0].high ^ counter[3] ^ keys[1],
        products[0].low,
      ]
      keys = [keys[0] &+ 0x9e37_79b9, keys[1] &+ 0xbb67_ae85]
    }
    return counter[element % 4]
  }

  static func countDigits(of values: HostMatrix, first: Int, digit: SortDigit, digits: Int) -> [Double] {
    var counts = [Double](repeating: 0, count: digits)
    for (index, value) in floats(values).enumerated() {
      let magnitude = value.isNaN ? 0x7fc0_0000 : value.magnitude.bitPattern
      guard magnitude >> UInt32(digit.prefixShift) == digit.prefix else { continue }
      let source = digit.source == .number ? first + index : Int(magnitude)
      counts[(source >> digit.shift) % digits] += 1
    }
    return counts
  }

  static func blockMoments(_ x: HostMatrix, _ y: HostMatrix) -> Expectation {
    let (left, right) = (floats(x), floats(y))
    let sums = stride(from: 0, to: left.count, by: MomentLimits.block).flatMap { start in
      (0..<5).map { moment -> Double in
        var lanes = [Float](repeating: 0, count: 16)
        for index in start..<min(start + MomentLimits.block, left.count) {
          let (x, y, sum) = (left[index], right[index], lanes[index % 16])
          lanes[index % 16] =
            switch moment {
            case 0: sum.addingProduct(x, x)
            case 1: sum.addingProduct(y, y)
            case 2: sum.addingProduct(x, y)
            case 3: sum + x.magnitude
            default: sum + y.magnitude
            }
        }
        while lanes.count > 1 {
          lanes = (0..<lanes.count / 2).map { lanes[$0] + lanes[$0 + lanes.count / 2] }
        }
        return Double(lanes[0])
      }
    }
    return Expectation(sums)
  }

  static func sumAgreeing(
    _ changes: HostMatrix, base: HostMatrix, factors: [Float], output: ElementType
  ) -> (sums: Expectation, nonFinite: [Double]) {
    let rows = (0..<changes.rows).map { changes.row($0).map { Float($0) } }
    let origins = floats(base)
    let format = NumberFormat(output)
    let sums = origins.indices.map { element in
      let values = rows.map { $0[element] }
      let vote = values.dropFirst().reduce(values[0], +)
      guard !vote.isNaN else { return Double.nan }
      let agreeing = values.indices.filter { vote >= 0 ? values[$0] > 0 : values[$0] < 0 }
      let sum = agreeing.reduce(Float(0)) { $0 + values[$1] }
      let set = agreeing.reduce(0) { $0 | 1 << $1 }
      return format.rounded(Double(origins[element].addingProduct(factors[set], sum)))
    }
    let counts = (rows + [origins]).map { row in Double(row.count { !$0.isFinite }) }
    return (Expectation(sums), counts + [Double(sums.count { !$0.isFinite })])
  }
}
