import CCUDA
import Compute
import ComputeKernels

/// An NVIDIA device as the kernels see it: memory, programs and launches on the compute stream, copies on streams of their
/// own.
package final class CUDADevice: KernelDevice {
  /// What can be chosen about a device.
  package struct Options: Sendable {
    /// Whether matrix products may go to cuBLAS.
    package var usesBLAS: Bool
    /// From how many multiplications on an RBF matrix is computed around a product of cuBLAS'.
    package var radialBasisFrom: Int
    /// Where compiled programs are kept.
    package var cache: ProgramCache

    /// Describes a choice.
    package init(usesBLAS: Bool = true, radialBasisFrom: Int = 1 << 26, cache: ProgramCache = .standard) {
      self.usesBLAS = usesBLAS
      self.radialBasisFrom = radialBasisFrom
      self.cache = cache
    }
  }

  /// What this device is: driver, compiler and cuBLAS in `details`.
  package let description: DeviceDescription
  package let limits: KernelLimits
  package let hasTensorCores: Bool
  package let products: (any MatrixProducts)?
  private let session: CUDASession
  private let memory: CUDAMemory
  private let pinned: PinnedMemory
  private let programs: CUDAPrograms
  /// Host memory that copies still use.
  private var copying: [(host: HostBuffer, arrival: CUDAPoint)] = []
  /// How many copies to and from the host were enqueued.
  private var copies = 0

  /// Opens a device by its number.
  ///
  /// - Throws: `DeviceError.Code.unavailable` when there is no such device or NVRTC does not know it.
  package init(_ libraries: CUDALibraries, ordinal: Int, options: Options = Options()) throws(DeviceError) {
    session = try CUDASession(libraries.driver, ordinal: ordinal)
    memory = CUDAMemory(session)
    pinned = PinnedMemory(session)
    description = try CUDADevice.describe(session.driver, session.device, libraries)
    let check = CUDAStatusCheck(driver: session.driver, operation: "describe a CUDA device")
    let capability = try session.driver.capability(of: session.device, check)
    // Those of Volta and Turing know float16 only.
    hasTensorCores = capability >= 80
    programs = try CUDAPrograms(
      session, memory, libraries, device: description.name, capability: capability, cache: options.cache)
    limits = KernelLimits(
      groupSize: try session.driver.attribute(CUDAMaxThreadsPerBlock, of: session.device, check),
      localMemory: try session.driver.attribute(CUDAMaxSharedMemoryPerBlock, of: session.device, check),
      computeUnits: try session.driver.attribute(CUDAMultiprocessorCount, of: session.device, check))
    if options.usesBLAS, let blas = libraries.blas {
      products = try CUDAProducts(
        blas, session, memory, programs, hasBrainProducts: hasTensorCores, radialBasisFrom: options.radialBasisFrom)
    } else {
      products = nil
    }
  }

  /// The programs that this device runs beside those of the portable operations.
  package static var ownSources: [ProgramSource] { CUDAProducts.sources }

  // MARK: Memory

  package func allocate(byteCount: Int) throws(DeviceError) -> DeviceBuffer {
    try memory.allocate(byteCount: byteCount)
  }

  package func allocateHost(byteCount: Int) throws(DeviceError) -> HostBuffer {
    try pinned.allocate(byteCount: byteCount)
  }

  package func upload(_ host: HostBuffer) throws(DeviceError) -> DeviceBuffer {
    let (buffer, arrival) = try memory.upload(host)
    try keep(host, until: arrival)
    return buffer
  }

  package func enqueueDownload(_ matrix: Matrix, into host: HostBuffer) throws(DeviceError) -> Transfer {
    let arrival = try memory.download(matrix, into: host)
    try keep(host, until: arrival)
    return Transfer { () throws(DeviceError) in try arrival.wait("download") }
  }

  package func enqueueCopy(_ source: Matrix, into destination: Matrix) throws(DeviceError) {
    let check = try session.enter("copy")
    for matrix in [source, destination] { try memory.use(matrix, check) }
    try check(
      session.driver.copyOnDevice(destination.address, source.address, source.byteCount, session.compute),
      "a copy enqueued")
    memory.computeStreamMoved()
  }

  package func time(_ operations: () throws(DeviceError) -> Void) throws(DeviceError) -> DeviceTime {
    try synchronize()
    let check = try session.enter("time")
    let start = try CUDAPoint(in: session.compute, of: session, timed: true, check)
    let before = copies
    try operations()
    // The compute stream does not wait for copies that it needs nothing of.
    if copies > before {
      for stream in [session.uploads, session.downloads] {
        try CUDAPoint(in: stream, of: session, check).hold(session.compute, check)
      }
    }
    let end = try CUDAPoint(in: session.compute, of: session, timed: true, check)
    try synchronize()
    return DeviceTime(seconds: try end.seconds(since: start, check), clock: .device)
  }

  package func synchronize() throws(DeviceError) {
    let check = try session.enter("synchronize")
    try check(session.driver.synchronizeContext(), "all work done")
    copying = []
  }

  /// Keeps host memory from being used for something else while a copy reads or writes it.
  private func keep(_ host: HostBuffer, until arrival: CUDAPoint) throws(DeviceError) {
    let check = try session.enter("copy")
    // Copies of one direction arrive in order, so the first that has not arrived ends the search soon enough.
    while let first = copying.first, try first.arrival.hasPassed(check) { copying.removeFirst() }
    copying.append((host, arrival))
    copies += 1
  }

  // MARK: Programs

  package func build(_ source: ProgramSource) throws(DeviceError) -> CUDAProgram { try programs.build(source) }

  package func kernel(_ entry: String, of program: CUDAProgram) throws(DeviceError) -> CUDAKernel {
    try programs.kernel(entry, of: program)
  }

  package func launch(
    _ kernel: CUDAKernel, groups: Int, _ arguments: [KernelArgument], operation: String
  ) throws(DeviceError) {
    try programs.launch(kernel, groups: groups, arguments, operation: operation)
  }
}
