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
  /// Where the key of each member is; empty while there are few of them, because most objects are small and many.
  private var positions: [ExactString: Int] = [:]
  private static let few = 8

  /// An object without members.
  public init() {}

  /// An object with the given members; a later one replaces an earlier one of the same key.
  public init(_ members: [(String, JSONValue)]) {
    for (key, value) in members { self[key] = value }
  }

  /// The value at a key; setting a new key appends a member, setting `nil` removes one.
  public subscript(key: String) -> JSONValue? {
    get { position(of: key).map { members[$0].value } }
    set {
      switch (position(of: key), newValue) {
      case (let position?, let value?): members[position].value = value
      case (nil, let value?): append(Member(key: key, value: value))
      case (let position?, nil):
        members.remove(at: position)
        indexMembers()
      case (nil, nil): break
      }
    }
  }

  /// Appends a member whose key is new.
  mutating func append(_ member: Member) {
    members.append(member)
    if members.count == JSONObject.few + 1 {
      indexMembers()
    } else if members.count > JSONObject.few {
      positions[ExactString(member.key)] = members.count - 1
    }
  }

  private func position(of key: String) -> Int? {
    let key = ExactString(key)
    return members.count > JSONObject.few ? positions[key] : members.firstIndex { ExactString($0.key) == key }
  }

  private mutating func indexMembers() {
    positions = [:]
    guard members.count > JSONObject.few else { return }
    for (position, member) in members.enumerated() { positions[ExactString(member.key)] = position }
  }
}

/// The keys of an object that have been seen; few are kept without a table.
struct SeenKeys {
  private var first: [ExactString] = []
  private var all: Set<ExactString> = []

  /// Notes a key.
  ///
  /// - Returns: Whether it is new.
  mutating func insert(_ key: String) -> Bool {
    let key = ExactString(key)
    guard all.isEmpty else { return all.insert(key).inserted }
    guard !first.contains(key) else { return false }
    first.append(key)
    if first.count > 8 { all = Set(first) }
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
