import Diagnostics

/// What is done to text before it is cut up: the `normalizer` of a `tokenizer.json`, as a list of steps.
struct Normalizer: Sendable {
  /// One change of the whole text.
  enum Step: Sendable {
    /// A normal form of Unicode.
    case form(NormalForm)
    /// A text put in front of every text that is not empty.
    case prepend([UInt8])
    /// Every match replaced by a text.
    case replace(Pattern, with: [UInt8], isOneForOne: Bool)
    /// Every scalar of a set left out, replaced or set apart.
    case rewrite(ScalarTable, Rewriting)
    /// Every scalar in lower case, whatever stands around it.
    case lowercase
    /// White space taken off the ends.
    case strip(left: Bool, right: Bool)
    /// Every byte written in the byte alphabet.
    case byteLevel
    /// What a map of SentencePiece says.
    case map(CharacterMap)
  }

  /// What becomes of the scalars of a set.
  enum Rewriting: Sendable {
    /// They are left out.
    case removed
    /// Each becomes a space.
    case spaces
    /// Each gets a space on either side.
    case spaced
  }

  /// The steps, in order.
  let steps: [Step]

  /// Reads the component; nil stands for a missing one, which changes nothing.
  init(_ component: Component?) throws(Failure) {
    guard let component else {
      steps = []
      return
    }
    steps = try Self.steps(of: component)
  }

  private static func steps(of component: Component) throws(Failure) -> [Step] {
    let type = try component.type
    switch type {
    case "Sequence":
      var steps: [Step] = []
      for element in try component.member("normalizers").elements { steps += try Self.steps(of: element) }
      return steps
    case "NFC", "NFD", "NFKC", "NFKD": return NormalForm(rawValue: type).map { [.form($0)] } ?? []
    case "Prepend": return [.prepend(try component.member("prepend").bytes)]
    case "Replace": return [try replacement(component)]
    case "Lowercase": return [.lowercase]
    case "Strip":
      return [.strip(left: try component.member("strip_left").bool, right: try component.member("strip_right").bool)]
    case "StripAccents": return [.rewrite(marks, .removed)]
    case "BertNormalizer": return try bert(component)
    case "Nmt": return [.rewrite(translationControl, .removed), .rewrite(translationSpace, .spaces)]
    case "Precompiled": return [.map(try CharacterMap(try component.member("precompiled_charsmap")))]
    case "ByteLevel": return [.byteLevel]
    default:
      throw component.unsupported(
        "the normalizer \"\(type)\"",
        known: "one of NFC, NFD, NFKC, NFKD, Prepend, Replace, Lowercase, Strip, StripAccents, BertNormalizer, Nmt, "
          + "Precompiled, ByteLevel, Sequence")
    }
  }

  private static func replacement(_ component: Component) throws(Failure) -> Step {
    let content = try component.member("content").bytes
    let pattern = try component.member("pattern")
    let isOneForOne = pattern.value["String"]?.string?.unicodeScalars.count == 1 && !content.isEmpty
    return .replace(try Pattern(pattern), with: content, isOneForOne: isOneForOne)
  }

  /// Accents are taken off where that is asked for, else where letters become small.
  private static func bert(_ component: Component) throws(Failure) -> [Step] {
    let lowercases = try component.member("lowercase").bool
    var steps: [Step] = []
    if try component.member("clean_text").bool {
      steps += [.rewrite(control, .removed), .rewrite(whiteSpace, .spaces)]
    }
    if try component.member("handle_chinese_chars").bool { steps.append(.rewrite(ideographs, .spaced)) }
    if try component.flag("strip_accents", default: lowercases) {
      steps += [.form(.decomposed), .rewrite(accents, .removed)]
    }
    return lowercases ? steps + [.lowercase] : steps
  }

  private static let control = ScalarTable([UnicodeProperties.control])
  private static let whiteSpace = ScalarTable([UnicodeProperties.whiteSpace])
  private static let ideographs = ScalarTable([UnicodeProperties.ideographs])
  private static let accents = ScalarTable([UnicodeProperties.accents])
  private static let marks = ScalarTable([UnicodeProperties.marks])

