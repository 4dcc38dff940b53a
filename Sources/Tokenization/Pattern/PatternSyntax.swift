/// A regular expression as a tree.
indirect enum PatternSyntax: Sendable {
  /// One scalar of a set.
  case scalar(ScalarSet)
  /// One after the other.
  case sequence([PatternSyntax])
  /// The first that lets the rest match.
  case alternatives([PatternSyntax])
  /// Again and again; without a maximum, as often as it matches.
  case repetition(PatternSyntax, minimum: Int, maximum: Int?, PatternGreed)
  /// What must, or must not, follow; it takes no text.
  case lookahead(PatternSyntax, isNegative: Bool)
  /// A group that keeps the first way it matched.
  case atomic(PatternSyntax)
  /// A place in the text.
  case position(PatternPosition)

  /// Whether this can match without taking any text.
  var canBeEmpty: Bool {
    switch self {
    case .scalar: false
    case .sequence(let parts): parts.allSatisfy(\.canBeEmpty)
    case .alternatives(let choices): choices.contains(where: \.canBeEmpty)
    case .repetition(let body, let minimum, _, _): minimum == 0 || body.canBeEmpty
    case .lookahead, .position: true
    case .atomic(let body): body.canBeEmpty
    }
  }
}

/// How much a repetition takes first.
enum PatternGreed: Sendable {
  /// As much as possible, giving back when the rest does not match.
  case greedy
  /// As little as possible, taking more when the rest does not match.
  case lazy
  /// As much as possible, giving nothing back.
  case possessive
}

/// A place that takes no text.
enum PatternPosition: Sendable {
  /// `\A`
  case textStart
  /// `\z`
  case textEnd
  /// `^`: the start, and behind every line feed but a last one.
  case lineStart
  /// `$`: the end, and before every line feed.
  case lineEnd
}
