import Diagnostics
import Recall

/// What `--help` prints of a command: its options by what they are about, in lines that fit the terminal.
package struct HelpText {
  private let command: Command
  private let width: Int

  /// The help of a command.
  ///
  /// - Parameters:
  ///   - command: The command.
  ///   - width: How many columns a line may have.
  package init(_ command: Command, width: Int) {
    self.command = command
    self.width = width
  }

  /// All of it.
  package var text: String {
    let usage = (["recall", command.name] + [command.operands].compactMap { $0 }).joined(separator: " ")
    let head = wrapped("\(usage): \(command.summary)", width: width).joined(separator: "\n")
    return ([head] + sections + notes).joined(separator: "\n\n")
  }

  /// The options, those that every command may have last.
  private var sections: [String] {
    let titles = RecipeField.Group.allCases.map(\.rawValue)
    let groups = Dictionary(grouping: command.options, by: \.group)
    guard groups.count > 2 else { return [list(command.options.map(row))] }
    return titles.compactMap { title in
      groups[title].map { "\(title)\n\(list($0.map(row)))" }
    } + (groups[""].map { ["This command\n\(list($0.map(row)))"] } ?? [])
  }

  /// What is said of options together.
  private var notes: [String] {
    var notes: [String] = []
    if command.options.contains(where: { $0.name == RecipeField.method.option }) {
      notes.append("Methods\n\(list(MergeMethods.all.map { ($0.name, $0.summary) }))")
    }
    if command.options.contains(where: { $0.help.contains("our default") }) {
      notes.append(
        wrapped("Our defaults are those that the paper is not known to fix.", width: width).joined(separator: "\n"))
    }
    return notes
  }

  private func row(of option: CommandOption) -> (head: String, text: String) {
    (option.placeholder.map { "\(option.name) \($0)" } ?? option.name, option.help)
  }

  /// Heads with their texts beside them, or below a head that is too long for that.
  private func list(_ rows: [(head: String, text: String)]) -> String {
    let indentation = min(rows.map(\.head.count).max() ?? 0, 28) + 4
    let margin = String(repeating: " ", count: indentation)
    return rows.map { head, text in
      let lines = wrapped(text, width: max(20, width - indentation))
      let beside = "  \(head)".padding(toLength: indentation, withPad: " ", startingAt: 0)
      guard head.count + 4 <= indentation else {
        return (["  \(head)"] + lines.map { margin + $0 }).joined(separator: "\n")
      }
      return ([beside + (lines.first ?? "")] + lines.dropFirst().map { margin + $0 }).joined(separator: "\n")
    }.joined(separator: "\n")
  }
}

/// A text in lines of at most so many characters, unless a word is longer.
func wrapped(_ text: String, width: Int) -> [String] {
  var lines: [String] = []
  for word in text.split(separator: " ") {
    if let last = lines.last, last.count + 1 + word.count <= width {
      lines[lines.count - 1] = "\(last) \(word)"
    } else {
      lines.append(String(word))
    }
  }
  return lines
}
