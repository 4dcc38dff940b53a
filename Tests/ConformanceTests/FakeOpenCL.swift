import COpenCL
import Compute
import ComputeKernels
import ComputeOpenCL

/// A driver on paper: one platform with one device, on which every call succeeds and nothing is computed.
///
/// Tests replace single entries. An entry is a C function, so it can remember nothing.
enum FakeOpenCL {
  /// Opens the device of a driver with some entries replaced.
  static func open(_ change: (inout OpenCLLibrary) -> Void) throws(DeviceError) -> any ComputeBackend {
    try provider(change).open(0)
  }

  /// The devices of a driver with some entries replaced.
  static func provider(_ change: (inout OpenCLLibrary) -> Void) -> OpenCLProvider {
    var library = working
    change(&library)
    return OpenCLProvider(.table(OpenCLTable(library)), cache: ProgramCache(directory: nil))
  }

  /// Any handle: nothing looks behind it.
  static var handle: OpaquePointer? { OpaquePointer(bitPattern: 16) }

  /// Writes a number as the answer to a question for it.
  static func answer<Number: FixedWidthInteger>(
    _ number: Number, _ value: UnsafeMutableRawPointer?, _ size: UnsafeMutablePointer<Int>?
  ) -> OpenCLStatus {
    value?.storeBytes(of: number, as: Number.self)
    size?.pointee = MemoryLayout<Number>.size
    return OpenCLSuccess
  }

  /// Writes a text as the answer to a question for it.
  static func answer(
    _ text: StaticString, _ value: UnsafeMutableRawPointer?, _ size: UnsafeMutablePointer<Int>?
  ) -> OpenCLStatus {
    value?.copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
    size?.pointee = text.utf8CodeUnitCount
    return OpenCLSuccess
  }

  static let megabyte = 1 << 20

  private static var working: OpenCLLibrary {
    OpenCLLibrary(
      platforms: { capacity, platforms, count in
        if capacity > 0 { platforms?.pointee = FakeOpenCL.handle }
        count?.pointee = 1
        return OpenCLSuccess
      },
      platformInfo: { _, _, _, value, size in FakeOpenCL.answer("Paper 1.2", value, size) },
      devices: { _, _, capacity, devices, count in
        if capacity > 0 { devices?.pointee = FakeOpenCL.handle }
        count?.pointee = 1
        return OpenCLSuccess
      },
      deviceInfo: { _, name, _, value, size in
        switch name {
        case OpenCLDeviceType: FakeOpenCL.answer(OpenCLTypeGPU, value, size)
        case OpenCLDeviceMaxComputeUnits: FakeOpenCL.answer(UInt32(4), value, size)
        case OpenCLDeviceMaxWorkGroupSize: FakeOpenCL.answer(UInt(256), value, size)
        case OpenCLDeviceLocalMemorySize: FakeOpenCL.answer(UInt64(32 << 10), value, size)
        case OpenCLDeviceGlobalMemorySize, OpenCLDeviceMaxMemoryAllocationSize:
          FakeOpenCL.answer(UInt64(FakeOpenCL.megabyte), value, size)
        case OpenCLDeviceSingleFloatConfig: FakeOpenCL.answer(OpenCLFloatDenormals, value, size)
        case OpenCLDeviceAvailable, OpenCLDeviceCompilerAvailable: FakeOpenCL.answer(UInt32(1), value, size)
        case OpenCLDeviceExtensions: FakeOpenCL.answer("cl_khr_fp16", value, size)
        default: FakeOpenCL.answer("paper", value, size)
        }
      },
      createContext: { _, _, _, _, _, status in
        status.pointee = OpenCLSuccess
        return FakeOpenCL.handle
      },
      releaseContext: { _ in OpenCLSuccess },
      createQueue: { _, _, _, status in
        status.pointee = OpenCLSuccess
        return FakeOpenCL.handle
      },
      releaseQueue: { _ in OpenCLSuccess },
      flush: { _ in OpenCLSuccess },
      finish: { _ in OpenCLSuccess },
      createBuffer: { _, _, byteCount, _, status in
        status.pointee = OpenCLSuccess
        return OpaquePointer(UnsafeMutableRawPointer.allocate(byteCount: byteCount, alignment: 4096))
      },
      releaseMemory: { memory in
        UnsafeMutableRawPointer(memory).deallocate()
        return OpenCLSuccess
      },
      map: { _, memory, _, _, _, _, _, _, _, status in
        status.pointee = OpenCLSuccess
        return UnsafeMutableRawPointer(memory)
      },
      unmap: { _, _, _, _, _, _ in OpenCLSuccess },
      read: { _, _, _, _, _, _, _, _, event in
        event?.pointee = FakeOpenCL.handle
        return OpenCLSuccess
      },
      write: { _, _, _, _, _, _, _, _, event in
        event?.pointee = FakeOpenCL.handle
        return OpenCLSuccess
      },
      copy: { _, _, _, _, _, _, _, _, _ in OpenCLSuccess },
      programWithSource: { _, _, _, _, status in
        status.pointee = OpenCLSuccess
        return FakeOpenCL.handle
      },
      programWithBinary: { _, _, _, _, _, _, status in
        status.pointee = OpenCLSuccess
        return FakeOpenCL.handle
      },
      build: { _, _, _, _, _, _ in OpenCLSuccess },
      buildInfo: { _, _, _, _, value, size in FakeOpenCL.answer("the log", value, size) },
      programInfo: { _, _, _, value, size in FakeOpenCL.answer(UInt(0), value, size) },
      releaseProgram: { _ in OpenCLSuccess },
      createKernel: { _, _, status in
        status.pointee = OpenCLSuccess
        return FakeOpenCL.handle
      },
      releaseKernel: { _ in OpenCLSuccess },
      setArgument: { _, _, _, _ in OpenCLSuccess },
      launch: { _, _, _, _, _, _, _, _, _ in OpenCLSuccess },
      marker: { _, _, _, event in
        event?.pointee = FakeOpenCL.handle
        return OpenCLSuccess
      },
      wait: { _, _ in OpenCLSuccess },
      eventInfo: { _, _, _, value, size in FakeOpenCL.answer(OpenCLComplete, value, size) },
      eventTime: { _, _, _, value, size in FakeOpenCL.answer(UInt64(1), value, size) },
      releaseEvent: { _ in OpenCLSuccess })
  }
}
