import Diagnostics

/// A compiled regular expression over UTF-8.
///
/// It matches as Oniguruma does: leftmost, and of alternatives the first that works. Scalars are compared, never grapheme
/// clusters.
struct Pattern: Sendable {
  /// What it was made from, and the file that holds it, for the error.
  private let source: String
  private let subject: String
  private let instructions: [PatternInstruction]
  private let table: ScalarTable

  /// Compiles a regular expression.
  ///
  /// - Throws: `Failure` that names the first construct that is not supported.
  init(expression: String, in component: Component) throws(Failure) {
    var parser = PatternParser(expression, in: component)
    try self.init(try parser.parse(), named: "expression \(expression)", in: component)
  }

  /// A pattern for a text that is meant literally.
  init(literal: String, in component: Component) throws(Failure) {
    let scalars = literal.unicodeScalars.map { PatternSyntax.scalar(ScalarSet($0)) }
    try self.init(.sequence(scalars), named: "text \(literal)", in: component)
  }

  /// A pattern for single scalars of a set.
  init(_ set: ScalarSet, named name: String, in component: Component) throws(Failure) {
    try self.init(.scalar(set), named: name, in: component)
  }

  /// A pattern for a tree that was built here; the name says in an error what it is for.
  init(_ syntax: PatternSyntax, named source: String, in component: Component) throws(Failure) {
    let compiler = try PatternCompiler(syntax, in: component)
    self.source = source
    subject = component.subject
    instructions = compiler.instructions
    table = ScalarTable(compiler.sets)
  }

  /// Cuts a stretch of text into matches and what lies between them; the stretch is a text of its own for the pattern.
  ///
  /// - Parameters:
  ///   - text: Valid UTF-8.
  ///   - range: The stretch, on scalar boundaries.
  ///   - body: Called from left to right for every part, the gaps being never empty.
  /// - Throws: `Failure` when the search takes more steps than a fixed multiple of the stretch's length.
  func cut(
    _ text: [UInt8], in range: Range<Int>, _ body: (_ part: Range<Int>, _ isMatch: Bool) -> Void
  ) throws(Failure) {
    var matcher = PatternMatcher(
      instructions: instructions, table: table, text: text, bounds: range, stepsLeft: Self.steps(for: range.count))
    var gapStart = range.lowerBound
    var searchStart = range.lowerBound
    var previousEnd: Int?
    while searchStart <= range.upperBound, let match = try firstMatch(from: searchStart, &matcher) {
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

  /// How many steps a search through so many bytes may take.
  ///
  /// The patterns of published tokenizers take fewer than 30 a
  /// byte; nested repetitions that never match take a power of the length.
  private static func steps(for count: Int) -> Int { 10_000 + 500 * count }

  private func firstMatch(from start: Int, _ matcher: inout PatternMatcher) throws(Failure) -> Range<Int>? {
    let match = matcher.firstMatch(from: start)
    guard matcher.stepsLeft >= 0 else {
      let count = matcher.bounds.count
      throw Failure(
        .badData, operation: "match the \(source)", subject: subject,
        expected: "at most \(Self.steps(for: count)) steps for \(count) bytes of text", got: "more",
        advice: "The pattern repeats what repeats already; write it without nested repetitions.")
    }
    return match
  }
}
