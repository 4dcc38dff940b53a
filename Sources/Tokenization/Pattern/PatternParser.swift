import Diagnostics

/// Reads a regular expression in the syntax of Oniguruma's Ruby mode, which is what `tokenizer.json` files are written
/// for: the part of it that splits text, without captures, references, look-behind and scripts.
struct PatternParser {
  private let scalars: [Unicode.Scalar]
  private let component: Component
  private var position = 0
  private var ignoresCase = false
  private var depth = 0

  /// Nesting beyond this is refused, so that a hostile file cannot exhaust the stack.
  private static let deepestNesting = 50

  /// Starts at the beginning of the expression; the component is named in failures.
  init(_ expression: String, in component: Component) {
    scalars = Array(expression.unicodeScalars)
    self.component = component
  }

  /// The whole expression as a tree.
  mutating func parse() throws(Failure) -> PatternSyntax {
    let syntax = try alternatives()
    guard position == scalars.count else { throw unsupported("an unmatched ')'") }
    return syntax
  }

  private mutating func alternatives() throws(Failure) -> PatternSyntax {
    try descend()
    defer { depth -= 1 }
    var choices = [try sequence()]
    while skip("|") { choices.append(try sequence()) }
    return choices.count == 1 ? choices[0] : .alternatives(choices)
  }

  private mutating func sequence() throws(Failure) -> PatternSyntax {
    var parts: [PatternSyntax] = []
    while let next = current, next != "|", next != ")" {
      let start = position
      parts.append(try quantified(try atom()))
      try refuseFoldingTogether(from: start)
    }
    return parts.count == 1 ? parts[0] : .sequence(parts)
  }

  // MARK: Atoms

  private mutating func atom() throws(Failure) -> PatternSyntax {
    let next = try advance()
    switch next {
    case "(": return try group()
    case "[": return .scalar(try classContents())
    case ".": return .scalar(ScalarSet("\n").complement)
    case "^": return .position(.lineStart)
    case "$": return .position(.lineEnd)
    case "*", "+", "?": throw unsupported("\"\(next)\" with nothing to repeat")
    case "\\":
      if skip("A") { return .position(.textStart) }
      if skip("z") { return .position(.textEnd) }
      if skip("w") { return .scalar(UnicodeProperties.wordOutsideClass) }
      if skip("W") { return .scalar(UnicodeProperties.wordOutsideClass.complement) }
      return .scalar(try escaped())
    default: return .scalar(try cased(next))
    }
  }

  private mutating func group() throws(Failure) -> PatternSyntax {
    var wrap: (PatternSyntax) -> PatternSyntax = { $0 }
    if skip("?") {
      switch try advance() {
      case ":": break
      case "=": wrap = { .lookahead($0, isNegative: false) }
      case "!": wrap = { .lookahead($0, isNegative: true) }
      case ">": wrap = { .atomic($0) }
      case "i": return try optionGroup(ignoringCase: true)
      case "-" where skip("i"): return try optionGroup(ignoringCase: false)
      default:
        position -= 1
        throw unsupported("the group \"(?\(scalars[position])\"")
      }
    }
    let body = try alternatives()
    guard skip(")") else { throw unsupported("a group without ')'") }
    return wrap(body)
  }

  /// `(?i:…)` and `(?i)`, which reaches to the end of the group around it, alternatives included.
  private mutating func optionGroup(ignoringCase: Bool) throws(Failure) -> PatternSyntax {
    let outerIgnoresCase = ignoresCase
    defer { ignoresCase = outerIgnoresCase }
    ignoresCase = ignoringCase
    let endsWithGroup = !skip(":")
    if endsWithGroup {
      guard skip(")") else { throw unsupported("an option other than \"i\"") }
    }
    let body = try alternatives()
    if !endsWithGroup {
      guard skip(")") else { throw unsupported("a group without ')'") }
    }
    return body
  }

  /// The set behind a backslash.
  private mutating func escaped() throws(Failure) -> ScalarSet {
    let name = try advance()
    switch name {
    case "s": return UnicodeProperties.whiteSpace
    case "S": return UnicodeProperties.whiteSpace.complement
    case "d": return UnicodeProperties.decimalDigits
    case "D": return UnicodeProperties.decimalDigits.complement
    case "w": return UnicodeProperties.word
    case "W": return UnicodeProperties.word.complement
    case "h": return Self.hexadecimalDigits
    case "H": return Self.hexadecimalDigits.complement
    case "p": return try property(isNegative: false)
    case "P": return try property(isNegative: true)
    default: return try cased(try escapedScalar(name))
    }
  }

  private static let hexadecimalDigits = ScalarSet([0x30...0x39, 0x41...0x46, 0x61...0x66])

