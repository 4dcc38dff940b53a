import CCUDA
import Compute
import ComputeKernels

/// A module on the device.
package final class CUDAProgram {
  fileprivate let module: CUDAModule
  fileprivate let groupSize: Int
  private let session: CUDASession

  fileprivate init(_ module: CUDAModule, groupSize: Int, _ session: CUDASession) {
    self.module = module
    self.groupSize = groupSize
    self.session = session
  }

  deinit {
    session.enterToRelease()
    _ = session.driver.unloadModule(module)
  }
}

/// An entry of a module, which lives as long as the entry.
package struct CUDAKernel {
  fileprivate let function: CUDAFunction
  fileprivate let program: CUDAProgram
}

/// Programs of one device: compiled, loaded, and launched on the compute stream.
final class CUDAPrograms {
  private let session: CUDASession
  private let memory: CUDAMemory
  private let compilation: CUDACompilation
  private let target: CUDACompilation.Target
  private let cache: ProgramCache
  /// What a compiled program depends on beside its source.
  private let environment: [String]

  /// Prepares a compiler for the session's device.
  init(
    _ session: CUDASession, _ memory: CUDAMemory, _ libraries: CUDALibraries, device: String, capability: Int,
    cache: ProgramCache
  ) throws(DeviceError) {
    self.session = session
    self.memory = memory
    compilation = try CUDACompilation(libraries.compiler)
    target = try compilation.target(for: capability)
    self.cache = cache
    environment =
      [device, "driver \(libraries.driverVersion)", "NVRTC \(compilation.version)"]
      + CUDACompilation.options(for: target)
  }

  /// Loads a program from the cache, or else compiles and stores it.
  ///
  /// - Throws: `DeviceError.Code.buildFailed` with the build log.
  func build(_ source: ProgramSource) throws(DeviceError) -> CUDAProgram {
    let check = try session.enter("load \(source.file)")
    let key = ProgramCache.Key(source, in: .cuda, environment: environment)
    // What the driver does not take from the cache is compiled again.
    if let image = cache.binary(for: key), let program = try? load(image, of: source, check) { return program }
    let image = try compilation.compile(source, for: target).image
    cache.store(image, for: key)
    return try load(image, of: source, check)
  }

  private func load(
    _ image: [UInt8], of source: ProgramSource, _ check: CUDAStatusCheck
  ) throws(DeviceError) -> CUDAProgram {
    var module: CUDAModule?
    // The driver finds the end of assembly by a zero.
    let status = (image + [0]).withUnsafeBytes { bytes in
      bytes.baseAddress.map { session.driver.loadModule(&module, $0) } ?? CUDAStatus(1)
    }
    try check(status, "a module for \(target.name)")
    guard let module else { throw check.nothing("a module") }
    return CUDAProgram(module, groupSize: source.groupSize, session)
  }

  /// Looks up an entry.
  func kernel(_ entry: String, of program: CUDAProgram) throws(DeviceError) -> CUDAKernel {
    let check = try session.enter("look up \(entry)")
    var function: CUDAFunction?
    try check(session.driver.function(&function, program.module, entry), "an entry of the module")
    guard let function else { throw check.nothing("an entry of the module") }
    return CUDAKernel(function: function, program: program)
  }

  /// Enqueues groups of a kernel behind the copies that its matrices wait for.
  func launch(
    _ kernel: CUDAKernel, groups: Int, _ arguments: [KernelArgument], operation: String
  ) throws(DeviceError) {
    guard groups > 0 else { return }
    let check = try session.enter(operation)
    guard let gridSize = Int32(exactly: groups) else {
      throw DeviceError(
        .unsupported, operation: operation, expected: "at most \(Int32.max) groups", got: "\(groups)")
    }
    var words: [UInt64] = []
    for argument in arguments {
      switch argument {
      case .matrix(let matrix):
        try memory.use(matrix, check)
        words += [UInt64(matrix.buffer.handle), UInt64(matrix.elementOffset)]
      case .int32(let value): words.append(UInt64(UInt32(bitPattern: value)))
      case .uint32(let value): words.append(UInt64(value))
      case .uint64(let value): words.append(value)
      case .float(let value): words.append(UInt64(value.bitPattern))
      }
    }
    // The driver reads each argument, of the size that the kernel declares, from the start of its word.
    let status = words.withUnsafeMutableBufferPointer { words in
      withUnsafeTemporaryAllocation(of: UnsafeMutableRawPointer?.self, capacity: max(1, words.count)) { pointers in
        for index in words.indices { pointers[index] = words.baseAddress.map { UnsafeMutableRawPointer($0 + index) } }
        guard let first = pointers.baseAddress else { return CUDAStatus(1) }
        return session.driver.launch(
          kernel.function, UInt32(gridSize), 1, 1, UInt32(kernel.program.groupSize), 1, 1, 0, session.compute, first,
          nil)
      }
    }
    memory.computeStreamMoved()
    try check(status, "\(groups) groups launched")
  }
}
