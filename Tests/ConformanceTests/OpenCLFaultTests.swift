import COpenCL
import Compute
import ComputeKernels
import ComputeOpenCL
import Testing

@Suite("What goes wrong in an OpenCL driver is an error that says so") struct OpenCLFaultTests {
  private func error(
    _ change: (inout OpenCLLibrary) -> Void, in work: (any ComputeBackend) throws -> Void
  ) throws -> DeviceError {
    try #require(throws: DeviceError.self) { try work(FakeOpenCL.open(change)) }
  }

  private func add(_ backend: any ComputeBackend) throws {
    let sum = try backend.allocate(rows: 1, columns: 4)
    try backend.add(sum, to: sum)
  }

  @Test("the driver on paper works, and is described")
  func working() throws {
    let provider = FakeOpenCL.provider { _ in }
    let device = try #require(try provider.devices().first)
    #expect(device.kind == .gpu && device.name == "paper" && device.memory == FakeOpenCL.megabyte)
    #expect(device.nativeTypes == [.float32, .float16])
    #expect(device.details == ["Paper 1.2", "paper", "driver paper", "subnormal numbers"])
    try add(FakeOpenCL.open { _ in })
  }

  @Test("no library, and a library that lacks a symbol, which is named")
  func library() throws {
    let absent = try #require(throws: DeviceError.self) { try OpenCLProvider(.library("libNothing.so.7")).devices() }
    #expect(absent.code == .unavailable)
    #expect(absent.detail.contains("libNothing.so.7"))
    let other = try #require(throws: DeviceError.self) { try OpenCLProvider(.library("libm.so.6")).devices() }
    #expect(other.code == .driver)
    #expect(other.detail == "libm.so.6: it has no symbol clGetPlatformIDs")
  }

  @Test("no platform, by count and by the loader's own status; no device; a platform that fails")
  func nothing() throws {
    let noPlatform = FakeOpenCL.provider {
      $0.platforms = { _, _, count in
        count?.pointee = 0
        return OpenCLSuccess
      }
    }
    let noneKnown = FakeOpenCL.provider { $0.platforms = { _, _, _ in OpenCLPlatformNotFound } }
    for provider in [noPlatform, noneKnown] {
      let error = try #require(throws: DeviceError.self) { try provider.devices() }
      #expect(error.code == .unavailable)
      #expect(error.expected == "an installed driver (an OpenCL platform)")
    }
    let noDevice = FakeOpenCL.provider { $0.devices = { _, _, _, _, _ in OpenCLDeviceNotFound } }
    let error = try #require(throws: DeviceError.self) { try noDevice.devices() }
    #expect(error.code == .unavailable)
    #expect(error.expected == "a device on the OpenCL platform")
    let failing = FakeOpenCL.provider { $0.platforms = { _, _, _ in -30 } }
    let failure = try #require(throws: DeviceError.self) { try failing.devices() }
    #expect(failure.code == .driver && failure.driverStatus == -30)
  }

  @Test("a number beyond the last device, and a device without a compiler")
  func unusable() throws {
    let beyond = try #require(throws: DeviceError.self) { try FakeOpenCL.provider { _ in }.open(1) }
    #expect(beyond.code == .unavailable && beyond.got == "there are 1")
    let error = try error(
      {
        $0.deviceInfo = { _, name, _, value, size in
          name == OpenCLDeviceAvailable
            ? FakeOpenCL.answer(UInt32(1), value, size) : FakeOpenCL.answer(UInt32(0), value, size)
        }
      }, in: { _ in })
    #expect(error.code == .unavailable && error.got == "its driver has no compiler")
  }

  @Test("out of memory: asked, left and the most at once; also when the driver says so only when it uses the memory")
  func outOfMemory() throws {
    let large = try error({ _ in }, in: { _ = try $0.allocate(byteCount: FakeOpenCL.megabyte + 1) })
    #expect(large.code == .outOfMemory && large.operation == "allocate")
    #expect(large.expected == "1048577 bytes")
    #expect(large.got == "1048576 of 1048576 bytes not taken by this process, at most 1048576 at once")
    let refused = try error(
      {
        $0.createBuffer = { _, _, _, _, status in
          status.pointee = OpenCLOutOfResources
          return nil
        }
      }, in: { _ = try $0.allocateHost(byteCount: 64) })
    #expect(refused.code == .outOfMemory && refused.driverStatus == Int(OpenCLOutOfResources))
    let late = try error(
      {
        $0.launch = { _, _, _, _, _, _, _, _, _ in OpenCLMemoryAllocationFailure }
      }, in: add)
    #expect(late.code == .outOfMemory && late.operation == "add")
  }

  @Test("a program that does not compile: which one, with what options, and the log")
  func build() throws {
    let error = try error({ $0.build = { _, _, _, _, _, _ in OpenCLBuildProgramFailure } }, in: add)
    #expect(error.code == .buildFailed && error.operation == "compile portable/add.cl")
    #expect(error.expected == "a program for -cl-std=CL1.2 -DGROUP_SIZE=256")
    #expect(error.detail == "the log")
  }

  @Test("a lost device, at a launch, while waiting for everything, and while waiting for a copy")
  func lost() throws {
    let launch = try error(
      {
        $0.launch = { _, _, _, _, _, _, _, _, _ in OpenCLInvalidCommandQueue }
      }, in: add)
    #expect(launch.code == .deviceLost && launch.operation == "add")
    let finish = try error({ $0.finish = { _ in OpenCLDeviceNotAvailable } }, in: { try $0.synchronize() })
    #expect(finish.code == .deviceLost && finish.operation == "synchronize")
    let wait = try error(
      { $0.wait = { _, _ in OpenCLDeviceNotAvailable } },
      in: { backend in
        _ = try backend.download(backend.allocate(rows: 1, columns: 1))
      })
    #expect(wait.code == .deviceLost && wait.operation == "download")
  }

  @Test("an argument that the kernel does not take, and an entry that is not there")
  func kernels() throws {
    let argument = try error({ $0.setArgument = { _, index, _, _ in index == 2 ? -51 : OpenCLSuccess } }, in: add)
    #expect(argument.code == .driver && argument.expected == "argument 2 of add to fit")
    let entry = try error(
      {
        $0.createKernel = { _, _, status in
          status.pointee = -46
          return nil
        }
      }, in: add)
    #expect(entry.code == .driver && entry.operation == "add" && entry.driverStatus == -46)
  }
}
