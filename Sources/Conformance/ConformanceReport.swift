import Compute
import Diagnostics
import JSON

/// How every case went on one device: what `recall conform` prints.
public struct ConformanceReport: Sendable {
  /// The device, as `--device` names it.
  public let device: BackendCatalog.NamedDevice
  /// The cases in order.
  public let cases: [CaseReport]

  /// How often a case is timed after its check, which may have waited for a kernel to be compiled.
  private static let repetitions = 2

  /// Runs cases on a device: each is compared with its reference, and timed when that went well.
  ///
  /// - Parameters:
  ///   - cases: What to run.
  ///   - device: The device's name and description.
  ///   - backend: The device.
  ///   - progress: Called before each case with its number from 0 on.
  public init(
    _ cases: [OperationCase], of device: BackendCatalog.NamedDevice, on backend: any ComputeBackend,
    progress: (Int) -> Void = { _ in }
  ) {
    self.device = device
    self.cases = cases.enumerated().map { index, operationCase in
      progress(index)
      var report = operationCase.check(on: backend)
      guard report.outcome == .passed else { return report }
      report.time = operationCase.time(on: backend, repetitions: Self.repetitions).time ?? report.time
      return report
    }
  }

  /// The number of cases that gave what they have to.
  public var passed: Int { cases.filter { $0.outcome == .passed }.count }

  /// What went wrong, case by case.
  public var failures: [(name: String, reason: String)] {
    cases.compactMap { report in
      if case .failed(let reason) = report.outcome { (report.name, reason) } else { nil }
    }
  }

  /// What was not run, case by case.
  public var skips: [(name: String, reason: String)] {
    cases.compactMap { report in
      if case .skipped(let reason) = report.outcome { (report.name, reason) } else { nil }
    }
  }

  /// Whether there are cases and each of them passed; one that was skipped did not.
  public var isConformant: Bool { !cases.isEmpty && passed == cases.count }

  /// A table with a line for every case, what went wrong, and the counts.
  public var text: String {
    let rows = cases.map { report in
      let word =
        switch report.outcome {
        case .passed: "ok"
        case .failed: "FAILED"
        case .skipped: "skipped"
        }
      return [
        report.operation, report.shape, report.elementType, word, errorText(report.error), errorText(report.bound),
        report.rateText,
      ]
    }
    let head = ["operation", "shape", "type", "result", "error", "bound", "rate"]
    let problems =
      failures.map { "FAILED \($0.name): \($0.reason)" } + skips.map { "skipped \($0.name): \($0.reason)" }
    return """
      \(device.name): \(device.description.name)
      \(aligned([head] + rows, labels: 4))
      \((problems + [summary]).joined(separator: "\n"))
      """
  }

  /// The counts in one line.
  public var summary: String {
    "\(device.name): \(passed) of \(cases.count) cases passed, \(failures.count) failed, \(skips.count) skipped"
  }

  /// The report for programs.
  public var json: JSONValue {
    [
      "device": .string(device.name), "name": .string(device.description.name),
      "details": .array(device.description.details.map(JSONValue.string)), "passed": .integer(passed),
      "failed": .integer(failures.count), "skipped": .integer(skips.count), "cases": .array(cases.map(\.json)),
    ]
  }

  private func errorText(_ error: Double) -> String { error == 0 ? "0" : scientific(error) }
}
