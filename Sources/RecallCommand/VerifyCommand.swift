import Checkpoint
import Diagnostics
import JSON
import Recall

extension Command {
  /// Whether an output is sound.
  static let verify = Command(
    name: "verify", operands: "DIR",
    summary:
      "checks structure, shapes, values and recorded digests of a model; completes one whose parts are all there",
    options: [CommonOptions.json, Device.option, CommonOptions.progress]
  ) { options in
    guard options.operands.count == 1 else {
      throw Failure(
        .usage, operation: "verify", subject: "DIR", expected: "one model directory", got: "\(options.operands.count)")
    }
    let device = try Device(options)
    let printer = try ProgressPrinter(options)
    defer { printer.finish() }
    var directory = options.operands[0]
    if let unfinished = try UnfinishedOutput(at: directory) {
      let outcome = try await device.open(telling: printer).queue.perform { backend in
        try HierarchicalMerge.complete(unfinished, on: backend)
      }
      guard outcome.state != .completedElsewhere else {
        throw Failure(
          .tryAgain, operation: "complete the output", subject: unfinished.output,
          expected: "an output that no other process completes", got: "one that does", advice: "Verify it again soon.")
      }
      directory = unfinished.output
    }
    let verification = try OutputVerification(of: directory, progress: printer.progress)
    printer.finish()
    try printLine(options.has("--json") ? verification.json.formatted : text(of: verification))
    let count = verification.findings.count
    guard count == 0 else {
      throw Failure(
        .badData, operation: "verify", subject: verification.directory, expected: "a sound model",
        got: "\(count) finding\(count == 1 ? "" : "s")", advice: "Write or download it again.")
    }
  }

  private static func text(of verification: OutputVerification) -> String {
    let findings = verification.findings.map { "\($0.subject): \($0.problem)" }
    let notes = verification.notes.map { "note: \($0)" }
    let sound =
      "\(verification.directory) is sound: \(verification.tensorCount) tensors, \(byteText(verification.byteCount)), "
      + "\(verification.matchingFiles) files as recorded."
    return (findings + notes + (findings.isEmpty ? [sound] : [])).joined(separator: "\n")
  }
}
