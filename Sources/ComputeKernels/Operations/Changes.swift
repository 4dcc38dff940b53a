import Compute

extension KernelBackend {
  /// `out = factor · (x − base)` of the elements that are kept and 0 of the others.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func sparseChange(
    of x: Matrix, from base: Matrix, first: Int, keeping selection: ElementSelection, factor: Float, into out: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.sparseChange(of: x, from: base, first: first, into: out)
    let (kind, threshold, last, key): (UInt32, UInt32, UInt64, UInt64) =
      switch selection {
      case .all: (0, 0, 0, 0)
      case .largest(let magnitude, let last): (1, magnitude, last, 0)
      case .random(let key, let threshold): (2, threshold, 0, key)
      }
    // An item takes four elements, as many as there are random words of a counter; the first may lie inside of four.
    try launchForElements(
      "sparseChange", of: "changes", operation: "sparseChange", count: LaunchSizes.parts(of: first % 4 + out.count, 4),
      [
        .matrix(x), .format(of: x), .matrix(base), .format(of: base), .matrix(out), .count(first), .count(out.count),
        .uint32(kind), .uint32(threshold), .uint64(last), .uint32(UInt32(truncatingIfNeeded: key)),
        .uint32(UInt32(truncatingIfNeeded: key >> 32)), .float(factor),
      ])
  }

  /// Increases the counts of digits; runs of equal digits are counted at once.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit, and other than a power of two of digits.
  package func countDigits(
    of values: Matrix, first: Int, digit: SortDigit, into counts: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.countDigits(of: values, first: first, digit: digit, into: counts)
    try launchForElements(
      "countDigits", of: "changes", operation: "countDigits", count: values.count,
      [
        .matrix(values), .matrix(counts), .count(first), .count(values.count), .flag(digit.source == .number),
        .uint32(UInt32(digit.shift)), .uint32(UInt32(digit.prefixShift)), .uint32(digit.prefix),
        .uint32(UInt32(counts.columns - 1)),
      ])
  }

  /// The sums of squares, products and magnitudes of every block of elements: sixteen items a block.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func blockMoments(_ x: Matrix, _ y: Matrix, into sums: Matrix) throws(DeviceError) {
    try ArgumentChecks.blockMoments(x, y, into: sums)
    try launch(
      "blockMoments", of: "changes", operation: "blockMoments",
      groups: LaunchSizes.parts(of: sums.rows, sizes.group / 16),
      [
        .matrix(x), .format(of: x), .matrix(y), .format(of: y), .matrix(sums), .count(x.count),
        .count(MomentLimits.block),
      ])
  }

  /// `out = base + factors[s] · Σ changes[i]` over the set s of those that agree with the sign of the sum of all.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and other than 1 to 15 changes.
  package func sumAgreeing(
    _ changes: Matrix, base: Matrix, factors: Matrix, into out: Matrix, nonFinite: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.sumAgreeing(changes, base: base, factors: factors, into: out, nonFinite: nonFinite)
    try launchForElements(
      "sumAgreeing", of: "changes", operation: "sumAgreeing", count: out.count,
      [
        .matrix(changes), .uint32(UInt32(changes.rows)), .matrix(base), .format(of: base), .matrix(factors),
        .matrix(out), .format(of: out), .matrix(nonFinite), .count(out.count),
      ])
  }
}
