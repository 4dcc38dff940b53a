/// The element type of a stored tensor: every tag that the safetensors format knows.
///
/// The raw value is the tag as spelled in a header.
public enum StoredType: String, CaseIterable, Sendable {
  /// A truth value in one byte.
  case bool = "BOOL"
  /// 4-bit float, two to a byte (OCP MX).
  case float4 = "F4"
  /// 6-bit float with 2 exponent and 3 mantissa bits, four to three bytes (OCP MX).
  case float6E2M3 = "F6_E2M3"
  /// 6-bit float with 3 exponent and 2 mantissa bits, four to three bytes (OCP MX).
  case float6E3M2 = "F6_E3M2"
  /// Unsigned 8-bit integer.
  case uint8 = "U8"
  /// Signed 8-bit integer.
  case int8 = "I8"
  /// 8-bit float with 5 exponent and 2 mantissa bits.
  case float8E5M2 = "F8_E5M2"
  /// 8-bit float with 4 exponent and 3 mantissa bits.
  case float8E4M3 = "F8_E4M3"
  /// 8-bit power of two, a scale without mantissa (OCP MX).
  case float8E8M0 = "F8_E8M0"
  /// 8-bit float with 4 exponent and 3 mantissa bits, without infinities and negative zero.
  case float8E4M3FNUZ = "F8_E4M3FNUZ"
  /// 8-bit float with 5 exponent and 2 mantissa bits, without infinities and negative zero.
  case float8E5M2FNUZ = "F8_E5M2FNUZ"
  /// Signed 16-bit integer.
  case int16 = "I16"
  /// Unsigned 16-bit integer.
  case uint16 = "U16"
  /// IEEE half precision.
  case float16 = "F16"
  /// The upper half of an IEEE single.
  case bfloat16 = "BF16"
  /// Signed 32-bit integer.
  case int32 = "I32"
  /// Unsigned 32-bit integer.
  case uint32 = "U32"
  /// IEEE single precision.
  case float32 = "F32"
  /// Complex number of two IEEE singles.
  case complex64 = "C64"
  /// IEEE double precision.
  case float64 = "F64"
  /// Signed 64-bit integer.
  case int64 = "I64"
  /// Unsigned 64-bit integer.
  case uint64 = "U64"

  /// The bits that one element takes.
  public var bitWidth: Int {
    switch self {
    case .float4: 4
    case .float6E2M3, .float6E3M2: 6
    case .bool, .uint8, .int8, .float8E5M2, .float8E4M3, .float8E8M0, .float8E4M3FNUZ, .float8E5M2FNUZ: 8
    case .int16, .uint16, .float16, .bfloat16: 16
    case .int32, .uint32, .float32: 32
    case .complex64, .float64, .int64, .uint64: 64
    }
  }

  /// The bytes that a tensor of this type takes.
  ///
  /// - Parameter shape: The extent of each dimension; empty for a single element.
  /// - Returns: `nil` when an extent is negative, a product overflows, or the elements do not fill whole bytes.
  public func byteCount(shape: [Int]) -> Int? {
    var bits = bitWidth
    for extent in shape {
      let (product, overflow) = bits.multipliedReportingOverflow(by: extent)
      guard extent >= 0, !overflow else { return nil }
      bits = product
    }
    return bits.isMultiple(of: 8) ? bits / 8 : nil
  }
}
