/// What becomes of the matches when text is cut by a pattern.
enum SplitBehavior: String, Sendable {
  /// They are dropped.
  case removed = "Removed"
  /// Each is a piece.
  case isolated = "Isolated"
  /// Each is added to the piece before it.
  case mergedWithPrevious = "MergedWithPrevious"
  /// Each is added to the piece behind it.
  case mergedWithNext = "MergedWithNext"
  /// Neighbouring ones are one piece.
  case contiguous = "Contiguous"

  /// The pieces that the parts of a text, as a pattern cut them, are joined to.
  func pieces(of parts: [(range: Range<Int>, isMatch: Bool)]) -> [Range<Int>] {
    switch self {
    case .removed: parts.filter { !$0.isMatch }.map(\.range)
    case .isolated: parts.map(\.range)
    case .mergedWithPrevious: joined(parts) { isMatch, previousIsMatch in isMatch && !previousIsMatch }
    case .contiguous: joined(parts) { $0 == $1 }
    case .mergedWithNext: joined(parts.reversed()) { $0 && !$1 }.reversed()
    }
  }

  /// Joins each part, in the order given, to the one before where the rule says so.
  private func joined(
    _ parts: [(range: Range<Int>, isMatch: Bool)], _ joins: (_ isMatch: Bool, _ previousIsMatch: Bool) -> Bool
  ) -> [Range<Int>] {
    var pieces: [Range<Int>] = []
    var previousIsMatch = false
    for (range, isMatch) in parts {
      if let last = pieces.last, joins(isMatch, previousIsMatch) {
        pieces[pieces.count - 1] = min(last.lowerBound, range.lowerBound)..<max(last.upperBound, range.upperBound)
      } else {
        pieces.append(range)
      }
      previousIsMatch = isMatch
    }
    return pieces
  }
}
