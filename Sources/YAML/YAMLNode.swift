/// A value of a YAML document, and the line where it stands.
public struct YAMLNode: Sendable {
  /// What a node can be: what YAML 1.1 makes of it, as PyYAML's `safe_load` does and with it every Python tool.
  public enum Value: Sendable {
    /// `null`, `~` or nothing.
    case null
    /// `true`, `yes`, `on` and their opposites.
    case bool(Bool)
    /// A whole number.
    case integer(Int)
    /// A number with a point, an infinity or NaN. Without a point `1e-5` is a string, and so is `1.0e5` without a sign.
    case double(Double)
    /// Any other text, and all text in quotes.
    case string(String)
    /// A sequence.
    case array([YAMLNode])
    /// A mapping, its own members first and those that `<<` merges behind them.
    case object([Member])
  }

  /// A member of a mapping.
  public struct Member: Sendable {
    /// The key; no other member has it.
    public let key: String
    /// The line of the key, counted from 1.
    public let line: Int
    /// The value.
    public let value: YAMLNode
  }

  /// The value.
  public let value: Value
  /// The line where it starts, counted from 1; of an alias that of its anchor.
  public let line: Int
}

extension YAMLNode {
  /// The members when this is a mapping.
  public var object: [Member]? { if case .object(let members) = value { members } else { nil } }

  /// The elements when this is a sequence.
  public var array: [YAMLNode]? { if case .array(let elements) = value { elements } else { nil } }

  /// The text when this is a string.
  public var string: String? { if case .string(let text) = value { text } else { nil } }

  /// The truth value when this is one.
  public var bool: Bool? { if case .bool(let bool) = value { bool } else { nil } }

  /// The number when this is a whole one.
  public var integer: Int? { if case .integer(let number) = value { number } else { nil } }

  /// The number when this is one.
  public var double: Double? {
    switch value {
    case .integer(let number): Double(number)
    case .double(let number): number
    case .null, .bool, .string, .array, .object: nil
    }
  }

  /// Whether this is `null`.
  public var isNull: Bool { if case .null = value { true } else { false } }

  /// What this is, for messages.
  public var kind: String {
    switch value {
    case .null: "nothing"
    case .bool(let bool): "\(bool)"
    case .integer(let number): "\(number)"
    case .double(let number): "\(number)"
    case .string(let text): "\"\(text.prefix(80))\""
    case .array: "a list"
    case .object: "a mapping"
    }
  }
}
