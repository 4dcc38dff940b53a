import Compute
import Conformance
import Testing

@Suite("A conformance report finds faults and says what they are") struct ConformanceReportTests {
  private func report(_ faults: [String: FaultyBackend.Fault], of operation: String) throws -> ConformanceReport {
    let backend = try FaultyBackend(faults)
    let device = BackendCatalog.NamedDevice(name: "faulty:0", description: backend.device)
    return ConformanceReport(
      OperationCase.all.filter { $0.operation == operation }, of: device, on: backend)
  }

  @Test("a sound device conforms, with a rate for every case that has work")
  func sound() throws {
    let report = try report([:], of: "multiply")
    #expect(report.isConformant)
    #expect(report.passed == report.cases.count && report.failures.isEmpty && report.skips.isEmpty)
    #expect(report.cases.allSatisfy { ($0.rate ?? 0) > 0 || $0.flops == 0 })
    #expect(report.text.contains("GB/s"))
    #expect(report.json["failed"]?.integer == 0)
  }

  @Test(
    "an operation that does nothing, writes too far or fails in the driver",
    arguments: [
      (FaultyBackend.Fault.idle, "add", "expected exactly"), (.idle, "multiply", "relative error"),
      (.writesTooFar, "add", "behind its end"), (.writesTooFar, "multiply", "behind its end"),
      (.fails, "multiply", "driver status 7"),
    ])
  func faults(fault: FaultyBackend.Fault, operation: String, words: String) throws {
    let report = try report([operation: fault], of: operation)
    #expect(!report.isConformant)
    #expect(!report.failures.isEmpty)
    #expect(report.failures.contains { $0.reason.contains(words) }, "\(report.failures)")
    #expect(report.text.contains("FAILED \(operation)"))
    #expect(report.json["failed"]?.integer == report.failures.count)
  }

  @Test("an operation that the backend lacks is counted apart, and is no conformance")
  func skipped() throws {
    let report = try report(["attention": .unsupported], of: "attention")
    #expect(report.passed == 0 && report.failures.isEmpty && report.skips.count == report.cases.count)
    #expect(!report.isConformant)
    #expect(report.text.contains("\(report.cases.count) skipped"))
  }

  @Test("no case at all is no conformance")
  func empty() throws { #expect(try !report([:], of: "nothing").isConformant) }
}
