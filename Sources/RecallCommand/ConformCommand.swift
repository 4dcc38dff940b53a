import Compute
import Conformance
import Diagnostics
import JSON

extension Command {
  /// The proof, on the machine where it counts, that a device computes what the formulas say.
  static let conform = Command(
    name: "conform", summary: "compares every operation of a device with its reference",
    options: [
      CommandOption(
        name: "--device", placeholder: Device.option.placeholder.map { $0 + "|all" },
        help: "where to compute; all runs everything that opens (default: auto)"),
      CommandOption(
        name: "--operation", placeholder: "NAME", help: "only the cases of one operation, such as multiply"),
      CommonOptions.json, CommonOptions.progress,
    ]
  ) { options in
    let cases = try conformanceCases(of: options.value("--operation"))
    let devices = try Device.one(orAll: options)
    let printer = try ProgressPrinter(options)
    defer { printer.finish() }
    let progress = printer.progress
    var reports: [ConformanceReport] = []
    for device in devices.list {
      let opened: BackendCatalog.Opened
      do {
        opened = try device.open(telling: printer)
      } catch  where devices.isAll {
        printer.warn(["\(error)"])
        continue
      }
      let report = await opened.queue.perform { backend in
        let named = BackendCatalog.NamedDevice(name: opened.device.name, description: backend.device)
        let report = ConformanceReport(cases, of: named, on: backend) { done in
          progress("conform", done, of: cases.count, unit: "cases")
        }
        progress("conform", cases.count, of: cases.count, unit: "cases")
        return report
      }
      printer.finish()
      reports.append(report)
      if !options.has(CommonOptions.json.name) { try printLine(report.text) }
    }
    if options.has(CommonOptions.json.name) {
      try printLine((["devices": .array(reports.map(\.json))] as JSONValue).formatted)
    }
    guard reports.allSatisfy(\.isConformant) else {
      throw Failure(
        .internalError, operation: "conform", subject: reports.map(\.device.name).joined(separator: ", "),
        expected: "every case to pass", got: reports.map(\.summary).joined(separator: "; "))
    }
  }

  private static func conformanceCases(of operation: String?) throws(Failure) -> [OperationCase] {
    guard let operation else { return OperationCase.all }
    let cases = OperationCase.all.filter { $0.operation == operation }
    guard cases.isEmpty else { return cases }
    let names = Set(OperationCase.all.map(\.operation)).sorted()
    throw Failure(
      .usage, operation: "run recall conform", subject: "--operation",
      expected: "one of \(names.joined(separator: ", "))", got: "\"\(operation)\"",
      advice: nearest(to: operation, among: names).map { "Did you mean \($0)?" } ?? "")
  }
}
