import COpenCL
import Compute
import ComputeKernels

/// An OpenCL device as one in-order queue.
final class OpenCLDevice: KernelDevice {
  let description: DeviceDescription
  let limits: KernelLimits
  /// OpenCL has no words for them.
  var hasTensorCores: Bool { false }
  /// None: every product is computed by the kernel of ours.
  var products: (any MatrixProducts)? { nil }
  private let session: OpenCLSession
  private let environment: [String]
  private let cache: ProgramCache
  /// Host memory on its way to the device, which has to live until it is there.
  private var uploads: [(command: OpenCLCommand, host: HostBuffer)] = []

  init(
    _ listing: OpenCLDeviceListing, _ library: OpenCLLibrary, cache: ProgramCache, limits: KernelLimits?
  ) throws(DeviceError) {
    session = try OpenCLSession(listing, library)
    description = listing.description
    environment = listing.environment
    self.limits = limits ?? listing.limits
    self.cache = cache
  }

  // MARK: Memory

  func allocate(byteCount: Int) throws(DeviceError) -> DeviceBuffer {
    let session = session
    let memory = try session.makeBuffer(byteCount: byteCount, flags: OpenCLMemoryReadWrite, operation: "allocate")
    return DeviceBuffer(byteCount: byteCount, handle: UInt(bitPattern: memory)) {
      session.release(memory, byteCount: byteCount)
    }
  }

  func allocateHost(byteCount: Int) throws(DeviceError) -> HostBuffer {
    let session = session
    let operation = "allocate host memory"
    let memory = try session.makeBuffer(byteCount: byteCount, flags: OpenCLMemoryAllocateHost, operation: operation)
    var status: OpenCLStatus = 0
    let address = session.library.map(
      session.mappingQueue, memory, 1, OpenCLMapReadWrite, 0, max(1, byteCount), 0, nil, nil, &status)
    guard let address, status == OpenCLSuccess else {
      session.release(memory, byteCount: byteCount)
      throw OpenCLStatusCheck(operation: operation).error(status, "\(byteCount) bytes that the host can reach")
    }
    let buffer = OpenCLHostMemory(memory, session)
    return HostBuffer(byteCount: byteCount, address: address) { address in
      _ = session.library.unmap(session.mappingQueue, buffer.memory, address, 0, nil, nil)
      session.release(buffer.memory, byteCount: byteCount)
    }
  }

  func upload(_ host: HostBuffer) throws(DeviceError) -> DeviceBuffer {
    let buffer = try allocate(byteCount: host.byteCount)
    guard host.byteCount > 0 else { return buffer }
    let command = try enqueue("upload", "\(host.byteCount) bytes to the device") { event in
      session.library.write(session.queue, buffer.memory, 0, 0, host.byteCount, host.address, 0, nil, event)
    }
    try OpenCLStatusCheck(operation: "upload")(session.library.flush(session.queue), "the command to be taken")
    uploads.removeAll { $0.command.isOver }
    uploads.append((command, host))
    return buffer
  }

  func enqueueDownload(_ matrix: Matrix, into host: HostBuffer) throws(DeviceError) -> Transfer {
    let command = try enqueue("download", "\(matrix.byteCount) bytes from the device") { event in
      session.library.read(
        session.queue, matrix.buffer.memory, 0, matrix.byteOffset, matrix.byteCount, host.address, 0, nil, event)
    }
    try OpenCLStatusCheck(operation: "download")(session.library.flush(session.queue), "the command to be taken")
    return Transfer { () throws(DeviceError) in
      try command.wait(operation: "download")
      withExtendedLifetime(host) {}
    }
  }

  func enqueueCopy(_ source: Matrix, into destination: Matrix) throws(DeviceError) {
    try OpenCLStatusCheck(operation: "copy")(
      session.library.copy(
        session.queue, source.buffer.memory, destination.buffer.memory, source.byteOffset, destination.byteOffset,
        source.byteCount, 0, nil, nil), "\(source.byteCount) bytes copied")
  }

  func synchronize() throws(DeviceError) {
    try OpenCLStatusCheck(operation: "synchronize")(
      session.library.finish(session.queue), "the end of everything enqueued")
    uploads.removeAll()
  }

  func time(_ operations: () throws(DeviceError) -> Void) throws(DeviceError) -> DeviceTime {
    let start = try marker()
    try operations()
    let end = try marker()
    try synchronize()
    return DeviceTime(seconds: Double(end.end - start.end) / 1e9, clock: .device)
  }

  private func marker() throws(DeviceError) -> OpenCLCommand {
    try enqueue("time", "an event of the queue") { session.library.marker(session.queue, 0, nil, $0) }
  }

  private func enqueue(
    _ operation: String, _ expected: String, _ call: (UnsafeMutablePointer<OpenCLEvent?>) -> OpenCLStatus
  ) throws(DeviceError) -> OpenCLCommand {
    var event: OpenCLEvent?
    let status = call(&event)
    return OpenCLCommand(try OpenCLStatusCheck(operation: operation).made(event, status, expected), session)
  }

  // MARK: Programs

  func build(_ source: ProgramSource) throws(DeviceError) -> OpenCLProgram {
    let key = ProgramCache.Key(source, in: .openCL, environment: environment)
    if let binary = cache.binary(for: key), let program = OpenCLProgram(binary: binary, of: source, session) {
      return program
    }
    let program = try OpenCLProgram(compiling: source, session)
    if let binary = program.binary { cache.store(binary, for: key) }
    return program
  }

  func kernel(_ entry: String, of program: OpenCLProgram) throws(DeviceError) -> OpenCLKernel {
    try OpenCLKernel(entry, of: program)
  }

  func launch(
    _ kernel: OpenCLKernel, groups: Int, _ arguments: [KernelArgument], operation: String
  ) throws(DeviceError) {
    let check = OpenCLStatusCheck(operation: operation)
    var index: UInt32 = 0
    func set<Value>(_ value: Value) throws(DeviceError) {
      let status = withUnsafeBytes(of: value) {
        session.library.setArgument(kernel.handle, index, $0.count, $0.baseAddress)
      }
      try check(status, "argument \(index) of \(kernel.entry) to fit")
      index += 1
    }
    for argument in arguments {
      switch argument {
      case .matrix(let matrix):
        try set(matrix.buffer.memory)
        try set(UInt64(matrix.elementOffset))
      case .int32(let value): try set(value)
      case .uint32(let value): try set(value)
      case .uint64(let value): try set(value)
      case .float(let value): try set(value)
      }
    }
    var localSize = kernel.program.groupSize
    var globalSize = groups * localSize
    try check(
      session.library.launch(session.queue, kernel.handle, 1, nil, &globalSize, &localSize, 0, nil, nil),
      "\(groups) groups of \(localSize)")
  }
}

/// A buffer whose bytes the host sees.
private struct OpenCLHostMemory: @unchecked Sendable {
  let memory: OpenCLMemory
  let session: OpenCLSession

  init(_ memory: OpenCLMemory, _ session: OpenCLSession) {
    self.memory = memory
    self.session = session
  }
}

extension DeviceBuffer {
  /// What the driver knows the memory by.
  fileprivate var memory: OpenCLMemory {
    guard let memory = OpenCLMemory(bitPattern: handle) else {
      preconditionFailure("a device buffer that no OpenCL backend made")
    }
    return memory
  }
}
