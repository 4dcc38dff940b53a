import Compute

/// A binary floating point format, written out so that rounding to it can be checked against no one's library.
struct NumberFormat {
  let exponentBits: Int
  /// The stored bits of the significand, without the leading one.
  let significandBits: Int

  /// The format of a floating point element type.
  init(_ elementType: ElementType) {
    switch elementType {
    case .float64: (exponentBits, significandBits) = (11, 52)
    case .float32, .int32: (exponentBits, significandBits) = (8, 23)
    case .float16: (exponentBits, significandBits) = (5, 10)
    case .bfloat16: (exponentBits, significandBits) = (8, 7)
    }
  }

  private var bias: Int { 1 << (exponentBits - 1) - 1 }
  private var lowestExponent: Int { 1 - bias }
  private var signBit: UInt64 { 1 << UInt64(exponentBits + significandBits) }
  private var infinity: UInt64 { (1 << UInt64(exponentBits) - 1) << UInt64(significandBits) }

  /// The bits of the nearest number of this format, ties to even.
  func bits(of value: Double) -> UInt64 {
    if value.isNaN { return infinity | 1 << UInt64(significandBits - 1) }
    let sign = value.sign == .minus ? signBit : 0
    if value.isInfinite { return sign | infinity }
    if value == 0 { return sign }
    let exponent = max(Int(value.exponent), lowestExponent)
    let spacing = exponent - significandBits
    let steps = UInt64(scaled(value.magnitude, by: -spacing).rounded(.toNearestOrEven))
    // A subnormal number counts its steps from 0; every other one from the first power of two of its exponent. Steps that
    // were rounded up to the next power of two carry into the exponent, from the largest numbers on to infinity.
    let firstStep: UInt64 = 1 << UInt64(significandBits)
    let magnitude = steps < firstStep ? steps : UInt64(exponent + bias - 1) << UInt64(significandBits) + steps
    return sign | min(magnitude, infinity)
  }

  /// The number that some bits stand for.
  func value(of bits: UInt64) -> Double {
    let magnitude = bits & ~signBit
    let sign = bits & signBit == 0 ? 1.0 : -1.0
    if magnitude > infinity { return .nan }
    if magnitude == infinity { return sign * .infinity }
    let fraction = magnitude & (1 << UInt64(significandBits) - 1)
    let exponent = Int(magnitude >> UInt64(significandBits))
    let steps = exponent == 0 ? fraction : fraction | 1 << UInt64(significandBits)
    return sign * scaled(Double(steps), by: max(exponent, 1) - bias - significandBits)
  }

  /// The nearest number of this format.
  func rounded(_ value: Double) -> Double { self.value(of: bits(of: value)) }

  /// Half the distance from 1 to the next number: the largest relative error of one rounding.
  var unitRoundoff: Double { scaled(0.5, by: -significandBits) }

  /// The smallest number with a whole significand.
  var smallestNormal: Double { scaled(1, by: lowestExponent) }

  private func scaled(_ value: Double, by exponent: Int) -> Double {
    // In two steps: the power of two alone may lie outside of the range.
    let half = exponent / 2
    return value * Double(sign: .plus, exponent: half, significand: 1)
      * Double(sign: .plus, exponent: exponent - half, significand: 1)
  }
}
