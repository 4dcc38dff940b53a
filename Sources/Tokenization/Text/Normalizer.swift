import Diagnostics

/// What is done to text before it is cut up: the `normalizer` of a `tokenizer.json`, as a list of steps.
struct Normalizer: Equatable, Sendable {
  /// One change of the whole text.
  enum Step: Equatable, Sendable {
    /// A normal form of Unicode.
    case form(NormalForm)
    /// A text put in front of every text that is not empty.
    case prepend([UInt8])
    /// Every match replaced by a text.
    case replace(Pattern, with: [UInt8], isOneForOne: Bool)
    /// Every scalar in lower case, whatever stands around it.
    case lowercase
    /// White space taken off the ends.
    case strip(left: Bool, right: Bool)
    /// Every byte written in the byte alphabet.
    case byteLevel
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
    case "ByteLevel": return [.byteLevel]
    default:
      throw component.unsupported(
        "the normalizer \"\(type)\"",
        known: "one of NFC, NFD, NFKC, NFKD, Prepend, Replace, Lowercase, Strip, ByteLevel, Sequence")
    }
  }

  private static func replacement(_ component: Component) throws(Failure) -> Step {
    let content = try component.member("content").bytes
    let pattern = try component.member("pattern")
    let isOneForOne = pattern.value["String"]?.string?.unicodeScalars.count == 1 && !content.isEmpty
    return .replace(try Pattern(pattern), with: content, isOneForOne: isOneForOne)
  }

  /// Whether a changed text begins where the text before began, and nowhere else seems to.
  var keepsBeginning: Bool {
    steps.allSatisfy { step in
      switch step {
      case .form(.composed): true
      case .replace(_, _, let isOneForOne): isOneForOne
      default: false
      }
    }
  }

  /// The text after all steps.
  func normalize(_ text: [UInt8]) -> [UInt8] {
    steps.reduce(text) { Self.apply($1, to: $0) }
  }

  private static func apply(_ step: Step, to text: [UInt8]) -> [UInt8] {
    switch step {
    case .form(let form): return form.normalize(text)
    case .prepend(let prefix): return text.isEmpty ? text : prefix + text
    case .replace(let pattern, let content, _):
      var replaced: [UInt8] = []
      replaced.reserveCapacity(text.count)
      // The pattern never sees an empty text, in which it might match nothing and put the content there.
      guard !text.isEmpty else { return text }
      pattern.cut(text, in: 0..<text.count) { part, isMatch in
        if isMatch { replaced += content } else { replaced += text[part] }
      }
      return replaced
    case .lowercase: return lowercased(text)
    case .strip(let left, let right): return stripped(text, left: left, right: right)
    case .byteLevel:
      var written: [UInt8] = []
      ByteAlphabet.append(text, 0..<text.count, to: &written)
      return written
    }
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
