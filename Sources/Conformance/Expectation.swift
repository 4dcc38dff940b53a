import Compute

/// What an operation has to give.
struct Expectation {
  /// The result in double precision, row after row.
  let values: [Double]
  /// What rounding errors are proportional to: for a sum the sum of the terms' magnitudes.
  let magnitudes: [Double]

  /// Describes a result whose errors are proportional to itself, unless magnitudes are given.
  init(_ values: [Double], magnitudes: [Double]? = nil) {
    self.values = values
    self.magnitudes = magnitudes ?? values.map(\.magnitude)
  }

  /// The same result with errors that are not proportional to anything: a relative bound becomes an absolute one.
  var absolute: Expectation { Expectation(values, magnitudes: [Double](repeating: 1, count: values.count)) }

  /// The same result rounded to 16 bits, whose subnormal numbers lie as far apart as the smallest normal ones.
  func rounded(to type: ElementType) -> Expectation {
    guard type != .float32 else { return self }
    let smallest = NumberFormat(type).smallestNormal
    return Expectation(values, magnitudes: magnitudes.map { max($0, smallest) })
  }

  /// The largest error in terms of the magnitudes; infinite where only one of both is a number.
  func relativeError(of results: [Double]) -> Double {
    // Next to 0 a float32 is exact to one subnormal step at best.
    let smallestStep = 0x1p-149
    var largest = 0.0
    for (index, result) in results.enumerated() {
      let value = values[index]
      if result.isNaN && value.isNaN || result == value { continue }
      guard result.isFinite, value.isFinite else { return .infinity }
      let error = (result - value).magnitude - smallestStep
      if error > 0 { largest = max(largest, error / max(magnitudes[index], .leastNormalMagnitude)) }
    }
    return largest
  }

  /// The first element that is not exactly as expected, the sign of a zero included.
  func firstDifference(from results: [Double]) -> Int? {
    results.indices.first { index in
      let (result, value) = (results[index], values[index])
      return !(result.isNaN && value.isNaN) && !(result == value && result.sign == value.sign)
    }
  }
}
