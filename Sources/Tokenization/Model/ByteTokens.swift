/// The tokens `<0x00>` … `<0xFF>`, in which a model writes what its vocabulary lacks.
struct ByteTokens: Sendable {
  private let identifiers: [Int32?]

  /// Looks them up.
  init(in vocabulary: Vocabulary) {
    identifiers = (0...255).map { byte in
      let digits = String(byte, radix: 16, uppercase: true)
      return vocabulary.identifier(of: digits.count == 1 ? "<0x0\(digits)>" : "<0x\(digits)>")
    }
  }

  /// Appends the tokens of some bytes, if there is one for each; says whether there was.
  func append(_ text: [UInt8], _ range: Range<Int>, to tokens: inout [Int32]) -> Bool {
    let count = tokens.count
    for offset in range {
      guard let token = identifiers[Int(text[offset])] else {
        tokens.removeSubrange(count...)
        return false
      }
      tokens.append(token)
    }
    return true
  }
}
