/// The alphabet that byte-level tokenizers write bytes in: one printable scalar for each of the 256 bytes.
///
/// Bytes that are printable in Latin-1 stand for themselves; the others take the scalars from U+0100 on, in order.
enum ByteAlphabet {
  /// The scalar of each byte, as UTF-8.
  private static let letters: [[UInt8]] = {
    var nextScalar: UInt32 = 0x100
    return (UInt32(0)...255).map { byte in
      var scalar = byte
      let isPrintable = (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
      if !isPrintable {
        scalar = nextScalar
        nextScalar += 1
      }
      var letter: [UInt8] = []
      UTF8Text.append(scalar, to: &letter)
      return letter
    }
  }()

  /// Writes a stretch of text, byte for byte, in the alphabet.
  static func append(_ text: [UInt8], _ range: Range<Int>, to written: inout [UInt8]) {
    for offset in range { written.append(contentsOf: letters[Int(text[offset])]) }
  }
}
