/// The number formats that device memory holds.
public enum ElementType: String, Sendable, CaseIterable {
  /// IEEE 754 double precision; accepted where tensors are converted or summed.
  case float64
  /// IEEE 754 single precision: activations, accumulators, representations.
  case float32
  /// IEEE 754 half precision.
  case float16
  /// The upper half of a `float32`.
  case bfloat16
  /// Signed integers: token identifiers, positions, cluster numbers, counters.
  case int32

  /// The size of one element in bytes.
  public var byteCount: Int {
    switch self {
    case .float64: 8
    case .float32, .int32: 4
    case .float16, .bfloat16: 2
    }
  }

  /// Whether elements are floating point numbers.
  public var isFloatingPoint: Bool { self != .int32 }
}
