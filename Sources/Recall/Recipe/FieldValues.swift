import Checkpoint
import Compute
import JSON

/// The values that a field of a recipe may have: what they are called, how they are read from JSON and written to it.
struct FieldValues<Value>: Sendable {
  /// The kind of JSON value that all of them are; texts, where arguments have no other spelling.
  let type: RecipeField.ValueType
  /// What stands for a value in the help; `nil` for a switch, whose presence says it.
  let placeholder: String?
  /// What a value has to be, in words.
  let expected: String
  /// The names of the values, where there are only these.
  var choices: [String] = []
  /// The value of a document; `nil` when it is none of these.
  let read: @Sendable (JSONValue) -> Value?
  /// A value as a document has it.
  let write: @Sendable (Value) -> JSONValue
}

extension FieldValues where Value == String {
  /// The path of a directory, made absolute.
  static var directory: FieldValues { path("DIR") }

  /// The path of a file, made absolute.
  static var file: FieldValues { path("FILE") }

  private static func path(_ placeholder: String) -> FieldValues {
    FieldValues(
      type: .text, placeholder: placeholder, expected: "a path", read: { $0.string.map(absolutePath) },
      write: JSONValue.string)
  }

  /// One of a few names.
  static func names(_ names: [String], placeholder: String) -> FieldValues {
    FieldValues(
      type: .text, placeholder: placeholder, expected: "one of \(names.joined(separator: ", "))", choices: names,
      read: { json in json.string.flatMap { names.contains($0) ? $0 : nil } }, write: JSONValue.string)
  }
}

extension FieldValues where Value == Int {
  /// A whole number.
  static var whole: FieldValues { whole("a whole number") { _ in true } }

  /// A whole number of at least 0.
  static var natural: FieldValues { whole("a whole number of at least 0") { $0 >= 0 } }

  /// A whole number of at least 1.
  static func positive(_ placeholder: String) -> FieldValues {
    whole("a positive whole number", placeholder) { $0 > 0 }
  }

  private static func whole(
    _ expected: String, _ placeholder: String = "N", _ accepts: @escaping @Sendable (Int) -> Bool
  ) -> FieldValues {
    FieldValues(
      type: .wholeNumber, placeholder: placeholder, expected: expected,
      read: { json in json.integer.flatMap { accepts($0) ? $0 : nil } }, write: JSONValue.integer)
  }
}

extension FieldValues where Value == Double {
  /// A number that is neither infinite nor NaN.
  static func finite(_ placeholder: String) -> FieldValues { number(placeholder, "a finite number") { _ in true } }

  /// A finite number above 0.
  static func positive(_ placeholder: String) -> FieldValues { number(placeholder, "a positive number") { $0 > 0 } }

  /// A number from 0 to 1.
  static func zeroToOne(_ placeholder: String) -> FieldValues {
    number(placeholder, "a number from 0 to 1") { (0...1).contains($0) }
  }

  /// A number above 0, up to 1.
  static func aboveZeroToOne(_ placeholder: String) -> FieldValues {
    number(placeholder, "a number above 0, up to 1") { $0 > 0 && $0 <= 1 }
  }

  private static func number(
    _ placeholder: String, _ expected: String, _ accepts: @escaping @Sendable (Double) -> Bool
  ) -> FieldValues {
    FieldValues(
      type: .number, placeholder: placeholder, expected: expected,
      read: { json in json.double.flatMap { $0.isFinite && accepts($0) ? $0 : nil } }, write: JSONValue.double)
  }
}

extension FieldValues where Value == Bool {
  /// Whether something is, said by a word.
  static var truth: FieldValues {
    FieldValues(
      type: .truth, placeholder: "true|false", expected: "true or false", choices: ["true", "false"], read: \.bool,
      write: JSONValue.bool)
  }

  /// Whether something is, said by an option without a value.
  static var presence: FieldValues {
    FieldValues(type: .truth, placeholder: nil, expected: "true or false", read: \.bool, write: JSONValue.bool)
  }
}

extension FieldValues where Value: RawRepresentable & Sendable, Value.RawValue == String {
  /// One of the cases of an enumeration, by its name.
  static func cases(_ cases: [Value]) -> FieldValues {
    let names = cases.map(\.rawValue)
    return FieldValues(
      type: .text, placeholder: names.joined(separator: "|"),
      expected: "\(names.dropLast().joined(separator: ", ")) or \(names.last ?? "")", choices: names,
      read: { json in cases.first { $0.rawValue == json.string } }, write: { .string($0.rawValue) })
  }
}

extension FieldValues where Value == MergeRecipe.ClusterLayer {
  /// The last block, or a block by its number from 0.
  static var clusterLayer: FieldValues {
    FieldValues(
      type: .text, placeholder: "N|last", expected: "last or a block",
      read: { json in (json.string ?? json.integer.map(String.init)).flatMap(Value.init(name:)) },
      write: { .string($0.name) })
  }
}

extension FieldValues where Value == BandwidthRule {
  /// A rule by its name, or σ itself.
  static var bandwidth: FieldValues {
    FieldValues(
      type: .text, placeholder: "RULE",
      expected: "anchor-median, global-median, layer-median, dimension or a positive number",
      read: { json in (json.string ?? json.double.map { "\($0)" }).flatMap(Value.init(name:)) },
      write: { .string($0.name) })
  }
}
