import Diagnostics
import Recall

/// An option of a command.
package struct CommandOption: Sendable {
  /// The long name, with its two hyphens.
  package let name: String
  /// What stands for the value in the help; `nil` for a switch.
  let placeholder: String?
  /// What it does and what its default is.
  let help: String
  /// Whether it may be given more than once.
  var repeats = false
  /// The heading that the help lists it under; empty for one that is at home in every command.
  var group = ""

  /// The same option under a heading of the help.
  func grouped(_ group: RecipeField.Group) -> CommandOption {
    var option = self
    option.group = group.rawValue
    return option
  }
}

/// What was given to a command.
package struct ParsedOptions {
  /// The arguments that are neither options nor their values, in order; empty for commands that take none.
  private(set) var operands: [String] = []
  /// The options that have a value, with it, in the order in which they were given.
  private(set) var sequence: [(name: String, value: String)] = []
  private let command: String
  private var values: [String: [String]] = [:]

  /// Reads `--name value`, `--name=value`, `--switch`, and operands where the command takes them.
  ///
  /// - Throws: `Failure` of category `usage` that names the nearest option for one that does not exist.
  package init(_ arguments: [String], options: [CommandOption], command: String, takesOperands: Bool) throws(Failure) {
    self.command = command
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      guard argument.hasPrefix("--"), argument.count > 2 else {
        if takesOperands, !argument.hasPrefix("-"), !argument.isEmpty {
          operands.append(argument)
          continue
        }
        throw ParsedOptions.failure(
          command, argument, expected: "an option such as \(options[0].name)", got: "\"\(argument)\"")
      }
      let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      guard let option = options.first(where: { $0.name == parts[0] }) else {
        let names = options.map(\.name)
        throw ParsedOptions.failure(
          command, parts[0], expected: "an option of recall \(command)", got: "an unknown one",
          advice: nearest(to: parts[0], among: names).map { "Did you mean \($0)?" } ?? "See recall \(command) --help.")
      }
      guard option.placeholder != nil else {
        guard parts.count == 1 else {
          throw ParsedOptions.failure(command, option.name, expected: "no value", got: "\"\(parts[1])\"")
        }
        values[option.name] = [""]
        continue
      }
      guard let value = parts.count == 2 ? parts[1] : rest.popFirst(), !value.isEmpty else {
        throw ParsedOptions.failure(command, option.name, expected: "a value", got: "none")
      }
      guard option.repeats || values[option.name] == nil else {
        throw ParsedOptions.failure(command, option.name, expected: "the option once", got: "it again")
      }
      values[option.name, default: []].append(value)
      sequence.append((option.name, value))
    }
  }

  /// Whether a switch or option was given.
  func has(_ name: String) -> Bool { values[name] != nil }

  /// All values of an option that repeats.
  func all(_ name: String) -> [String] { values[name] ?? [] }

  /// The value of an option.
  func value(_ name: String) -> String? { values[name]?.first }

  /// The value of an option that has to be there.
  func required(_ name: String) throws(Failure) -> String {
    guard let value = value(name) else {
      throw failure(name, expected: "the option", got: "none", advice: "See recall \(command) --help.")
    }
    return value
  }

  /// The value of an option, read by a function that gives `nil` for what it does not know.
  func parsed<Value>(
    _ name: String, _ expected: String, _ read: (String) -> Value?
  ) throws(Failure) -> Value? {
    guard let text = value(name) else { return nil }
    guard let value = read(text) else {
      throw failure(name, expected: expected, got: "\"\(text)\"")
    }
    return value
  }

  /// The value of an option that is a whole number of at least 1.
  func positive(_ name: String) throws(Failure) -> Int? {
    try parsed(name, "a positive whole number") { text in Int(text).flatMap { $0 > 0 ? $0 : nil } }
  }

  /// The failure for an option of this command.
  func failure(_ name: String, expected: String, got: String, advice: String = "") -> Failure {
    ParsedOptions.failure(command, name, expected: expected, got: got, advice: advice)
  }

  private static func failure(
    _ command: String, _ subject: String, expected: String, got: String, advice: String = ""
  ) -> Failure {
    Failure(
      .usage, operation: "run recall \(command)", subject: subject, expected: expected, got: got, advice: advice)
  }
}