  private mutating func escapedScalar(_ name: Unicode.Scalar) throws(Failure) -> Unicode.Scalar {
    switch name {
    case "n": return "\n"
    case "r": return "\r"
    case "t": return "\t"
    case "f": return "\u{0C}"
    case "v": return "\u{0B}"
    case "a": return "\u{07}"
    case "e": return "\u{1B}"
    case "u": return try hexadecimal(digits: 4...4)
    case "x":
      guard skip("{") else { return try hexadecimal(digits: 1...2) }
      let scalar = try hexadecimal(digits: 1...8)
      guard skip("}") else { throw unsupported("\"\\x{\" without \"}\"") }
      return scalar
    default:
      guard !name.properties.isAlphabetic, !("0"..."9").contains(name) else {
        throw unsupported("the escape \"\\\(name)\"")
      }
      return name
    }
  }

  private mutating func hexadecimal(digits: ClosedRange<Int>) throws(Failure) -> Unicode.Scalar {
    let start = position
    while position - start < digits.upperBound, current?.properties.isASCIIHexDigit == true { position += 1 }
    let spelling = String(String.UnicodeScalarView(scalars[start..<position]))
    // Two digits name a byte, not a scalar, from 80 on.
    let isByte = digits == 1...2
    guard position - start >= digits.lowerBound, let value = UInt32(spelling, radix: 16),
      let scalar = Unicode.Scalar(value), !isByte || value < 0x80
    else { throw unsupported("the scalar number \"\(spelling)\"") }
    return scalar
  }

  private mutating func property(isNegative: Bool) throws(Failure) -> ScalarSet {
    guard skip("{") else { throw unsupported("a property without \"{\"") }
    let isComplement = skip("^") != isNegative
    let start = position
    while let next = current, next != "}" { position += 1 }
    let name = String(String.UnicodeScalarView(scalars[start..<position]))
    guard skip("}"), let set = UnicodeProperties.category(named: name) else {
      throw unsupported("the property \"\(name)\"")
    }
    guard !ignoresCase else { throw unsupported("the property \"\(name)\" inside (?i)") }
    return isComplement ? set.complement : set
  }

  // MARK: Classes

  /// What stands behind "[", up to and with "]".
  private mutating func classContents() throws(Failure) -> ScalarSet {
    try descend()
    defer { depth -= 1 }
    let isComplement = skip("^")
    guard current != "]" else { throw unsupported("a class that begins with \"]\"") }
    var set = ScalarSet()
    while !skip("]") {
      if current == "&", peek(1) == "&" { throw unsupported("\"&&\" in a class") }
      if current == "[", peek(1) == ":" { throw unsupported("\"[:\" in a class") }
      set = set.union(try classMember())
    }
    return isComplement ? set.complement : set
  }

  private mutating func classMember() throws(Failure) -> ScalarSet {
    if skip("[") {
      guard !ignoresCase else { throw unsupported("an inner class inside (?i)") }
      let inner = try classContents()
      // Oniguruma loses its way when such a class stands in another.
      guard !inner.ranges.isEmpty, !inner.complement.ranges.isEmpty else {
        throw unsupported("an inner class of nothing")
      }
      return inner
    }
    let start = position
    let first = try advance()
    let single = first == "\\" ? try escaped() : try cased(first)
    guard current == "-", let end = peek(1), end != "]" else { return single }
    guard let lowest = literal(from: start, to: position) else {
      throw unsupported("a class range that begins with a set")
    }
    position += 1
    let highest = try rangeEnd()
    guard lowest <= highest else { throw unsupported("a class range that runs backwards") }
    return try cased(ScalarSet(lowest, through: highest))
  }

  private mutating func rangeEnd() throws(Failure) -> Unicode.Scalar {
    let start = position
    let next = try advance()
    if next == "\\" { _ = try escaped() }
    guard next != "[", let scalar = literal(from: start, to: position) else {
      throw unsupported("a class range that ends with a set")
    }
    return scalar
  }

  /// The scalar that a stretch of the expression spells, nil when it stands for a set.
  private func literal(from start: Int, to end: Int) -> Unicode.Scalar? {
    guard scalars[start] == "\\" else { return scalars[start] }
    var parser = self
    parser.position = start + 2
    return "sSdDwWhHpP".unicodeScalars.contains(scalars[start + 1])
      ? nil : try? parser.escapedScalar(scalars[start + 1])
  }

  // MARK: Case

  private func cased(_ scalar: Unicode.Scalar) throws(Failure) -> ScalarSet { try cased(ScalarSet(scalar)) }

  /// Adds the other cases of a set's letters where case is ignored.
  private func cased(_ set: ScalarSet) throws(Failure) -> ScalarSet {
    guard ignoresCase else { return set }
    var cases = set
    for letter in UInt32(0x61)...0x7A {
      let both = [letter, letter - 0x20]
      if both.contains(where: { value in set.ranges.contains { $0.contains(value) } }) {
        cases = cases.union(ScalarSet(both.map { $0...$0 } + (Self.distantCases[letter] ?? [])))
      }
    }
    let distant = set.ranges.contains { range in
      range.upperBound > 0x7F
        && range.contains { value in value > 0x7F && Unicode.Scalar(value).map(Self.hasCases) == true }
    }
    guard !distant else { throw unsupported("a letter beyond ASCII inside (?i)") }
    return cases
  }

