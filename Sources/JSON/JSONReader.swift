import Diagnostics

extension JSONValue {
  /// Nesting beyond this is refused, so that hostile input cannot exhaust the stack.
  public static let deepestNesting = 128

  /// Reads one JSON document (RFC 8259, UTF-8) strictly: no duplicate keys, no lone surrogates, nothing after the value.
  ///
  /// - Parameters:
  ///   - bytes: The whole document; white space around it is allowed, a byte order mark is not.
  ///   - subject: The file it came from, for the error.
  ///   - operation: What the document is read for, for the error.
  /// - Throws: `Failure` of category `badData` that names the byte offset.
  public init(parsing bytes: [UInt8], from subject: String, operation: String = "read JSON") throws(Failure) {
    var reader = JSONReader(bytes, from: subject, operation: operation)
    self = try reader.value()
    try reader.end()
  }
}

/// Reads one JSON document (RFC 8259, UTF-8) strictly and step by step, so that a large one need not be in memory as values.
///
/// The caller says what comes next; white space is skipped on the way.
public struct JSONReader {
  private let bytes: [UInt8]
  private let subject: String
  private let operation: String
  private var position = 0
  private var depth = 0

  /// Starts before the first value.
  ///
  /// - Parameters:
  ///   - bytes: The whole document; a byte order mark is not allowed.
  ///   - subject: The file it came from, for errors.
  ///   - operation: What the document is read for, for errors.
  public init(_ bytes: [UInt8], from subject: String, operation: String) {
    self.bytes = bytes
    self.subject = subject
    self.operation = operation
  }

  /// What kind of value comes next, by its first character.
  public enum Kind: Sendable {
    /// An object.
    case object
    /// An array.
    case array
    /// A string.
    case string
    /// A literal, a number or nothing valid.
    case other
  }

  /// The kind of the next value.
  public mutating func nextKind() -> Kind {
    skipWhiteSpace()
    switch current {
    case UInt8(ascii: "{"): return .object
    case UInt8(ascii: "["): return .array
    case UInt8(ascii: "\""): return .string
    default: return .other
    }
  }

  /// What kind of value comes next, for messages; an object or array is not read for that.
  public mutating func kindText() throws(Failure) -> String {
    switch nextKind() {
    case .object: return JSONValue.object(JSONObject()).kind
    case .array: return JSONValue.array([]).kind
    case .string: return JSONValue.string("").kind
    case .other: return try plainValue().kind
    }
  }

  /// Requires that nothing but white space follows.
  ///
  /// - Throws: `Failure` of category `badData`, as all steps do.
  public mutating func end() throws(Failure) {
    skipWhiteSpace()
    guard position == bytes.count else { throw failure("the end of the document") }
  }

  /// Reads the next value, whatever it is.
  public mutating func value() throws(Failure) -> JSONValue {
    switch nextKind() {
    case .object:
      var object = JSONObject()
      try self.object { (key, reader) throws(Failure) in object.append(.init(key: key, value: try reader.value())) }
      return .object(object)
    case .array:
      var elements: [JSONValue] = []
      try array { (reader) throws(Failure) in elements.append(try reader.value()) }
      return .array(elements)
    case .string: return .string(try string())
    case .other: return try plainValue()
    }
  }

  /// Passes over the next value after proving that it is valid.
  public mutating func skipValue() throws(Failure) {
    switch nextKind() {
    case .object: try object { (_, reader) throws(Failure) in try reader.skipValue() }
    case .array: try array { (reader) throws(Failure) in try reader.skipValue() }
    case .string: _ = try string()
    case .other:
      // Numbers are many; none is made of what nobody reads.
      if let byte = current, byte == UInt8(ascii: "-") || JSONReader.digits.contains(byte) {
        _ = try numberRange()
      } else {
        _ = try plainValue()
      }
    }
  }

  private mutating func plainValue() throws(Failure) -> JSONValue {
    switch current {
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    default: return .number(try number())
    }
  }

  private mutating func enter() throws(Failure) {
    guard depth < JSONValue.deepestNesting else { throw failure("at most \(JSONValue.deepestNesting) nested values") }
    depth += 1
    position += 1
    skipWhiteSpace()
  }

  /// Reads the next value, an object: calls a function with each key, which has to read or skip the value.
  ///
  /// - Throws: `Failure` also for a key that occurs twice, and what the function throws.
  public mutating func object(
    _ member: (_ key: String, _ reader: inout JSONReader) throws(Failure) -> Void
  ) throws(Failure) {
    guard nextKind() == .object else { throw failure("an object") }
    try enter()
    defer { depth -= 1 }
    if skip("}") { return }
    var seen = SeenKeys()
    while true {
      skipWhiteSpace()
      guard current == UInt8(ascii: "\"") else { throw failure("a member name") }
      let start = position
      let key = try string()
      guard seen.insert(key) else {
        position = start
        throw failure("every key once", got: "the key \"\(key.prefix(80))\" again")
      }
      skipWhiteSpace()
      guard skip(":") else { throw failure("':'") }
      try member(key, &self)
      skipWhiteSpace()
      if skip("}") { return }
      guard skip(",") else { throw failure("',' or '}'") }
    }
  }

