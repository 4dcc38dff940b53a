import Compute
import ComputeCUDA
import ComputeKernels
import Conformance
import Testing

extension EmulatedDeviceTests {
  @Suite("The kernels' CUDA text gives what the formulas say") struct ConformanceTests {
    @Test(
      "every case, with cuBLAS and without, with copies early and late",
      arguments: [(true, false), (true, true), (false, false)])
    func cases(usesBLAS: Bool, early: Bool) throws {
      try EmulatedCUDA.runCopies(early: early)
      let options = CUDADevice.Options(usesBLAS: usesBLAS, cache: ProgramCache(directory: nil))
      let backend = try KernelBackend(CUDADevice(EmulatedCUDA.libraries(), ordinal: 0, options: options))
      #expect(backend.driver.hasTensorCores)
      for operationCase in OperationCase.all {
        let report = operationCase.check(on: backend)
        #expect(report.outcome == .passed, "\(operationCase.name)")
      }
    }
  }
}
