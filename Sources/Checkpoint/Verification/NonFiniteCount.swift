/// How many numbers in some bytes are NaN or infinite.
///
/// - Parameters:
///   - bytes: Whole elements.
///   - type: Their type; integers, and types without such numbers, have none.
/// - Returns: The number of such elements.
func nonFiniteCount(in bytes: RawSpan, of type: StoredType) -> Int {
  switch type {
  case .float64: count(in: bytes, allOf: 0x7FF0_0000_0000_0000 as UInt64)
  case .float32, .complex64: count(in: bytes, allOf: 0x7F80_0000 as UInt32)
  case .bfloat16: count(in: bytes, allOf: 0x7F80 as UInt16)
  case .float16: count(in: bytes, allOf: 0x7C00 as UInt16)
  case .float8E5M2: count(in: bytes, allOf: 0x7C as UInt8)
  case .float8E4M3: count(in: bytes, allOf: 0x7F as UInt8)
  default: 0
  }
}

/// The number of elements in which all bits of a mask are set: those of the exponent in an IEEE format.
private func count<Bits: FixedWidthInteger & UnsignedInteger>(in bytes: RawSpan, allOf mask: Bits) -> Int {
  bytes.withUnsafeBytes { buffer in
    let elements = buffer.bindMemory(to: Bits.self)
    // Sums as wide as the elements keep the loop in vectors; a block is as long as the narrowest can count.
    let block = 128
    var total = 0
    for start in stride(from: 0, to: elements.count, by: block) {
      var sum: Bits = 0
      for index in start..<min(start + block, elements.count) { sum &+= elements[index] & mask == mask ? 1 : 0 }
      total += Int(sum)
    }
    return total
  }
}