  /// Reads the next value, an array: calls a function for each element, which has to read or skip it.
  ///
  /// - Throws: `Failure`, and what the function throws.
  public mutating func array(_ element: (_ reader: inout JSONReader) throws(Failure) -> Void) throws(Failure) {
    guard nextKind() == .array else { throw failure("an array") }
    try enter()
    defer { depth -= 1 }
    if skip("]") { return }
    while true {
      try element(&self)
      skipWhiteSpace()
      if skip("]") { return }
      guard skip(",") else { throw failure("',' or ']'") }
    }
  }

  /// Reads the next value, a string.
  public mutating func string() throws(Failure) -> String {
    guard nextKind() == .string else { throw failure("a string") }
    position += 1
    let start = position
    while let byte = current, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { position += 1 }
    if current == UInt8(ascii: "\"") {
      defer { position += 1 }
      return try text(bytes[start..<position])
    }
    return try stringWithEscapes(from: start)
  }

  private mutating func stringWithEscapes(from start: Int) throws(Failure) -> String {
    var unescaped = Array(bytes[start..<position])
    while let byte = current {
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return try text(unescaped[...])
      case UInt8(ascii: "\\"):
        position += 1
        try appendEscape(to: &unescaped)
      case ..<0x20: throw failure("no control character inside a string")
      default:
        unescaped.append(byte)
        position += 1
      }
    }
    throw failure("the end of a string")
  }

  private mutating func appendEscape(to unescaped: inout [UInt8]) throws(Failure) {
    guard let escape = current else { throw failure("an escaped character") }
    position += 1
    switch escape {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): unescaped.append(escape)
    case UInt8(ascii: "b"): unescaped.append(0x08)
    case UInt8(ascii: "f"): unescaped.append(0x0C)
    case UInt8(ascii: "n"): unescaped.append(0x0A)
    case UInt8(ascii: "r"): unescaped.append(0x0D)
    case UInt8(ascii: "t"): unescaped.append(0x09)
    case UInt8(ascii: "u"):
      let scalar = try escapedScalar()
      unescaped.append(contentsOf: String(scalar).utf8)
    default:
      position -= 1
      throw failure("one of \"\\/bfnrtu after a backslash")
    }
  }

  /// Reads the hexadecimal part of `\uXXXX`, and of its second half for characters beyond the basic plane.
  private mutating func escapedScalar() throws(Failure) -> Unicode.Scalar {
    let first = try codeUnit()
    if let scalar = Unicode.Scalar(first) { return scalar }
    guard first < 0xDC00, skip("\\"), skip("u") else { throw failure("a surrogate pair") }
    let second = try codeUnit()
    guard (0xDC00...0xDFFF).contains(second),
      let scalar = Unicode.Scalar(0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00))
    else { throw failure("a surrogate pair") }
    return scalar
  }

  private mutating func codeUnit() throws(Failure) -> UInt16 {
    var unit: UInt16 = 0
    for _ in 0..<4 {
      guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
        throw failure("four hexadecimal digits")
      }
      unit = unit << 4 | UInt16(digit)
      position += 1
    }
    return unit
  }

  private mutating func number() throws(Failure) -> JSONNumber {
    JSONNumber(spelling: try text(bytes[numberRange()]))
  }

  private static let digits = UInt8(ascii: "0")...UInt8(ascii: "9")

  private mutating func numberRange() throws(Failure) -> Range<Int> {
    let start = position
    _ = skip("-")
    let whole = skipDigits()
    let leadingZero = whole > 1 && bytes[position - whole] == UInt8(ascii: "0")
    guard whole > 0, !leadingZero else { throw failure("a value") }
    if skip(".") {
      guard skipDigits() > 0 else { throw failure("a digit") }
    }
    if skip("e") || skip("E") {
      if !skip("+") { _ = skip("-") }
      guard skipDigits() > 0 else { throw failure("a digit") }
    }
    return start..<position
  }

  private mutating func literal(_ word: StaticString, _ value: JSONValue) throws(Failure) -> JSONValue {
    let end = position + word.utf8CodeUnitCount
    guard end <= bytes.count, bytes[position..<end].elementsEqual(word.description.utf8) else {
      throw failure("a value")
    }
    position = end
    return value
  }

  private func text(_ slice: ArraySlice<UInt8>) throws(Failure) -> String {
    guard let text = String(validating: slice, as: UTF8.self) else { throw failure("valid UTF-8") }
    return text
  }

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skip(_ character: Unicode.Scalar) -> Bool {
    guard current == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func skipDigits() -> Int {
    let start = position
    while let byte = current, JSONReader.digits.contains(byte) { position += 1 }
    return position - start
  }

  private mutating func skipWhiteSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
  }

  private func failure(_ expected: String, got: String? = nil) -> Failure {
    let found = got ?? current.map { $0 < 0x80 && $0 >= 0x20 ? "'\(Unicode.Scalar($0))'" : "byte \($0)" } ?? "its end"
    return Failure(
      .badData, operation: operation, subject: subject, expected: expected, got: "\(found) at byte \(position)",
      advice: "Download or write the file again; it is not valid JSON there.")
  }
}
