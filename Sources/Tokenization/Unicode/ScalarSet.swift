/// A set of Unicode scalars as sorted ranges that neither overlap nor touch.
struct ScalarSet: Hashable, Sendable {
  /// The ranges, lowest first.
  private(set) var ranges: [ClosedRange<UInt32>] = []

  /// The highest scalar value.
  static let highest: UInt32 = 0x10_FFFF

  /// The set of nothing.
  init() {}

  /// The set of the scalars in some ranges, in any order.
  init(_ ranges: [ClosedRange<UInt32>]) {
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = self.ranges.last, range.lowerBound <= last.upperBound + 1 {
        self.ranges[self.ranges.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        self.ranges.append(range)
      }
    }
  }

  /// The set of one scalar.
  init(_ scalar: Unicode.Scalar) {
    ranges = [scalar.value...scalar.value]
  }

  /// The set of the scalars between two, both included.
  init(_ first: Unicode.Scalar, through last: Unicode.Scalar) {
    ranges = [first.value...last.value]
  }

  /// The set of the scalars for which something holds.
  ///
  /// - Complexity: One call for each of the 1,112,064 scalars.
  init(where holds: (Unicode.Scalar) -> Bool) {
    var ranges: [ClosedRange<UInt32>] = []
    for value in 0...Self.highest {
      guard let scalar = Unicode.Scalar(value), holds(scalar) else { continue }
      if let last = ranges.last, last.upperBound + 1 == value {
        ranges[ranges.count - 1] = last.lowerBound...value
      } else {
        ranges.append(value...value)
      }
    }
    self.ranges = ranges
  }

  /// The scalars in either set.
  func union(_ other: ScalarSet) -> ScalarSet { ScalarSet(ranges + other.ranges) }

  /// The scalars that are not in the set.
  var complement: ScalarSet {
    var gaps: [ClosedRange<UInt32>] = []
    var next: UInt32 = 0
    for range in ranges {
      if next < range.lowerBound { gaps.append(next...(range.lowerBound - 1)) }
      next = range.upperBound + 1
    }
    if next <= Self.highest { gaps.append(next...Self.highest) }
    return ScalarSet(gaps)
  }

  /// The scalars in both sets.
  func intersection(_ other: ScalarSet) -> ScalarSet { complement.union(other.complement).complement }

  /// Whether a scalar is in the set; for one question, a `ScalarTable` answers many.
  func contains(_ scalar: Unicode.Scalar) -> Bool {
    ranges.contains { $0.contains(scalar.value) }
  }
}
