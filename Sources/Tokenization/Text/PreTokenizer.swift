import Diagnostics

/// How text is cut into the pieces that are encoded one by one: the `pre_tokenizer` of a `tokenizer.json`.
///
/// Its components are combinations of four steps, so that is what they are translated to.
struct PreTokenizer: Sendable {
  /// One pass over all pieces.
  enum Step: Sendable {
    /// Cuts every piece by a pattern; inverted, what lies between the matches counts as the matches.
    case split(Pattern, SplitBehavior, isInverted: Bool)
    /// Puts a text in front of the pieces that do not begin with it, or only of the one that begins the text.
    case prefix([UInt8], onlyFirst: Bool)
    /// Replaces every space.
    case replaceSpaces(with: [UInt8])
    /// Writes every byte in the byte alphabet.
    case byteLevel
  }

  /// The steps, in order.
  let steps: [Step]

  /// The cut of GPT-2, which `ByteLevel` makes unless told otherwise.
  private static let wordExpression = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

  /// Reads the component; nil stands for a missing one, which leaves the text in one piece.
  init(_ component: Component?) throws(Failure) {
    guard let component else {
      steps = []
      return
    }
    steps = try Self.steps(of: component)
  }

  /// Whether a step asks which piece begins the text.
  var marksBeginning: Bool { beginningStep != nil }

  /// Whether text is added before a step asks which piece begins it.
  var addsBeforeMarkingBeginning: Bool {
    steps[..<(beginningStep ?? 0)].contains { step in
      switch step {
      case .prefix, .byteLevel: true
      case .split, .replaceSpaces: false
      }
    }
  }

  private var beginningStep: Int? {
    steps.lastIndex { step in
      if case .prefix(_, onlyFirst: true) = step { true } else { false }
    }
  }

  private static func steps(of component: Component) throws(Failure) -> [Step] {
    let type = try component.type
    switch type {
    case "Sequence":
      var steps: [Step] = []
      for element in try component.member("pretokenizers").elements { steps += try Self.steps(of: element) }
      return steps
    case "ByteLevel": return try byteLevel(component)
    case "Metaspace": return try metaspace(component)
    case "Split":
      let pattern = try Pattern(try component.member("pattern"))
      return [
        .split(pattern, try behavior(component), isInverted: try component.member("invert").bool)
      ]
    case "Digits":
      let pattern = try Pattern(UnicodeProperties.numbers, named: "numbers", in: component)
      let areIndividual = try component.member("individual_digits").bool
      return [.split(pattern, areIndividual ? .isolated : .contiguous, isInverted: false)]
    case "Punctuation":
      let pattern = try Pattern(UnicodeProperties.punctuation, named: "punctuation", in: component)
      let behavior = component.optional("behavior") == nil ? .isolated : try behavior(component)
      return [.split(pattern, behavior, isInverted: false)]
    case "Whitespace":
      return [.split(try wordsOrSymbols(component), .removed, isInverted: true)]
    case "WhitespaceSplit": return [try whiteSpace(component)]
    case "CharDelimiterSplit":
      let pattern = try Pattern(literal: try component.member("delimiter").string, in: component)
      return [.split(pattern, .removed, isInverted: false)]
    case "BertPreTokenizer":
      let pattern = try Pattern(UnicodeProperties.punctuation, named: "punctuation", in: component)
      return [try whiteSpace(component), .split(pattern, .isolated, isInverted: false)]
    default:
      throw component.unsupported(
        "the pre-tokenizer \"\(type)\"",
        known:
          "one of ByteLevel, Split, Metaspace, Digits, Punctuation, Whitespace, WhitespaceSplit, CharDelimiterSplit, "
          + "BertPreTokenizer, Sequence")
    }
  }

  /// Drops white space.
  private static func whiteSpace(_ component: Component) throws(Failure) -> Step {
    .split(try Pattern(UnicodeProperties.whiteSpace, named: "white space", in: component), .removed, isInverted: false)
  }

  /// `\w+|[^\w\s]+`, in the meaning that the words of added tokens have.
  private static func wordsOrSymbols(_ component: Component) throws(Failure) -> Pattern {
    let word = UnicodeProperties.wordWithJoiners
    let symbol = word.union(UnicodeProperties.whiteSpace).complement
    let runs = [word, symbol].map { PatternSyntax.repetition(.scalar($0), minimum: 1, maximum: nil, .greedy) }
    return try Pattern(.alternatives(runs), named: "words", in: component)
  }

  private static func behavior(_ component: Component) throws(Failure) -> SplitBehavior {
    let member = try component.member("behavior")
    guard let behavior = SplitBehavior(rawValue: try member.string) else {
      throw member.failure(expected: "a split behavior", got: try member.string)
    }
    return behavior
  }

  private static func byteLevel(_ component: Component) throws(Failure) -> [Step] {
    var steps: [Step] = []
    if try component.member("add_prefix_space").bool { steps.append(.prefix([UInt8(ascii: " ")], onlyFirst: false)) }
    if try component.flag("use_regex", default: true) {
      let pattern = try Pattern(expression: wordExpression, in: component)
      steps.append(.split(pattern, .isolated, isInverted: false))
    }
    return steps + [.byteLevel]
  }

  private static func metaspace(_ component: Component) throws(Failure) -> [Step] {
    let replacement = try component.member("replacement")
    guard try replacement.string.unicodeScalars.count == 1 else {
      throw replacement.failure(expected: "one character", got: replacement.value.compact)
    }
    let mark = try replacement.bytes
    var steps = [Step.replaceSpaces(with: mark)]
    switch try prependScheme(component) {
    case "always": steps.append(.prefix(mark, onlyFirst: false))
    case "first": steps.append(.prefix(mark, onlyFirst: true))
    case "never": break
    case let scheme: throw component.failure(expected: "the scheme always, first or never", got: scheme)
    }
    if try component.flag("split", default: true) {
      let pattern = try Pattern(literal: try replacement.string, in: component)
      steps.append(.split(pattern, .mergedWithNext, isInverted: false))
    }
    return steps
  }

  /// Older files say `add_prefix_space` instead, which may only repeat what a scheme says.
  private static func prependScheme(_ component: Component) throws(Failure) -> String {
    let scheme = try component.optional("prepend_scheme")?.string
    if try component.flag("add_prefix_space", default: true) { return scheme ?? "always" }
    guard scheme == nil || scheme == "never" else {
      throw component.failure(expected: "a scheme that agrees with add_prefix_space", got: scheme ?? "none")
    }
    return "never"
  }

  /// Cuts a text into pieces, which replace it.
  func split(_ pieces: inout Pieces) throws(Failure) {
    for step in steps {
      switch step {
      case .split(let pattern, let behavior, let isInverted):
        try pieces.split(pattern, behavior, isInverted: isInverted)
      case .prefix(let prefix, let onlyFirst): pieces.prefix(prefix, onlyFirst: onlyFirst)
      case .replaceSpaces(let mark): pieces.replaceSpaces(with: mark)
      case .byteLevel: pieces.rewrite { text, piece, written in ByteAlphabet.append(text, piece.range, to: &written) }
      }
    }
  }
}
