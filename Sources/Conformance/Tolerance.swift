import Compute

/// How far a result may be from the reference.
public enum Tolerance: Sendable, Equatable {
  /// The result is defined to the last bit.
  case exact
  /// The error may be so many times the magnitude of what was summed, for the reason given.
  case relative(Double, because: String)

  /// The largest relative error that passes.
  public var bound: Double {
    switch self {
    case .exact: 0
    case .relative(let bound, _): bound
    }
  }
}

extension Tolerance {
  /// Half the distance from 1 to the next float32: the relative error of one rounding.
  static let roundoff = NumberFormat(.float32).unitRoundoff

  /// A few roundings to float32.
  static func roundings(_ count: Double, because reason: String) -> Tolerance {
    .relative(count * roundoff, because: reason)
  }

  /// A result that is rounded once more, to 16 bits.
  func rounded(to type: ElementType) -> Tolerance {
    guard type != .float32, case .relative(let bound, let reason) = self else { return self }
    return .relative(bound + NumberFormat(type).unitRoundoff, because: "\(reason), and a rounding to \(type.rawValue)")
  }

  /// A float32 sum: rounding errors of independent sign grow with the root of their number (Higham and Mary 2019); four
  /// standard deviations of that, and four roundings more.
  static func sum(of terms: Int) -> Tolerance {
    .roundings(4 * (Double(terms).squareRoot() + 1), because: "a float32 sum of \(terms) terms, whose errors add up")
  }
}
