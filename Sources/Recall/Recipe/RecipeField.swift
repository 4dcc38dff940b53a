import Diagnostics
import JSON

/// An option of a merge: one row of the table that the command line, recipes, help and documentation follow from.
///
/// The rows are in `RecipeField.all`; a method declares those that it uses.
public struct RecipeField: Sendable {
  /// What an option is about; the help lists options by it.
  public enum Group: String, Sendable, CaseIterable {
    /// What is merged how.
    case models = "Models and method"
    /// How far from the base.
    case changes = "Changes from the base"
    /// The texts that models are run on.
    case samples = "Samples"
    /// How hidden states become weights.
    case similarity = "Similarity and weights"
    /// What linear maps are solved for.
    case maps = "Linear maps"
    /// How the result is stored.
    case output = "Output"
  }

  /// Where a document has a field.
  enum Place: Sendable {
    /// A key of the document.
    case document
    /// A key of the entries of `models`.
    case models
  }

  /// The kinds of JSON value.
  public enum ValueType: Sendable {
    /// A string, or what an argument can only say as a string.
    case text
    /// A number.
    case number
    /// A number without a fraction.
    case wholeNumber
    /// `true` or `false`.
    case truth
    /// A list of strings or objects.
    case list
  }

  /// The key in recipes, such as `maxTokens`.
  public let key: String
  /// The option on the command line, such as `--max-tokens`.
  public let option: String
  /// What stands for the value in the help; `nil` for a switch.
  public let placeholder: String?
  /// Whether the option may be given more than once.
  public let repeats: Bool
  /// What it is about.
  public let group: Group
  /// The kind of JSON value.
  public let type: ValueType
  /// What a value has to be, in words.
  public let expected: String
  /// The names of the values, where there are only these.
  public let choices: [String]
  /// What a user who gave it to a method without a use for it may have meant; empty where that is not known.
  let instead: String
  let place: Place

  private let summary: String
  private let standard: Standard
  private let argumentReader: (@Sendable (String) -> JSONValue)?
  /// Sets what a value says; `false`, with the recipe as it was, when it is none of the values.
  package let read: @Sendable (JSONValue, inout MergeRecipe) -> Bool
  /// What a recipe has, `null` where it has nothing.
  package let write: @Sendable (MergeRecipe) -> JSONValue

  /// What holds where a recipe does not say, as the help tells it.
  enum Standard: Sendable {
    /// What a recipe has from the start, as in the work that the option comes from.
    case usual
    /// What a recipe has from the start, which the paper is not known to fix.
    case ours
    /// Something that depends on the rest of the recipe.
    case described(String)
    /// The same, which the paper is not known to fix.
    case oursDescribed(String)
  }

  /// Describes a field whose values are read and written in a way of its own.
  init(
    _ key: String, option: String? = nil, _ group: Group, type: ValueType, placeholder: String?, expected: String,
    choices: [String] = [], repeats: Bool = false, place: Place = .document, standard: Standard = .usual,
    instead: String = "", argument: (@Sendable (String) -> JSONValue)? = nil, help: String,
    read: @escaping @Sendable (JSONValue, inout MergeRecipe) -> Bool,
    write: @escaping @Sendable (MergeRecipe) -> JSONValue
  ) {
    self.key = key
    self.option = option ?? RecipeField.option(of: key)
    self.placeholder = placeholder
    self.repeats = repeats
    self.group = group
    self.type = type
    self.expected = expected
    self.choices = choices
    self.instead = instead
    self.place = place
    self.standard = standard
    self.argumentReader = argument
    summary = help
    self.read = read
    self.write = write
  }

  /// Describes a field that is a property.
  init<Value>(
    _ key: String, _ group: Group, _ values: FieldValues<Value>,
    _ property: WritableKeyPath<MergeRecipe, Value> & Sendable, standard: Standard = .usual, help: String
  ) {
    self.init(
      key, group, type: values.type, placeholder: values.placeholder, expected: values.expected,
      choices: values.choices, standard: standard, help: help,
      read: { json, recipe in
        guard let value = values.read(json) else { return false }
        recipe[keyPath: property] = value
        return true
      },
      write: { values.write($0[keyPath: property]) })
  }

  /// Describes a field that is a property, which may be `nil`; a document has it `asUsed` where that says more.
  init<Value>(
    _ key: String, _ group: Group, _ values: FieldValues<Value>,
    _ property: WritableKeyPath<MergeRecipe, Value?> & Sendable,
    asUsed: (@Sendable (MergeRecipe) -> Value)? = nil, standard: Standard = .usual, help: String
  ) {
    self.init(
      key, group, type: values.type, placeholder: values.placeholder, expected: values.expected,
      choices: values.choices, standard: standard, help: help,
      read: { json, recipe in
        guard let value = values.read(json) else { return false }
        recipe[keyPath: property] = value
        return true
      },
      write: { recipe in
        let value = asUsed.map { $0(recipe) } ?? recipe[keyPath: property]
        return value.map(values.write) ?? .null
      })
  }

  /// `--max-tokens` of `maxTokens`.
  private static func option(of key: String) -> String {
    "--" + key.map { $0.isUppercase ? "-\($0.lowercased())" : "\($0)" }.joined()
  }
}

extension RecipeField: Equatable {
  /// Whether both are the same row.
  public static func == (left: RecipeField, right: RecipeField) -> Bool { left.option == right.option }
}

extension RecipeField {
  /// What holds where a recipe does not say; `nil` where that is nothing.
  public var standardText: String? {
    switch standard {
    case .described(let words), .oursDescribed(let words): return words
    case .usual, .ours:
      switch write(MergeRecipe()) {
      case .string(let text): return text
      case .number(let number):
        return number.spelling.hasSuffix(".0") ? String(number.spelling.dropLast(2)) : number.spelling
      default: return nil
      }
    }
  }

  /// What it does and what holds without it.
  public var help: String {
    guard let standardText else { return summary }
    switch standard {
    case .usual, .described: return "\(summary) (default: \(standardText))"
    case .ours, .oursDescribed: return "\(summary) (our default: \(standardText))"
    }
  }

  /// An argument of the option as a document would have it.
  ///
  /// - Parameter text: The argument; ignored for a switch.
  /// - Returns: A value that `read` understands unless the argument is wrong.
  package func json(ofArgument text: String) -> JSONValue {
    if let argumentReader { return argumentReader(text) }
    guard placeholder != nil else { return true }
    switch type {
    case .text, .list: return .string(text)
    case .number, .wholeNumber:
      let number = Double(text).flatMap { $0.isFinite ? JSONValue.double($0) : nil }
      return Int(text).map(JSONValue.integer) ?? number ?? .string(text)
    case .truth: return Bool(text).map(JSONValue.bool) ?? .string(text)
    }
  }

  /// What a user may have meant by a value that is none; empty where nothing is near.
  package func advice(for value: JSONValue) -> String {
    value.string.flatMap { nearest(to: $0, among: choices) }.map { "Did you mean \($0)?" } ?? ""
  }

  /// The failure for a method that has no use for it.
  func failure(unusedBy method: any MergeMethod) -> Failure {
    let users = MergeMethods.all.filter { $0.uses(self) }.map(\.name)
    let choice = users.count > 1 ? "\(users.dropLast().joined(separator: ", ")) or " : ""
    return Failure(
      .usage, operation: "merge", subject: option, expected: "an option of --method \(method.name)",
      got: "one that it has no use for",
      advice: instead.isEmpty ? "Leave it out, or choose --method \(choice)\(users.last ?? "")." : instead)
  }
}