  private static func hasCases(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.isCased || scalar.properties.changesWhenCaseMapped || scalar.properties.changesWhenCaseFolded
  }

  /// The long s and the Kelvin sign are the only letters beyond ASCII that differ from an ASCII letter by case alone.
  private static let distantCases: [UInt32: [ClosedRange<UInt32>]] = [0x73: [0x17F...0x17F], 0x6B: [0x212A...0x212A]]

  /// Refuses two letters that Oniguruma would also match against one ligature or sharp s.
  private func refuseFoldingTogether(from start: Int) throws(Failure) {
    guard ignoresCase, start > 0, position - start == 1 else { return }
    let pair = String(String.UnicodeScalarView([scalars[start - 1], scalars[start]])).lowercased()
    guard !["ss", "st", "ff", "fi", "fl"].contains(pair) else { throw unsupported("\"\(pair)\" inside (?i)") }
  }

  // MARK: Quantifiers

  private mutating func quantified(_ body: PatternSyntax) throws(Failure) -> PatternSyntax {
    guard let (minimum, maximum, isInterval) = try quantifier() else { return body }
    try refuseRepeating(body, maximum)
    if isInterval, skip("+") {
      // Behind an interval "+" is no possessive mark here but a quantifier of its own.
      let inner = PatternSyntax.repetition(body, minimum: minimum, maximum: maximum, .greedy)
      try refuseRepeating(inner, nil)
      return .repetition(inner, minimum: 1, maximum: nil, .greedy)
    }
    var greed = PatternGreed.greedy
    if skip("?") { greed = .lazy } else if skip("+") { greed = .possessive }
    guard !isInterval || minimum != maximum || greed == .greedy else {
      throw unsupported("\"?\" behind an exact interval")
    }
    let start = position
    guard try quantifier() == nil else {
      position = start
      throw unsupported("a quantifier behind a quantifier")
    }
    return .repetition(body, minimum: minimum, maximum: maximum, greed)
  }

  private func refuseRepeating(_ body: PatternSyntax, _ maximum: Int?) throws(Failure) {
    switch body {
    case .lookahead, .position: throw unsupported("the repetition of a place")
    default: break
    }
    let repeatsEmpty = body.canBeEmpty && maximum != 1
    guard !repeatsEmpty else { throw unsupported("the repetition of what can be empty") }
  }

  private mutating func quantifier() throws(Failure) -> (minimum: Int, maximum: Int?, isInterval: Bool)? {
    if skip("*") { return (0, nil, false) }
    if skip("+") { return (1, nil, false) }
    if skip("?") { return (0, 1, false) }
    return try interval()
  }

  /// `{2}`, `{1,}`, `{1,3}` and `{,3}`; any other "{" stands for itself.
  private mutating func interval() throws(Failure) -> (minimum: Int, maximum: Int?, isInterval: Bool)? {
    let start = position
    guard skip("{") else { return nil }
    let minimum = number()
    let hasComma = skip(",")
    let maximum = hasComma ? number() : minimum
    guard skip("}"), minimum != nil || maximum != nil else {
      position = start
      return nil
    }
    guard (minimum ?? 0) <= (maximum ?? .max), max(minimum ?? 0, maximum ?? 0) <= Self.mostRepetitions else {
      throw unsupported("an interval that runs backwards or beyond \(Self.mostRepetitions)")
    }
    return (minimum ?? 0, maximum, true)
  }

  private static let mostRepetitions = 1000

  private mutating func number() -> Int? {
    let start = position
    while let next = current, ("0"..."9").contains(next) { position += 1 }
    return Int(String(String.UnicodeScalarView(scalars[start..<position])))
  }

  // MARK: Reading

  private mutating func descend() throws(Failure) {
    depth += 1
    guard depth <= Self.deepestNesting else { throw unsupported("more than \(Self.deepestNesting) nested groups") }
  }

  private var current: Unicode.Scalar? { peek(0) }

  private func peek(_ distance: Int) -> Unicode.Scalar? {
    position + distance < scalars.count ? scalars[position + distance] : nil
  }

  private mutating func skip(_ scalar: Unicode.Scalar) -> Bool {
    guard current == scalar else { return false }
    position += 1
    return true
  }

  private mutating func advance() throws(Failure) -> Unicode.Scalar {
    guard let next = current else { throw unsupported("an expression that breaks off") }
    position += 1
    return next
  }

  private func unsupported(_ construct: String) -> Failure {
    component.unsupported(
      "\(construct) at character \(position)",
      known: "a regular expression of literals, classes, general categories, groups, look-ahead and quantifiers")
  }
}
