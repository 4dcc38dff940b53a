import CCUDA
import Compute
import ComputeCUDA
import ComputeKernels
import Foundation
import Testing

extension EmulatedDeviceTests {
  /// The emulated driver with single entry points replaced, as they answer when something is wrong.
  @Suite("Faults of the driver become errors that say what happened") struct FaultTests {
    private var libraries: CUDALibraries
    private let source = ProgramSource(file: "portable/add.cl", constants: ["GROUP_SIZE": 64])

    init() throws {
      libraries = try EmulatedCUDA.libraries()
      try EmulatedCUDA.runCopies(early: false)
    }

    private func error(_ operation: () throws -> Void) throws -> DeviceError {
      try #require(throws: DeviceError.self, performing: operation)
    }

    @Test("out of memory: how much was asked for and how much is free")
    func outOfMemory() throws {
      var libraries = libraries
      libraries.driver.allocate = { _, _ in CUDAStatus(CUDAOutOfMemory.rawValue) }
      libraries.driver.memoryInfo = { free, total in
        (free.pointee, total.pointee) = (12_345, 1 << 30)
        return 0
      }
      let device = try CUDADevice(
        libraries, ordinal: 0, options: CUDADevice.Options(usesBLAS: false, cache: ProgramCache(directory: nil)))
      let error = try error { _ = try device.allocate(byteCount: 99_999) }
      #expect(error.code == .outOfMemory)
      #expect(error.expected == "99999 bytes")
      #expect(error.got == "12345 bytes free")
      #expect(error.driverStatus == 2)
    }

    @Test("no memory that can be pinned")
    func noPinnedMemory() throws {
      var libraries = libraries
      libraries.driver.allocateHost = { _, _, _ in CUDAStatus(CUDAOutOfMemory.rawValue) }
      let device = try CUDADevice(libraries, ordinal: 0, options: EmulatedCUDA.options)
      #expect(try error { _ = try device.allocateHost(byteCount: 100) }.code == .outOfMemory)
    }

    @Test("a program that does not compile: the build log, with file and line")
    func badBuild() throws {
      let device = try CUDADevice(libraries, ordinal: 0, options: EmulatedCUDA.options)
      let error = try error {
        _ = try device.build(ProgramSource(file: "portable/add.cl", constants: ["GROUP_SIZE": 64, "sums": 7]))
      }
      #expect(error.code == .buildFailed)
      #expect(error.operation == "compile portable/add.cl")
      #expect(error.detail.contains("portable/add.cl:"))
    }

    @Test("a module that the driver does not load")
    func badModule() throws {
      var libraries = libraries
      libraries.driver.loadModule = { _, _ in 209 }
      let device = try CUDADevice(libraries, ordinal: 0, options: EmulatedCUDA.options)
      let error = try error { _ = try device.build(source) }
      #expect(error.code == .driver)
      #expect(error.driverStatus == 209)
    }

    @Test("an entry that the module lacks")
    func missingEntry() throws {
      let device = try CUDADevice(libraries, ordinal: 0, options: EmulatedCUDA.options)
      let program = try device.build(source)
      let error = try error { _ = try device.kernel("subtract", of: program) }
      #expect(error.operation == "look up subtract")
      #expect(error.code == .driver)
    }

    @Test("a device that is lost, while launching and while waiting", arguments: [46, 700, 719] as [CUDAStatus])
    func lostDevice(status: CUDAStatus) throws {
      // A C function has no captures: the status is one of three.
      var libraries = libraries
      switch status {
      case 46: libraries.driver.synchronizeContext = { 46 }
      case 700: libraries.driver.synchronizeContext = { 700 }
      default: libraries.driver.synchronizeContext = { 719 }
      }
      libraries.driver.launch = { _, _, _, _, _, _, _, _, _, _, _ in 719 }
      let device = try CUDADevice(libraries, ordinal: 0, options: EmulatedCUDA.options)
      let waiting = try error { try device.synchronize() }
      #expect(waiting.code == .deviceLost)
      #expect(waiting.driverStatus == Int(status))
      #expect(waiting.got.hasPrefix("CUDA_ERROR_"))
      let kernel = try device.kernel("add", of: device.build(source))
      let launching = try error { try device.launch(kernel, groups: 1, [], operation: "add") }
      #expect(launching.code == .deviceLost)
      #expect(launching.operation == "add")
    }

    @Test("a transfer that fails says so where it is waited for")
    func failedTransfer() throws {
      var libraries = libraries
      libraries.driver.synchronizeEvent = { _ in 719 }
      let device = try CUDADevice(libraries, ordinal: 0, options: EmulatedCUDA.options)
      let matrix = try Matrix(device.allocate(byteCount: 8), rows: 1, columns: 2, elementType: .float32)
      let transfer = try device.enqueueDownload(matrix, into: device.allocateHost(byteCount: 8))
      #expect(try error { try transfer.wait() }.code == .deviceLost)
    }

    @Test("a driver that is too old")
    func oldDriver() throws {
      var driver = libraries.driver
      driver.driverVersion = { version in
        version.pointee = 10_020
        return 0
      }
      let error = try error { _ = try CUDALibraries(driver: driver) }
      #expect(error.code == .driver)
      #expect(error.expected == "a driver for CUDA 11.2 or later")
      #expect(error.got == "the driver is too old: it is for CUDA 10.2")
    }

    @Test("no device: none that the driver counts, and none that it starts for")
    func noDevice() throws {
      var libraries = libraries
      libraries.driver.deviceCount = { count in
        count.pointee = 0
        return 0
      }
      #expect(try error { _ = try CUDADevice.descriptions(libraries) }.code == .unavailable)
      libraries = try EmulatedCUDA.libraries()
      libraries.driver.initialize = { _ in CUDAStatus(CUDANoDevice.rawValue) }
      let error = try error { _ = try CUDADevice(libraries, ordinal: 0, options: EmulatedCUDA.options) }
      #expect(error.code == .unavailable)
      #expect(error.got == "no device")
    }

    @Test("a number that no device has")
    func missingDevice() throws {
      let error = try error { _ = try CUDADevice(libraries, ordinal: 3, options: EmulatedCUDA.options) }
      #expect(error.code == .unavailable)
      #expect(error.expected == "a device of number 3")
    }

    @Test("a driver that does not start")
    func failedStart() throws {
      var libraries = libraries
      libraries.driver.initialize = { _ in 803 }
      let error = try error { _ = try CUDADevice.descriptions(libraries) }
      #expect(error.code == .driver)
      #expect(error.driverStatus == 803)
    }

    @Test("a library without one of the symbols: it is named")
    func missingSymbol() throws {
      // The C library has none of the driver's symbols; the first one is named.
      var driver = libraries.driver
      var reason = [CChar](repeating: 0, count: 512)
      #expect(!CUDADriverOpen("libc.so.6", &driver, &reason, reason.count))
      #expect(
        String(decoding: reason.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
          == "libc.so.6: it has no symbol cuInit")
      #expect(!CUDADriverOpen("libno-such.so.1", &driver, &reason, reason.count))
      #expect(
        String(decoding: reason.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self).contains(
          "libno-such.so.1"))
    }

    @Test("a device older than all that the compiler knows, and one newer")
    func architectures() throws {
      let compilation = try CUDACompilation(libraries.compiler)
      #expect(try compilation.target(for: 90) == .machine(90))
      #expect(try compilation.target(for: 89) == .machine(80))
      #expect(try compilation.target(for: 120) == .assembly(90))
      let error = try error { _ = try compilation.target(for: 70) }
      #expect(error.code == .unavailable)
      #expect(error.got == "compute capability 7.0")
    }
  }
}
