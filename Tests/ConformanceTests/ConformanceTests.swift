import Compute
import ComputeCPU
import Conformance
import Testing

@Suite("The processor gives what the formulas say", .serialized) struct ConformanceTests {
  private static let backends =
    [
      CPUBackend.Options(),
      CPUBackend.Options(threads: 1),
      CPUBackend.Options(usesBLAS: false),
      CPUBackend.Options(threads: 1, usesBLAS: false),
    ]
    + CPUBackend.instructionSets.indices.dropFirst().map {
      CPUBackend.Options(threads: 3, usesBLAS: false, instructionSet: $0)
    }

  @Test(
    "every case, with a CBLAS and without, on one thread and on more, in every instruction set", arguments: backends)
  func cases(options: CPUBackend.Options) throws {
    let backend = try CPUBackend(options)
    for operationCase in OperationCase.all {
      let report = operationCase.check(on: backend)
      #expect(report.outcome == .passed, "\(operationCase.name) on \(backend.device.details)")
    }
  }

  @Test("every case can be timed without a reference")
  func timings() throws {
    let backend = try CPUBackend()
    for operationCase in OperationCase.all {
      let report = operationCase.time(on: backend, repetitions: 0)
      #expect(report.outcome == .passed, "\(operationCase.name)")
    }
  }
}
