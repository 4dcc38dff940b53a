import Compute
import Diagnostics
import Foundation
import Recall

/// A command of the program.
package struct Command: Sendable {
  package let name: String
  /// What stands for its operands in the help; `nil` for a command that takes options only.
  var operands: String?
  let summary: String
  package let options: [CommandOption]
  let run: @Sendable (ParsedOptions) async throws -> Void
}

/// The program: finds the command, runs it, and turns what it throws into one paragraph and an exit code.
@main
package struct RecallCommand {
  static let version = "0.1.0"

  package static let commands: [Command] = [
    .merge, .select, .extract, .weigh, .fuse, .plan, .batch, .evaluate, .compare, .verify, .tokenize, .inspect,
    .devices, .conform, .bench,
  ]

  package static func main() async {
    StandardStreams.prepare()
    let arguments = Array(CommandLine.arguments.dropFirst())
    do {
      try await run(arguments)
    } catch {
      let ending = ending(of: error)
      end(ending.message, code: ending.code)
    }
  }

  /// What a command that fails says, and the exit code.
  static func ending(of error: any Error) -> (message: String, code: Int32) {
    switch error {
    case let failure as Failure: (failure.description, failure.category.exitCode)
    case let error as DeviceError: ("device: \(error)\(error.advice)", error.exitCode)
    default: ("\(error)", Failure.Category.internalError.exitCode)
    }
  }

  private static func run(_ arguments: [String]) async throws {
    guard let name = arguments.first else {
      throw Failure(
        .usage, operation: "run recall", subject: "recall", expected: "a command", got: "none",
        advice: "See recall --help.")
    }
    if ["--help", "-h", "help"].contains(name) {
      try printLine(help(on: arguments.dropFirst().first))
      return
    }
    if ["--version", "-V"].contains(name) {
      try printLine("recall \(version)")
      return
    }
    let command = try command(named: name)
    let rest = Array(arguments.dropFirst())
    if rest.contains("--help") || rest.contains("-h") {
      try printLine(HelpText(command, width: terminalWidth(of: STDOUT_FILENO)).text)
      return
    }
    let takesOperands = command.operands != nil
    try await command.run(
      ParsedOptions(rest, options: command.options, command: name, takesOperands: takesOperands))
  }

  private static func command(named name: String) throws(Failure) -> Command {
    if let command = commands.first(where: { $0.name == name }) { return command }
    throw Failure(
      .usage, operation: "run recall", subject: name,
      expected: "one of \(commands.map(\.name).joined(separator: ", "))", got: "an unknown command",
      advice: nearest(to: name, among: commands.map(\.name)).map { "Did you mean \($0)?" } ?? "See recall --help.")
  }

  /// What `recall help` prints: an overview, the help of a command, or the keys of recipes.
  private static func help(on topic: String?) throws(Failure) -> String {
    switch topic {
    case nil: overview
    case "recipes": RecipeField.documentation
    case let name?: HelpText(try command(named: name), width: terminalWidth(of: STDOUT_FILENO)).text
    }
  }

  private static var overview: String {
    let width = commands.map(\.name.count).max() ?? 0
    let lines = commands.map { command in
      "  recall \(command.name.padding(toLength: width, withPad: " ", startingAt: 0))  \(command.summary)"
    }
    return """
      recall \(version): merges fine-tuned language models layer by layer (RECALL, arXiv 2510.20479)

      \(lines.joined(separator: "\n"))

      recall help COMMAND lists the options of a command, recall help recipes the keys of recipes.
      """
  }

  /// Ends the process with a message, at once and whatever its other threads do.
  static func end(_ message: String, code: Int32) -> Never {
    // A signal may end the process while a bar is drawn; the message takes its line.
    StandardError.write("\(StandardError.isTerminal ? "\r\u{1B}[K" : "")recall: \(message)\n")
    // `exit` would let libraries free what other threads still compute with; nothing is buffered that it would write.
    _exit(code)
  }
}

extension DeviceError {
  /// What a user can do, as a sentence to be appended; empty where there is nothing to say.
  var advice: String {
    code == .outOfMemory ? ". Give a smaller --memory, fewer models, or fewer and shorter samples." : ""
  }

  /// The exit code of a command that a device failed.
  var exitCode: Int32 {
    switch code {
    case .deviceLost: Failure.Category.tryAgain.exitCode
    case .unavailable: Failure.Category.usage.exitCode
    default: Failure.Category.internalError.exitCode
    }
  }
}