  /// What `Nmt` leaves out and what it takes for a space, after the normalizer of Google's translation models.
  private static let translationControl = ScalarTable([
    ScalarSet([0x01...0x08, 0x0B...0x0B, 0x0E...0x1F, 0x7F...0x7F, 0x8F...0x8F, 0x9F...0x9F])
  ])
  private static let translationSpace = ScalarTable([
    ScalarSet([
      0x09...0x0A, 0x0C...0x0D, 0x1680...0x1680, 0x200B...0x200F, 0x2028...0x2029, 0x2581...0x2581, 0xFEFF...0xFEFF,
      0xFFFD...0xFFFD,
    ])
  ])

  /// Whether a changed text begins where the text before began, and nowhere else seems to.
  var keepsBeginning: Bool {
    steps.allSatisfy { step in
      switch step {
      case .form(.composed), .map: true
      case .replace(_, _, let isOneForOne): isOneForOne
      default: false
      }
    }
  }

  /// The text after all steps.
  ///
  /// - Throws: `Failure` when a pattern takes too many steps.
  func normalize(_ text: [UInt8]) throws(Failure) -> [UInt8] {
    var text = text
    for step in steps { text = try Self.apply(step, to: text) }
    return text
  }

  private static func apply(_ step: Step, to text: [UInt8]) throws(Failure) -> [UInt8] {
    switch step {
    case .form(let form): return form.normalize(text)
    case .prepend(let prefix): return text.isEmpty ? text : prefix + text
    case .replace(let pattern, let content, _):
      var replaced: [UInt8] = []
      replaced.reserveCapacity(text.count)
      // The pattern never sees an empty text, in which it might match nothing and put the content there.
      guard !text.isEmpty else { return text }
      try pattern.cut(text, in: 0..<text.count) { part, isMatch in
        if isMatch { replaced += content } else { replaced += text[part] }
      }
      return replaced
    case .rewrite(let set, let rewriting): return rewritten(text, set, rewriting)
    case .lowercase: return lowercased(text)
    case .strip(let left, let right): return stripped(text, left: left, right: right)
    case .byteLevel:
      var written: [UInt8] = []
      ByteAlphabet.append(text, 0..<text.count, to: &written)
      return written
    case .map(let map): return map.apply(to: text)
    }
  }

  private static func rewritten(_ text: [UInt8], _ set: ScalarTable, _ rewriting: Rewriting) -> [UInt8] {
    let space = UInt8(ascii: " ")
    var rewritten: [UInt8] = []
    rewritten.reserveCapacity(text.count)
    var offset = 0
    while offset < text.count {
      let (scalar, length) = UTF8Text.scalar(in: text, at: offset)
      let bytes = text[offset..<offset + length]
      offset += length
      guard set.contains(scalar, inSet: 0) else {
        rewritten += bytes
        continue
      }
      switch rewriting {
      case .removed: break
      case .spaces: rewritten.append(space)
      case .spaced: rewritten += [space] + bytes + [space]
      }
    }
    return rewritten
  }

  private static func lowercased(_ text: [UInt8]) -> [UInt8] {
    var lowercased: [UInt8] = []
    lowercased.reserveCapacity(text.count)
    for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
      lowercased += scalar.properties.lowercaseMapping.utf8
    }
    return lowercased
  }

  private static func stripped(_ text: [UInt8], left: Bool, right: Bool) -> [UInt8] {
    var scalars = String(decoding: text, as: UTF8.self).unicodeScalars[...]
    if left { scalars = scalars.drop(while: \.properties.isWhitespace) }
    while right, scalars.last?.properties.isWhitespace == true { scalars.removeLast() }
    return Array(String(scalars).utf8)
  }
}

extension Pattern {
  /// Reads the `pattern` of a component: `{"String": …}` or `{"Regex": …}`.
  init(_ component: Component) throws(Failure) {
    if let literal = component.optional("String") {
      try self.init(literal: try literal.string, in: component)
    } else if let expression = component.optional("Regex") {
      try self.init(expression: try expression.string, in: component)
    } else {
      throw component.failure(expected: "a member \"String\" or \"Regex\"", got: component.value.compact)
    }
  }
}
