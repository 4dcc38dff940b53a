import CCUDA
import Compute
import ComputeCUDA
import ComputeKernels
import Foundation
import Testing

/// The libraries of `Tests/CUDAEmulator`, built once for all tests of this process.
enum EmulatedCUDA {
  /// The directory of the libraries.
  static let directory: Result<URL, any Error> = Result {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("recall-cuda-\(getpid())")
    let build = Process()
    build.executableURL = folder.appendingPathComponent("CUDAEmulator/build")
    build.arguments = [directory.path]
    try build.run()
    build.waitUntilExit()
    try #require(build.terminationStatus == 0, "Tests/CUDAEmulator/build")
    atexit { try? FileManager.default.removeItem(at: EmulatedCUDA.directory.get()) }
    return directory
  }

  /// A device as users open it, but for compiled programs, which change with the emulator.
  static var options: CUDADevice.Options { CUDADevice.Options(cache: ProgramCache(directory: nil)) }

  /// The emulated driver, compiler and cuBLAS.
  static func libraries() throws -> CUDALibraries {
    try CUDALibraries.open(from: [directory.get().path])
  }

  /// Whether copies run as soon as events let them, or as late as they can.
  static func runCopies(early: Bool) throws {
    typealias Setter = @convention(c) (Bool) -> Void
    unsafeBitCast(try symbol("EmulatedCUDARunCopiesEarly"), to: Setter.self)(early)
  }

  /// The bytes that are allocated on the device.
  static func allocatedBytes() throws -> Int {
    typealias Getter = @convention(c) () -> Int
    return unsafeBitCast(try symbol("EmulatedCUDAAllocatedBytes"), to: Getter.self)()
  }

  private static func symbol(_ name: String) throws -> UnsafeMutableRawPointer {
    let path = try directory.get().appendingPathComponent("libcuda.so.1").path
    let library = try #require(dlopen(path, RTLD_NOW | RTLD_LOCAL))
    return try #require(dlsym(library, name))
  }
}
