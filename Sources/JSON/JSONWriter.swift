extension JSONValue {
  /// The document as text: members in their order, two spaces of indentation, short arrays of plain values on one line.
  ///
  /// The same value always gives the same text.
  public var formatted: String {
    var writer = JSONWriter()
    writer.write(self, indentation: 0)
    return writer.text
  }

  /// The document on one line, without any space.
  public var compact: String {
    var writer = JSONWriter()
    writer.writeCompact(self)
    return writer.text
  }
}

private struct JSONWriter {
  var text = ""

  mutating func write(_ value: JSONValue, indentation: Int) {
    let inner = String(repeating: "  ", count: indentation + 1)
    let outer = String(repeating: "  ", count: indentation)
    switch value {
    case .array(let elements) where !elements.allSatisfy(\.isPlain):
      write(elements, brackets: ("[", "]"), inner: inner, outer: outer) { writer, element in
        writer.write(element, indentation: indentation + 1)
      }
    case .object(let object) where !object.members.isEmpty:
      write(object.members, brackets: ("{", "}"), inner: inner, outer: outer) { writer, member in
        writer.writeString(member.key)
        writer.text += ": "
        writer.write(member.value, indentation: indentation + 1)
      }
    case .array(let elements):
      text += "["
      for (index, element) in elements.enumerated() {
        if index > 0 { text += ", " }
        writeCompact(element)
      }
      text += "]"
    default: writeCompact(value)
    }
  }

  private mutating func write<Element>(
    _ elements: [Element], brackets: (String, String), inner: String, outer: String,
    each: (inout JSONWriter, Element) -> Void
  ) {
    text += brackets.0 + "\n"
    for (index, element) in elements.enumerated() {
      text += inner
      each(&self, element)
      text += index + 1 < elements.count ? ",\n" : "\n"
    }
    text += outer + brackets.1
  }

  mutating func writeCompact(_ value: JSONValue) {
    switch value {
    case .null: text += "null"
    case .bool(let bool): text += bool ? "true" : "false"
    case .number(let number): text += number.spelling
    case .string(let string): writeString(string)
    case .array(let elements):
      text += "["
      for (index, element) in elements.enumerated() {
        if index > 0 { text += "," }
        writeCompact(element)
      }
      text += "]"
    case .object(let object):
      text += "{"
      for (index, member) in object.members.enumerated() {
        if index > 0 { text += "," }
        writeString(member.key)
        text += ":"
        writeCompact(member.value)
      }
      text += "}"
    }
  }

  private mutating func writeString(_ string: String) {
    text += "\""
    for scalar in string.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case ..<" ":
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}

extension JSONValue {
  fileprivate var isPlain: Bool {
    switch self {
    case .array, .object: false
    default: true
    }
  }
}
