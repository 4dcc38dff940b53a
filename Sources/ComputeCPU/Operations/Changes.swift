import CVector
import Compute

extension CPUBackend {
  /// `out = factor · (x − base)` of the elements that are kept and 0 of the others.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func sparseChange(
    of x: Matrix, from base: Matrix, first: Int, keeping selection: ElementSelection, factor: Float, into out: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.sparseChange(of: x, from: base, first: first, into: out)
    let (xType, baseType, result) = (x.elementType, base.elementType, out.floats)
    let (values, origins) = (UnsafeRawPointer(x.address), UnsafeRawPointer(base.address))
    withUnsafePointer(to: Selection(selection)) { selection in
      workers.forEach(out.count, grain: Self.changeGrain) { _, piece in
        let start = piece.lowerBound
        loops.sparseChange(
          values + start * xType.byteCount, xType.format, origins + start * baseType.byteCount, baseType.format,
          selection, UInt64(first + start), factor, result + start, piece.count)
      }
    }
  }

  /// Increases the counts of digits; every worker counts for itself.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit, and other than a power of two of digits.
  public func countDigits(of values: Matrix, first: Int, digit: SortDigit, into counts: Matrix) throws(DeviceError) {
    try ArgumentChecks.countDigits(of: values, first: first, digit: digit, into: counts)
    let digits = counts.columns
    let total = UnsafeMutableRawPointer(counts.integers).assumingMemoryBound(to: UInt32.self)
    // One worker needs no counts of its own.
    var own = [UInt32](repeating: 0, count: workers.count > 1 ? digits * workers.count : 0)
    own.withUnsafeMutableBufferPointer { own in
      let ownCounts = own.baseAddress ?? total
      withUnsafePointer(to: Digit(digit, digits: digits)) { digit in
        workers.forEach(values.count, grain: Self.changeGrain) { worker, piece in
          loops.countDigits(
            values.floats + piece.lowerBound, UInt64(first + piece.lowerBound), digit,
            own.isEmpty ? total : ownCounts + worker * digits, piece.count)
        }
      }
    }
    for (index, count) in own.enumerated() { total[index % digits] &+= count }
  }

  /// The sums of squares, products and magnitudes of every block of elements.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  public func blockMoments(_ x: Matrix, _ y: Matrix, into sums: Matrix) throws(DeviceError) {
    try ArgumentChecks.blockMoments(x, y, into: sums)
    let (xType, yType, result) = (x.elementType, y.elementType, sums.floats)
    let (left, right, count) = (UnsafeRawPointer(x.address), UnsafeRawPointer(y.address), x.count)
    workers.forEach(sums.rows, grain: Self.changeGrain / MomentLimits.block) { _, blocks in
      for block in blocks {
        let start = block * MomentLimits.block
        loops.moments(
          left + start * xType.byteCount, xType.format, right + start * yType.byteCount, yType.format,
          min(MomentLimits.block, count - start), result + block * sums.columns)
      }
    }
  }

  /// `out = base + factors[s] · Σ changes[i]` over the set s of those that agree with the sign of the sum of all.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and other than 1 to 15 changes.
  public func sumAgreeing(
    _ changes: Matrix, base: Matrix, factors: Matrix, into out: Matrix, nonFinite: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.sumAgreeing(changes, base: base, factors: factors, into: out, nonFinite: nonFinite)
    let counters = nonFinite.columns
    var counts = [UInt64](repeating: 0, count: counters * workers.count)
    let sum = AgreeingSum(
      changeCount: changes.rows, changes: changes.floats, stride: changes.columns, base: base.address,
      baseFormat: base.elementType.format, factors: factors.floats, output: out.address,
      outputFormat: out.elementType.format)
    counts.withUnsafeMutableBufferPointer { counts in
      guard let count = counts.baseAddress else { return }
      withUnsafePointer(to: sum) { sum in
        workers.forEach(out.count, grain: Self.changeGrain) { worker, piece in
          loops.sumAgreeing(sum, piece.lowerBound, piece.count, count + worker * counters)
        }
      }
    }
    nonFinite.add(counts)
  }

  /// The elements that one piece of work takes: a multiple of a block of moments.
  private static var changeGrain: Int { 1 << 16 }
}

extension Matrix {
  /// Adds the counts of all workers to `int32` counters, which stay at the largest number where they would pass it.
  func add(_ counts: [UInt64]) {
    for (index, count) in counts.enumerated() {
      let counter = integers + index % columns
      counter.pointee = Int32(clamping: UInt64(clamping: counter.pointee) + count)
    }
  }
}

extension Selection {
  fileprivate init(_ selection: ElementSelection) {
    self.init()
    switch selection {
    case .all: kind = SelectionAll
    case .largest(let magnitude, let last):
      kind = SelectionLargest
      (threshold, self.last) = (magnitude, last)
    case .random(let key, let threshold):
      kind = SelectionRandom
      self.threshold = threshold
      self.key = (UInt32(truncatingIfNeeded: key), UInt32(truncatingIfNeeded: key >> 32))
    }
  }
}

extension Digit {
  fileprivate init(_ digit: SortDigit, digits: Int) {
    self.init(
      isOfNumber: digit.source == .number, shift: UInt32(digit.shift), prefixShift: UInt32(digit.prefixShift),
      prefix: digit.prefix, mask: UInt32(digits - 1))
  }
}
