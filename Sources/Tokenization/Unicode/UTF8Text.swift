/// Reading valid UTF-8 scalar by scalar; texts are byte arrays here because `String` compares by canonical equivalence.
enum UTF8Text {
  /// The scalar that begins at an offset, and how many bytes it takes.
  @inline(__always)
  static func scalar(in text: [UInt8], at offset: Int) -> (value: UInt32, length: Int) {
    let lead = UInt32(text[offset])
    if lead < 0x80 { return (lead, 1) }
    let second = UInt32(text[offset + 1]) & 0x3F
    if lead < 0xE0 { return ((lead & 0x1F) << 6 | second, 2) }
    let third = UInt32(text[offset + 2]) & 0x3F
    if lead < 0xF0 { return ((lead & 0x0F) << 12 | second << 6 | third, 3) }
    let fourth = UInt32(text[offset + 3]) & 0x3F
    return ((lead & 0x07) << 18 | second << 12 | third << 6 | fourth, 4)
  }

  /// How many bytes the scalar takes that begins with a byte.
  @inline(__always)
  static func length(startingWith lead: UInt8) -> Int {
    lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
  }

  /// Where the scalar begins that ends before an offset.
  @inline(__always)
  static func start(in text: [UInt8], before offset: Int) -> Int {
    var start = offset - 1
    while text[start] & 0xC0 == 0x80 { start -= 1 }
    return start
  }

  /// Appends one scalar.
  @inline(__always)
  static func append(_ value: UInt32, to text: inout [UInt8]) {
    if value < 0x80 {
      text.append(UInt8(value))
    } else if value < 0x800 {
      text.append(UInt8(0xC0 | value >> 6))
      text.append(UInt8(0x80 | value & 0x3F))
    } else if value < 0x10000 {
      text.append(UInt8(0xE0 | value >> 12))
      text.append(UInt8(0x80 | value >> 6 & 0x3F))
      text.append(UInt8(0x80 | value & 0x3F))
    } else {
      text.append(UInt8(0xF0 | value >> 18))
      text.append(UInt8(0x80 | value >> 12 & 0x3F))
      text.append(UInt8(0x80 | value >> 6 & 0x3F))
      text.append(UInt8(0x80 | value & 0x3F))
    }
  }
}
