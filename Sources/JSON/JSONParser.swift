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
    var parser = JSONParser(bytes: bytes, subject: subject, operation: operation)
    self = try parser.document()
  }
}

/// Recursive descent over the bytes of one document.
private struct JSONParser {
  let bytes: [UInt8]
  let subject: String
  let operation: String
  var position = 0

  init(bytes: [UInt8], subject: String, operation: String) {
    self.bytes = bytes
    self.subject = subject
    self.operation = operation
  }

  mutating func document() throws(Failure) -> JSONValue {
    skipWhiteSpace()
    let value = try value(depth: 0)
    skipWhiteSpace()
    guard position == bytes.count else { throw failure("the end of the document") }
    return value
  }

  private mutating func value(depth: Int) throws(Failure) -> JSONValue {
    guard depth <= JSONValue.deepestNesting else { throw failure("at most \(JSONValue.deepestNesting) nested values") }
    switch current {
    case UInt8(ascii: "{"): return .object(try object(depth: depth))
    case UInt8(ascii: "["): return .array(try array(depth: depth))
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try literal("true", .bool(true))
    case UInt8(ascii: "f"): return try literal("false", .bool(false))
    case UInt8(ascii: "n"): return try literal("null", .null)
    default: return .number(try number())
    }
  }

  private mutating func object(depth: Int) throws(Failure) -> JSONObject {
    var object = JSONObject()
    position += 1
    skipWhiteSpace()
    if skip("}") { return object }
    while true {
      skipWhiteSpace()
      guard current == UInt8(ascii: "\"") else { throw failure("a member name") }
      let start = position
      let key = try string()
      skipWhiteSpace()
      guard skip(":") else { throw failure("':'") }
      skipWhiteSpace()
      let member = try value(depth: depth + 1)
      guard object.appendIfNew(key: key, value: member) else {
        position = start
        throw failure("every key once", got: "the key \"\(key.prefix(80))\" again")
      }
      skipWhiteSpace()
      if skip("}") { return object }
      guard skip(",") else { throw failure("',' or '}'") }
    }
  }

  private mutating func array(depth: Int) throws(Failure) -> [JSONValue] {
    var elements: [JSONValue] = []
    position += 1
    skipWhiteSpace()
    if skip("]") { return elements }
    while true {
      skipWhiteSpace()
      elements.append(try value(depth: depth + 1))
      skipWhiteSpace()
      if skip("]") { return elements }
      guard skip(",") else { throw failure("',' or ']'") }
    }
  }

  private mutating func string() throws(Failure) -> String {
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
    let combined = 0x10000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) &- 0xDC00)
    guard (0xDC00...0xDFFF).contains(second), let scalar = Unicode.Scalar(combined) else {
      throw failure("a surrogate pair")
    }
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
    return JSONNumber(spelling: try text(bytes[start..<position]))
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
    while let byte = current, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { position += 1 }
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
