/// What a plain scalar, one without quotes and tag, means in YAML 1.1 with the spellings that PyYAML knows.
enum PlainScalar {
  /// A value.
  case value(YAMLNode.Value)
  /// `<<`.
  case merge
  /// Something that no recipe has a use for, in words.
  case unsupported(String)

  /// Reads a spelling.
  init(plain text: String) {
    if let bool = PlainScalar.bools[text] {
      self = .value(.bool(bool))
    } else if PlainScalar.nulls.contains(text) {
      self = .value(.null)
    } else if text == "<<" {
      self = .merge
    } else if text == "=" || PlainScalar.isDate(text) {
      self = .unsupported(text == "=" ? "\"=\", which stands for a default value" : "the date \(text)")
    } else if let number = ScalarNumber(text) {
      self = number.value.map(PlainScalar.value) ?? .unsupported("\(text), which has no 64 bits")
    } else {
      self = .value(.string(text))
    }
  }

  /// The spellings of null.
  static let nulls: Set<String> = ["", "~", "null", "Null", "NULL"]

  /// The spellings of truth values.
  static let bools: [String: Bool] = {
    let words = ["yes": true, "no": false, "true": true, "false": false, "on": true, "off": false]
    let spellings = words.flatMap { word, value in
      [word, word.prefix(1).uppercased() + word.dropFirst(), word.uppercased()].map { ($0, value) }
    }
    return Dictionary(spellings, uniquingKeysWith: { first, _ in first })
  }()

  /// `2026-11-29`, also with a time behind it.
  private static func isDate(_ text: String) -> Bool {
    let parts = text.utf8.split(separator: UInt8(ascii: "-"), maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0].count == 4, (1...2).contains(parts[1].count) else { return false }
    let digits = UInt8(ascii: "0")...UInt8(ascii: "9")
    let day = parts[2].prefix { digits.contains($0) }
    guard parts[0].allSatisfy(digits.contains), parts[1].allSatisfy(digits.contains), (1...2).contains(day.count) else {
      return false
    }
    let time = parts[2].dropFirst(day.count)
    guard let separator = time.first else { return parts[1].count == 2 && day.count == 2 }
    let clock = time.dropFirst().drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
    let isSeparated = [UInt8(ascii: "T"), UInt8(ascii: "t"), UInt8(ascii: " "), UInt8(ascii: "\t")].contains(separator)
    return isSeparated && clock.first.map(digits.contains) == true && clock.contains(UInt8(ascii: ":"))
  }
}

/// A number in one of the spellings of YAML 1.1: `12`, `1_000`, `0x1F`, `017`, `0b11`, `1:30` to the base 60, `1.5`, `1.5e+3`,
/// `.5`, `-.inf`, `.nan`.
struct ScalarNumber {
  /// The number; `nil` when it is a whole one beyond 64 bits, or has no digits.
  let value: YAMLNode.Value?

  /// Reads a spelling; `nil` when it is that of no number.
  init?(_ text: String) {
    var digits = text[...]
    let isNegative = digits.hasPrefix("-")
    let isSigned = isNegative || digits.hasPrefix("+")
    if isSigned { digits.removeFirst() }
    if ScalarNumber.infinities.contains(String(digits)) {
      value = .double(isNegative ? -.infinity : .infinity)
    } else if !isSigned, ScalarNumber.notNumbers.contains(String(digits)) {
      value = .double(.nan)
    } else if let radix = ScalarNumber.radix(digits) {
      let spelling = digits.dropFirst(radix == 8 ? 1 : 2).filter { $0 != "_" }
      // A zero may have further zeros, but no prefix stands alone.
      let sign = isNegative ? "-" : ""
      value = Int(sign + (radix == 8 ? "0" : "") + spelling, radix: radix).map { .integer($0) }
    } else if ScalarNumber.isWhole(digits) {
      value = ScalarNumber.whole(digits, isNegative: isNegative).map { .integer($0) }
    } else if ScalarNumber.hasPoint(digits, isSigned: isSigned) {
      value = ScalarNumber.fraction(digits).map { .double(isNegative ? -$0 : $0) }
    } else {
      return nil
    }
  }

  private static let infinities: Set<String> = [".inf", ".Inf", ".INF"]
  private static let notNumbers: Set<String> = [".nan", ".NaN", ".NAN"]

  private static func isDigit(_ character: Character) -> Bool { ("0"..."9").contains(character) }

  /// Whether a text has digits and underscores, and starts with a digit.
  private static func isDigits(_ text: Substring) -> Bool {
    text.first.map(isDigit) == true && text.allSatisfy { isDigit($0) || $0 == "_" }
  }

  /// Whether a text is a digit to the base 60.
  private static func isSixtieth(_ text: Substring) -> Bool {
    text.allSatisfy(isDigit) && (text.count == 1 || text.count == 2 && ("0"..."5").contains(text.prefix(1)))
  }

  /// 2, 8 or 16 where a prefix says so.
  private static func radix(_ text: Substring) -> Int? {
    let rest = text.dropFirst(2)
    if text.hasPrefix("0b") { return !rest.isEmpty && rest.allSatisfy { "01_".contains($0) } ? 2 : nil }
    if text.hasPrefix("0x") {
      return !rest.isEmpty && rest.allSatisfy { "0123456789abcdefABCDEF_".contains($0) } ? 16 : nil
    }
    return text.hasPrefix("0") && text.count > 1 && text.dropFirst().allSatisfy { "01234567_".contains($0) } ? 8 : nil
  }

  private static func isWhole(_ text: Substring) -> Bool {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard isDigits(parts[0]), parts.dropFirst().allSatisfy(isSixtieth) else { return false }
    return text == "0" || !text.hasPrefix("0")
  }

  private static func whole(_ text: Substring, isNegative: Bool) -> Int? {
    var sum = 0
    for part in text.split(separator: ":") {
      guard let digit = Int((isNegative ? "-" : "") + part.filter { $0 != "_" }) else { return nil }
      let (product, isTooLarge) = sum.multipliedReportingOverflow(by: 60)
      let (next, isEvenLarger) = product.addingReportingOverflow(digit)
      guard !isTooLarge, !isEvenLarger else { return nil }
      sum = next
    }
    return sum
  }

  private static func hasPoint(_ text: Substring, isSigned: Bool) -> Bool {
    let halves = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard halves.count == 2 else { return false }
    let (front, back) = (halves[0], halves[1])
    if front.contains(":") {
      let parts = front.split(separator: ":", omittingEmptySubsequences: false)
      return isDigits(parts[0]) && parts.dropFirst().allSatisfy(isSixtieth)
        && back.allSatisfy { isDigit($0) || $0 == "_" }
    }
    let decimals = back.prefix { isDigit($0) || $0 == "_" }
    let exponent = back.dropFirst(decimals.count)
    let hasFront = front.isEmpty ? !isSigned && back.first.map(isDigit) == true : isDigits(front)
    guard hasFront, let letter = exponent.first else { return hasFront }
    let (sign, power) = (exponent.dropFirst().first, exponent.dropFirst(2))
    return (letter == "e" || letter == "E") && (sign == "+" || sign == "-") && !power.isEmpty
      && power.allSatisfy(isDigit)
  }

  private static func fraction(_ text: Substring) -> Double? {
    var sum = 0.0
    for part in text.split(separator: ":") {
      let spelling = part.filter { $0 != "_" }
      guard let digit = Double(spelling.hasPrefix(".") ? "0" + spelling : spelling) else { return nil }
      sum = sum * 60 + digit
    }
    return sum
  }
}
