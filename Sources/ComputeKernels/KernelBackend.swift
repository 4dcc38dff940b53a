import Compute

/// A compute backend that runs the portable kernels on a device: it checks the arguments, picks sizes, and launches.
///
/// The kernels compute what `Kernels/README.md` says, with the same text and the same arithmetic on every device, apart from
/// tensor cores. Numbers that lie on the device (tokens, positions, clusters) are not checked on the host, which would wait
/// for them: a row whose number is out of range becomes NaN, and no kernel leaves its matrices.
package final class KernelBackend<Device: KernelDevice>: ComputeBackend {
  /// The device and its driver.
  package let driver: Device
  /// What this device is.
  package var device: DeviceDescription { driver.description }
  let sizes: LaunchSizes
  private var programs: [ProgramSource: Device.Program] = [:]
  private var kernels: [KernelName: Device.Kernel] = [:]
  private var scratch: DeviceBuffer?

  private struct KernelName: Hashable {
    let program: ProgramSource
    let entry: String
  }

  /// Computes on a device.
  ///
  /// - Throws: `DeviceError.Code.unavailable` when the device's limits are too small for any kernel.
  package init(_ driver: Device) throws(DeviceError) {
    self.driver = driver
    sizes = try LaunchSizes(limits: driver.limits)
  }

  // MARK: Memory

  /// As the driver has it.
  package func allocate(byteCount: Int) throws(DeviceError) -> DeviceBuffer {
    try driver.allocate(byteCount: Self.checked(byteCount))
  }

  /// As the driver has it.
  package func allocateHost(byteCount: Int) throws(DeviceError) -> HostBuffer {
    try driver.allocateHost(byteCount: Self.checked(byteCount))
  }

  /// As the driver has it.
  package func upload(_ host: HostBuffer) throws(DeviceError) -> DeviceBuffer { try driver.upload(host) }

  /// As the driver has it.
  package func enqueueDownload(_ matrix: Matrix, into host: HostBuffer) throws(DeviceError) -> Transfer {
    try ArgumentChecks.download(matrix, into: host)
    return matrix.byteCount == 0 ? .arrived : try driver.enqueueDownload(matrix, into: host)
  }

  /// As the driver has it.
  package func copy(_ source: Matrix, into destination: Matrix) throws(DeviceError) {
    try ArgumentChecks.copy(source, into: destination)
    if source.byteCount > 0 { try driver.enqueueCopy(source, into: destination) }
  }

  /// As the driver has it.
  package func time(_ operations: () throws(DeviceError) -> Void) throws(DeviceError) -> DeviceTime {
    try driver.time(operations)
  }

  /// As the driver has it.
  package func synchronize() throws(DeviceError) { try driver.synchronize() }

  private static func checked(_ byteCount: Int) throws(DeviceError) -> Int {
    try ArgumentChecks(operation: "allocate").require(byteCount >= 0, "a size of 0 or more", got: "\(byteCount)")
    return byteCount
  }

  /// A matrix of this backend's own that the next operation may overwrite; it grows and is kept.
  func scratch(rows: Int, columns: Int) throws(DeviceError) -> Matrix {
    let byteCount = rows * columns * ElementType.float32.byteCount
    if let scratch, scratch.byteCount >= byteCount {
      return try Matrix(scratch, rows: rows, columns: columns, elementType: .float32)
    }
    scratch = nil
    let buffer = try allocate(byteCount: byteCount)
    scratch = buffer
    return try Matrix(buffer, rows: rows, columns: columns, elementType: .float32)
  }

  // MARK: Launches

  /// Enqueues so many groups of a kernel of `Kernels/portable`, of the size that groups have on this device.
  func launch(
    _ entry: String, of file: String, _ constants: [String: Int] = [:], operation: String, groups: Int,
    _ arguments: [KernelArgument]
  ) throws(DeviceError) {
    let program = ProgramSource(
      file: "portable/\(file).cl", constants: constants.merging(["GROUP_SIZE": sizes.group]) { chosen, _ in chosen })
    try launch(entry, of: program, operation: operation, groups: groups, arguments)
  }

  /// Enqueues so many groups of a kernel, which is compiled when it is first asked for.
  func launch(
    _ entry: String, of program: ProgramSource, operation: String, groups: Int, _ arguments: [KernelArgument]
  ) throws(DeviceError) {
    guard groups > 0 else { return }
    try driver.launch(kernel(entry, of: program), groups: groups, arguments, operation: operation)
  }

  /// Enqueues a kernel that takes elements one after another, each item the next one behind all groups.
  func launchForElements(
    _ entry: String, of file: String, operation: String, count: Int, _ arguments: [KernelArgument]
  ) throws(DeviceError) {
    try launch(entry, of: file, operation: operation, groups: sizes.groups(forElements: count), arguments)
  }

  private func kernel(_ entry: String, of source: ProgramSource) throws(DeviceError) -> Device.Kernel {
    let name = KernelName(program: source, entry: entry)
    if let kernel = kernels[name] { return kernel }
    let kernel = try driver.kernel(entry, of: program(source))
    kernels[name] = kernel
    return kernel
  }

  private func program(_ source: ProgramSource) throws(DeviceError) -> Device.Program {
    if let program = programs[source] { return program }
    let program = try driver.build(source)
    programs[source] = program
    return program
  }
}

/// The sizes of groups and tiles that a device's limits leave.
struct LaunchSizes {
  /// The work-items of a group.
  let group: Int
  /// The rows and columns of a tile of a product: an item computes 4 × 4.
  let tile: Int
  /// The queries of a group in attention: an item has 4, and 16 items share them.
  let queries: Int
  private let mostGroups: Int

  /// Groups of 256 and tiles of 64 where they fit, groups of 64 and tiles of 32 with 8 KiB of local memory elsewhere.
  init(limits: KernelLimits) throws(DeviceError) {
    let isLarge = limits.groupSize >= 256 && limits.localMemory >= 32 << 10
    guard isLarge || limits.groupSize >= 64 && limits.localMemory >= 8 << 10 else {
      throw DeviceError(
        .unavailable, operation: "open the device", expected: "work-groups of 64 with 8192 bytes of local memory",
        got: "\(limits.groupSize) with \(limits.localMemory)")
    }
    (group, tile, queries) = isLarge ? (256, 64, 64) : (64, 32, 16)
    // Enough to fill every unit several times over, so that none waits for another's last group.
    mostGroups = limits.computeUnits * (4096 / group)
  }

  /// The groups for so many elements.
  func groups(forElements count: Int) -> Int { min(Self.parts(of: count, group), mostGroups) }

  /// The number of parts of a size, the last of which may be smaller.
  static func parts(of count: Int, _ size: Int) -> Int { (count + size - 1) / size }
}
