/// Which elements of a tensor are kept; an element is known by its number in the whole tensor, so that the choice does not
/// depend on how the tensor is cut.
public enum ElementSelection: Sendable, Equatable {
  /// All of them.
  case all
  /// Those whose magnitude is larger, and of those with just this magnitude the ones up to an element.
  ///
  /// - Parameters:
  ///   - magnitude: The bits of a `float32` that is 0 or positive.
  ///   - last: The last element that is kept of those with this magnitude.
  case largest(magnitude: UInt32, last: UInt64)
  /// Those whose random number is below a threshold, so that of 2³² elements about `threshold` are kept.
  ///
  /// Element e has word e mod 4 of Philox4x32-10 (Salmon et al. 2011) for the counter e / 4.
  ///
  /// - Parameters:
  ///   - key: The key, its low half first.
  ///   - threshold: What random numbers of 32 bits have to be below.
  case random(key: UInt64, threshold: UInt32)
}

/// One digit of the numbers that order the elements of a tensor: first by magnitude, then by number.
public struct SortDigit: Sendable, Equatable {
  /// What a digit is taken from.
  public enum Source: Sendable {
    /// The 31 bits of the element's magnitude; a NaN counts as the canonical one.
    case magnitude
    /// The element's number in its tensor.
    case number
  }

  /// What the digit is taken from.
  public var source: Source
  /// How many bits lie below the digit.
  public var shift: Int
  /// Only elements count whose magnitude, without so many low bits, is `prefix`.
  public var prefixShift: Int
  /// See `prefixShift`.
  public var prefix: UInt32

  /// Describes a digit; without a prefix all elements count.
  public init(_ source: Source, shift: Int, prefix: UInt32 = 0, prefixShift: Int = 31) {
    (self.source, self.shift, self.prefix, self.prefixShift) = (source, shift, prefix, prefixShift)
  }
}

/// The bounds of `ComputeBackend.blockMoments`.
public enum MomentLimits {
  /// The elements of a block.
  public static let block = 4096
}
