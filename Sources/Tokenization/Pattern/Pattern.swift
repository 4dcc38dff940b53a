import Diagnostics

/// A compiled regular expression over UTF-8.
///
/// It matches as Oniguruma does: leftmost, and of alternatives the first that works. Scalars are compared, never grapheme
/// clusters.
struct Pattern: Sendable {
  /// What it was made from, which decides whether two patterns are the same.
  let source: String
  private let instructions: [PatternInstruction]
  private let table: ScalarTable

  /// Compiles a regular expression.
  ///
  /// - Throws: `Failure` that names the first construct that is not supported.
  init(expression: String, in component: Component) throws(Failure) {
    var parser = PatternParser(expression, in: component)
    try self.init(try parser.parse(), source: "expression \(expression)", in: component)
  }

  /// A pattern for a text that is meant literally.
  init(literal: String, in component: Component) throws(Failure) {
    let scalars = literal.unicodeScalars.map { PatternSyntax.scalar(ScalarSet($0)) }
    try self.init(.sequence(scalars), source: "text \(literal)", in: component)
  }

  /// A pattern for single scalars of a set.
  init(_ set: ScalarSet, named name: String, in component: Component) throws(Failure) {
    try self.init(.scalar(set), source: name, in: component)
  }

  private init(_ syntax: PatternSyntax, source: String, in component: Component) throws(Failure) {
    let compiler = try PatternCompiler(syntax, in: component)
    self.source = source
    instructions = compiler.instructions
    table = ScalarTable(compiler.sets)
  }

  /// Cuts a stretch of text into matches and what lies between them; the stretch is a text of its own for the pattern.
  ///
  /// - Parameters:
  ///   - text: Valid UTF-8.
  ///   - range: The stretch, on scalar boundaries.
  ///   - body: Called from left to right for every part, the gaps being never empty.
  func cut(_ text: [UInt8], in range: Range<Int>, _ body: (_ part: Range<Int>, _ isMatch: Bool) -> Void) {
    var matcher = PatternMatcher(instructions: instructions, table: table, text: text, bounds: range)
    var gapStart = range.lowerBound
    var searchStart = range.lowerBound
    var previousEnd: Int?
    while searchStart <= range.upperBound, let match = matcher.firstMatch(from: searchStart) {
      if match.isEmpty, match.upperBound == previousEnd {
        // An empty match right behind a match is none; look again one scalar further.
        searchStart = match.upperBound
        searchStart += searchStart < range.upperBound ? UTF8Text.length(startingWith: text[searchStart]) : 1
        continue
      }
      if gapStart < match.lowerBound { body(gapStart..<match.lowerBound, false) }
      body(match, true)
      gapStart = match.upperBound
      searchStart = match.upperBound
      previousEnd = match.upperBound
    }
    if gapStart < range.upperBound { body(gapStart..<range.upperBound, false) }
  }
}

extension Pattern: Equatable {
  /// Patterns of the same source are the same; the source is compared scalar by scalar.
  static func == (left: Pattern, right: Pattern) -> Bool { left.source.utf8.elementsEqual(right.source.utf8) }
}
