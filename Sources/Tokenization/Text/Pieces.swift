import Diagnostics

/// A text on its way to being encoded: stretches of one buffer, none of them empty.
struct Pieces {
  /// One stretch.
  struct Piece {
    /// Its place in the buffer.
    var range: Range<Int>
    /// Whether it begins the text that was given to the tokenizer.
    var isFirst: Bool
  }

  /// The UTF-8 that the pieces lie in.
  private(set) var text: [UInt8]
  /// The stretches, in order.
  private(set) var pieces: [Piece]

  /// One piece of a whole text.
  init(_ text: [UInt8], isFirst: Bool) {
    self.text = text
    pieces = text.isEmpty ? [] : [Piece(range: 0..<text.count, isFirst: isFirst)]
  }

  /// Cuts every piece by a pattern.
  mutating func split(_ pattern: Pattern, _ behavior: SplitBehavior, isInverted: Bool) throws(Failure) {
    var split: [Piece] = []
    split.reserveCapacity(text.count / 4)
    for piece in pieces {
      func append(_ range: Range<Int>) {
        guard !range.isEmpty else { return }
        split.append(Piece(range: range, isFirst: piece.isFirst && range.lowerBound == piece.range.lowerBound))
      }
      if behavior == .isolated {
        try pattern.cut(text, in: piece.range) { range, _ in append(range) }
      } else {
        var parts: [(range: Range<Int>, isMatch: Bool)] = []
        try pattern.cut(text, in: piece.range) { range, isMatch in parts.append((range, isMatch != isInverted)) }
        for range in behavior.pieces(of: parts) { append(range) }
      }
    }
    pieces = split
  }

  /// Puts a prefix in front of every piece, or the first, that lacks it.
  mutating func prefix(_ prefix: [UInt8], onlyFirst: Bool) {
    let text = text
    func lacksPrefix(_ piece: Piece) -> Bool {
      (piece.isFirst || !onlyFirst) && !text[piece.range].starts(with: prefix)
    }
    guard pieces.contains(where: lacksPrefix) else { return }
    rewrite { text, piece, written in
      if lacksPrefix(piece) { written += prefix }
      written += text[piece.range]
    }
  }

  /// Puts a mark in the place of every space.
  mutating func replaceSpaces(with mark: [UInt8]) {
    rewrite { text, piece, written in
      for byte in text[piece.range] {
        if byte == UInt8(ascii: " ") { written += mark } else { written.append(byte) }
      }
    }
  }

  /// Writes every piece anew.
  mutating func rewrite(_ write: (_ text: [UInt8], _ piece: Piece, _ written: inout [UInt8]) -> Void) {
    var written: [UInt8] = []
    written.reserveCapacity(text.count + text.count / 4)
    for index in pieces.indices {
      let start = written.count
      write(text, pieces[index], &written)
      pieces[index].range = start..<written.count
    }
    text = written
  }
}
