import Compute
import ComputeCPU
import Testing

/// Devices that exist on paper, each of which opens the processor or fails.
private struct PaperProvider: BackendProvider {
  let backend: String
  var kinds: [DeviceDescription.Kind] = []
  var absence: DeviceError?
  var broken: Set<Int> = []

  func devices() throws(DeviceError) -> [DeviceDescription] {
    if let absence { throw absence }
    return kinds.enumerated().map { index, kind in
      DeviceDescription(
        backend: backend, name: "paper \(index)", kind: kind, memory: 1, nativeTypes: [.float32], details: [])
    }
  }

  func open(_ index: Int) throws(DeviceError) -> sending any ComputeBackend {
    if broken.contains(index) {
      throw DeviceError(.driver, operation: "open \(backend)", expected: "a context", got: "device \(index) is broken")
    }
    return try CPUBackend()
  }
}

@Suite("The catalog finds the device that is asked for, or says why not") struct BackendCatalogTests {
  private let noLibrary = DeviceError(
    .unavailable, operation: "open cuda", expected: "libcuda.so.1", got: "no such library")

  private func catalog(_ drivers: PaperProvider...) -> BackendCatalog {
    BackendCatalog(drivers: drivers, processor: CPUProvider())
  }

  @Test("names of devices, and what is none")
  func names() {
    let catalog = catalog(PaperProvider(backend: "cuda"), PaperProvider(backend: "opencl"))
    #expect(catalog.choice(named: "auto") == .auto)
    #expect(catalog.choice(named: "cpu") == .device(backend: "cpu", index: 0))
    #expect(catalog.choice(named: "cuda") == .device(backend: "cuda", index: 0))
    #expect(catalog.choice(named: "opencl:12") == .device(backend: "opencl", index: 12))
    for name in ["", "CUDA", "cuda:", "cuda:-1", "cuda:+1", "cuda:x", "cuda:1:2", ":1", "cpu:0", "metal", "cuda:٣"] {
      #expect(catalog.choice(named: name) == nil, "\(name)")
    }
    #expect(catalog.choiceSyntax == "auto|cpu|opencl[:N]|cuda[:N]")
  }

  @Test("auto takes the first GPU in the order of the drivers, else the processor")
  func auto() throws {
    let both = catalog(
      PaperProvider(backend: "cuda", kinds: [.gpu]), PaperProvider(backend: "opencl", kinds: [.gpu]))
    #expect(try both.open(.auto).device.name == "cuda:0")
    let second = catalog(
      PaperProvider(backend: "cuda", absence: noLibrary),
      PaperProvider(backend: "opencl", kinds: [.processor, .accelerator, .gpu]))
    let opened = try second.open(.auto)
    #expect(opened.device.name == "opencl:2")
    #expect(opened.passedOver.isEmpty, "a driver that is not installed is no news")
    let none = catalog(PaperProvider(backend: "opencl", kinds: [.processor]))
    #expect(try none.open(.auto).device.name == "cpu")
  }

  @Test("auto notes the GPUs that it could not open, and drivers that are there and do not work")
  func passedOver() throws {
    let tooOld = DeviceError(.driver, operation: "open cuda", expected: "driver 11.8", got: "10.1")
    let opened = try catalog(
      PaperProvider(backend: "cuda", absence: tooOld),
      PaperProvider(backend: "opencl", kinds: [.gpu, .gpu], broken: [0])
    ).open(.auto)
    #expect(opened.device.name == "opencl:1")
    #expect(opened.passedOver.map(\.got) == ["10.1", "device 0 is broken"])
    let onlyBroken = try catalog(PaperProvider(backend: "cuda", kinds: [.gpu], broken: [0])).open(.auto)
    #expect(onlyBroken.device.name == "cpu")
    #expect(onlyBroken.passedOver.count == 1)
  }

  @Test("a device that is not there: what is there, and the reason")
  func missing() throws {
    let catalog = catalog(
      PaperProvider(backend: "cuda", absence: noLibrary), PaperProvider(backend: "opencl", kinds: [.processor]))
    let outOfRange = try #require(throws: DeviceError.self) { try catalog.open(.device(backend: "opencl", index: 1)) }
    #expect(outOfRange.code == .unavailable)
    #expect(outOfRange.expected == "one of opencl:0, cpu")
    #expect(outOfRange.detail == "opencl has 1 device")
    let absent = try #require(throws: DeviceError.self) { try catalog.open(.device(backend: "cuda", index: 0)) }
    #expect(absent.code == .unavailable)
    #expect(absent.operation == "open cuda:0")
    #expect(absent.detail.contains("libcuda.so.1"))
  }

  @Test("a device that is asked for by name and fails: its own error, and no other device instead")
  func broken() throws {
    let catalog = catalog(PaperProvider(backend: "cuda", kinds: [.gpu], broken: [0]))
    let error = try #require(throws: DeviceError.self) { try catalog.open(.device(backend: "cuda", index: 0)) }
    #expect(error.code == .driver)
    #expect(error.got == "device 0 is broken")
  }
}
