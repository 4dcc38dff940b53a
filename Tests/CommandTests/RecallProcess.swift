import Foundation
import Testing

/// The built program, run as a user runs it.
struct RecallProcess {
  /// How a run ended.
  struct Outcome {
    let code: Int32
    let output: String
    let diagnostics: String
  }

  /// The program lies beside the test bundle.
  private static let program: URL = {
    let bundle = Bundle.main.executableURL ?? URL(fileURLWithPath: CommandLine.arguments[0])
    return bundle.deletingLastPathComponent().appendingPathComponent("recall")
  }()

  /// The exit code of a run whose stdout is a full disk.
  static func runOnFullDisk(_ arguments: [String]) throws -> Int32 {
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    process.standardOutput = FileHandle(forWritingAtPath: "/dev/full")
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus
  }

  /// Runs the program to its end, with more variables in its environment.
  static func run(
    _ arguments: [String], in directory: String? = nil, environment: [String: String] = [:]
  ) throws -> Outcome {
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    if let directory { process.currentDirectoryURL = URL(fileURLWithPath: directory) }
    let (output, diagnostics) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = diagnostics
    try process.run()
    // What these commands say fits the pipes' buffers, so reading one after the other cannot block the program.
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let problems = String(decoding: diagnostics.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return Outcome(code: process.terminationStatus, output: text, diagnostics: problems)
  }

  /// Runs the program by a shell, after a line of its own.
  ///
  /// - Parameters:
  ///   - arguments: Its arguments.
  ///   - line: What the shell does before.
  ///   - redirection: Where its streams go, in the words of bash.
  ///   - isPrivate: Whether the shell may mount what nobody else sees.
  /// - Returns: `nil` where the shell may not.
  /// - Throws: When the pipes' text cannot be read.
  static func run(
    _ arguments: [String], after line: String, redirection: String = "", isPrivate: Bool = true
  ) throws -> Outcome? {
    let shell = isPrivate ? ["unshare", geteuid() == 0 ? "-m" : "-rm", "bash"] : ["bash"]
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = shell + ["-c", "\(line)\n\"$@\" \(redirection)", "bash", program.path] + arguments
    let (output, diagnostics) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = diagnostics
    guard (try? process.run()) != nil else { return nil }
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let problems = String(decoding: diagnostics.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    if isPrivate, problems.hasPrefix("unshare:") { return nil }
    return Outcome(code: process.terminationStatus, output: text, diagnostics: problems)
  }

  /// Starts the program, with more variables in its environment, and leaves it running, without a word.
  static func start(_ arguments: [String], environment: [String: String] = [:]) throws -> Process {
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
  }

  /// Starts the program and kills it when its time has come, unless it ends before.
  ///
  /// - Parameters:
  ///   - arguments: Its arguments.
  ///   - environment: More variables.
  ///   - isTime: Asked again and again with the seconds since the start.
  /// - Throws: When the program cannot be started.
  static func kill(
    _ arguments: [String], environment: [String: String] = [:], when isTime: (Double) -> Bool
  ) throws {
    let process = try start(arguments, environment: environment)
    let start = Date()
    while process.isRunning, !isTime(Date().timeIntervalSince(start)) { usleep(100) }
    if process.isRunning { Foundation.kill(process.processIdentifier, SIGKILL) }
    process.waitUntilExit()
  }

  /// Starts the program, sends it a signal when its time has come, and waits for its end.
  static func signal(_ number: Int32, _ arguments: [String], when isTime: () -> Bool) throws -> Outcome {
    try run(arguments, when: isTime) { process in Foundation.kill(process.processIdentifier, number) }
  }

  /// Starts the program, does something once its time has come, unless it ends before, and waits for its end.
  static func run(
    _ arguments: [String], environment: [String: String] = [:], when isTime: () -> Bool, _ body: (Process) -> Void
  ) throws -> Outcome {
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let (output, diagnostics) = (Pipe(), Pipe())
    process.standardOutput = output
    process.standardError = diagnostics
    try process.run()
    while process.isRunning, !isTime() { usleep(100) }
    if process.isRunning { body(process) }
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    let problems = String(decoding: diagnostics.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return Outcome(code: process.terminationStatus, output: text, diagnostics: problems)
  }
}
