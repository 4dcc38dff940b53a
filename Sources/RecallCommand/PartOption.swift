import Checkpoint
import Diagnostics
import Foundation

/// Which part of an output a process writes, and how it knows.
struct PartChoice: Equatable {
  /// The part.
  let part: Part
  /// What said so, such as `SLURM_ARRAY_TASK_ID=3`; `nil` for the command line.
  let source: String?

  static let option = CommandOption(
    name: "--part", placeholder: "K/N|auto",
    help:
      "write part K of N only, into an output that all parts share; the last to finish completes it; auto takes K and "
      + "N from a Slurm array (SLURM_ARRAY_TASK_ID) or an indexed Kubernetes job (JOB_COMPLETION_INDEX, RECALL_PARTS)")

  /// Reads `--part`.
  ///
  /// - Returns: `nil` when it was not given.
  /// - Throws: `Failure` that names the option or the variable at fault.
  static func read(
    _ options: ParsedOptions, environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws(Failure) -> PartChoice? {
    guard options.value(option.name) != "auto" else { return try SchedulerEnvironment(environment).choice() }
    return try options.parsed(option.name, "auto, or K/N with K from 1 to N, and N at most \(Part.mostParts)") { text in
      Part(text).map { PartChoice(part: $0, source: nil) }
    }
  }
}

/// What Slurm and Kubernetes tell a task of an array about its place in it.
private struct SchedulerEnvironment {
  private static let slurm = "SLURM_ARRAY_TASK_ID"
  private static let kubernetes = "JOB_COMPLETION_INDEX"
  private static let parts = "RECALL_PARTS"

  private let environment: [String: String]

  init(_ environment: [String: String]) { self.environment = environment }

  /// The part of this task.
  func choice() throws(Failure) -> PartChoice {
    switch (try number(SchedulerEnvironment.slurm), try number(SchedulerEnvironment.kubernetes)) {
    case (let task?, nil): return try choice(slurmTask: task)
    case (nil, let index?): return try choice(completionIndex: index)
    case (nil, nil):
      throw failure(
        "a task of a Slurm array or of an indexed Kubernetes job",
        got: "neither \(SchedulerEnvironment.slurm) nor \(SchedulerEnvironment.kubernetes)", "Give --part K/N.")
    case (_?, _?):
      throw failure(
        "one scheduler", got: "both \(SchedulerEnvironment.slurm) and \(SchedulerEnvironment.kubernetes)",
        "Give --part K/N.")
    }
  }

  /// Slurm says how many tasks an array has; where some of them are sent again by themselves, `RECALL_PARTS` says how many
  /// there were.
  private func choice(slurmTask task: Int) throws(Failure) -> PartChoice {
    if let parts = try number(SchedulerEnvironment.parts) {
      return try choice(task, of: parts, SchedulerEnvironment.slurm, task)
    }
    let count = try required("SLURM_ARRAY_TASK_COUNT", "the number of tasks of the array")
    let first = try number("SLURM_ARRAY_TASK_MIN") ?? 1
    let last = try number("SLURM_ARRAY_TASK_MAX") ?? first + count - 1
    let step = max(1, try number("SLURM_ARRAY_TASK_STEP") ?? 1)
    guard (last - first) / step + 1 == count, (task - first) % step == 0 else {
      throw failure(
        "an array of evenly numbered tasks", got: "\(count) tasks from \(first) to \(last)",
        "Say how many parts there are with \(SchedulerEnvironment.parts), or give --part K/N.")
    }
    return try choice((task - first) / step + 1, of: count, SchedulerEnvironment.slurm, task)
  }

  /// Kubernetes counts from 0 and does not say how far.
  private func choice(completionIndex index: Int) throws(Failure) -> PartChoice {
    let parts = try required(SchedulerEnvironment.parts, "the completions of the job")
    return try choice(index + 1, of: parts, SchedulerEnvironment.kubernetes, index)
  }

  private func choice(_ part: Int, of parts: Int, _ variable: String, _ value: Int) throws(Failure) -> PartChoice {
    guard let part = Part("\(part)/\(parts)") else {
      throw failure(
        "a part from 1 to \(parts), of at most \(Part.mostParts)", got: "part \(part) by \(variable)=\(value)",
        "\(SchedulerEnvironment.parts) has to be the number of tasks.")
    }
    return PartChoice(part: part, source: "\(variable)=\(value)")
  }

  private func required(_ variable: String, _ meaning: String) throws(Failure) -> Int {
    guard let number = try number(variable) else {
      throw failure("\(variable), \(meaning)", got: "none", "Set it, or give --part K/N.")
    }
    return number
  }

  private func number(_ variable: String) throws(Failure) -> Int? {
    guard let text = environment[variable], !text.isEmpty else { return nil }
    guard let number = Int(text) else { throw failure("a number in \(variable)", got: "\"\(text)\"", "") }
    return number
  }

  private func failure(_ expected: String, got: String, _ advice: String) -> Failure {
    Failure(.usage, operation: "find the part", subject: "--part auto", expected: expected, got: got, advice: advice)
  }
}
