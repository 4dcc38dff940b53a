/// A JSON document that keeps what Foundation's readers lose: the order of members, the exact spelling of numbers, the
/// exact code points of strings, and the fact that a key occurred twice (which the parser refuses).
public enum JSONValue: Sendable {
  /// The literal `null`.
  case null
  /// `true` or `false`.
  case bool(Bool)
  /// A number, spelled as in the source.
  case number(JSONNumber)
  /// A string; compare it by its UTF-8 view, because `==` on `String` equates canonically equivalent spellings.
  case string(String)
  /// An array.
  case array([JSONValue])
  /// An object, its members in the order of the source.
  case object(JSONObject)
}

/// A number as it was spelled, converted on demand so that no digit is lost.
public struct JSONNumber: Sendable {
  /// The text between the delimiters, a valid JSON number.
  public let spelling: String
}

/// The members of a JSON object in order, with look-up by the exact bytes of the key.
public struct JSONObject: Sendable {
  /// One member of an object.
  public struct Member: Sendable {
    /// The key.
    public let key: String
    /// The value.
    public var value: JSONValue

    /// Creates a member.
    public init(key: String, value: JSONValue) {
      self.key = key
      self.value = value
    }
  }

  /// All members, first to last.
  public private(set) var members: [Member] = []
  private var positions: [ExactString: Int] = [:]

  /// An object without members.
  public init() {}

  /// An object with the given members; a later one replaces an earlier one of the same key.
  public init(_ members: [(String, JSONValue)]) {
    for (key, value) in members { self[key] = value }
  }

  /// The value at a key; setting a new key appends a member, setting `nil` removes one.
  public subscript(key: String) -> JSONValue? {
    get { positions[ExactString(key)].map { members[$0].value } }
    set {
      let exact = ExactString(key)
      switch (positions[exact], newValue) {
      case (let position?, let value?): members[position].value = value
      case (nil, let value?):
        positions[exact] = members.count
        members.append(Member(key: key, value: value))
      case (let position?, nil):
        members.remove(at: position)
        positions = Dictionary(
          uniqueKeysWithValues: members.enumerated().map { (ExactString($0.element.key), $0.offset) })
      case (nil, nil): break
      }
    }
  }

  /// Appends a member unless its key is there already.
  ///
  /// - Returns: Whether the key was new.
  mutating func appendIfNew(key: String, value: JSONValue) -> Bool {
    let exact = ExactString(key)
    guard positions[exact] == nil else { return false }
    positions[exact] = members.count
    members.append(Member(key: key, value: value))
    return true
  }
}

/// A string that equals another only when their code points are the same.
public struct ExactString: Hashable, Sendable {
  /// The string itself.
  public let string: String

  /// Wraps a string.
  public init(_ string: String) { self.string = string }

  /// Compares by UTF-8 code units.
  public static func == (left: ExactString, right: ExactString) -> Bool {
    left.string.utf8.elementsEqual(right.string.utf8)
  }

  /// Hashes the UTF-8 code units.
  public func hash(into hasher: inout Hasher) {
    var string = string
    string.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}

extension JSONValue {
  /// The members when this is an object.
  public var object: JSONObject? { if case .object(let object) = self { object } else { nil } }

  /// The elements when this is an array.
  public var array: [JSONValue]? { if case .array(let array) = self { array } else { nil } }

  /// The string when this is one.
  public var string: String? { if case .string(let string) = self { string } else { nil } }

  /// The truth value when this is one.
  public var bool: Bool? { if case .bool(let bool) = self { bool } else { nil } }

  /// The number as an integer, when it is spelled as one and fits.
  public var integer: Int? { if case .number(let number) = self { Int(number.spelling) } else { nil } }

  /// The number in double precision.
  public var double: Double? { if case .number(let number) = self { Double(number.spelling) } else { nil } }

  /// Whether this is `null`.
  public var isNull: Bool { if case .null = self { true } else { false } }

  /// The member of an object, `nil` for a missing key or another kind of value.
  public subscript(key: String) -> JSONValue? { object?[key] }

  /// What kind of value this is, for messages.
  public var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a truth value"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
  ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  /// A string.
  public init(stringLiteral value: String) { self = .string(value) }
  /// A whole number.
  public init(integerLiteral value: Int) { self = .integer(value) }
  /// A truth value.
  public init(booleanLiteral value: Bool) { self = .bool(value) }
  /// An array.
  public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
  /// An object.
  public init(dictionaryLiteral elements: (String, JSONValue)...) { self = .object(JSONObject(elements)) }

  /// A whole number.
  public static func integer(_ value: Int) -> JSONValue { .number(JSONNumber(spelling: String(value))) }

  /// A number in the shortest spelling that reads back as the same double; `null` when it is not finite.
  public static func double(_ value: Double) -> JSONValue {
    value.isFinite ? .number(JSONNumber(spelling: "\(value)")) : .null
  }

  /// A number in the shortest spelling that reads back as the same float; `null` when it is not finite.
  public static func float(_ value: Float) -> JSONValue {
    value.isFinite ? .number(JSONNumber(spelling: "\(value)")) : .null
  }
}
