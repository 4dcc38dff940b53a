import CCUDA
import Compute

/// The device's memory: blocks that are kept when they are returned, and what has to be waited for before a block is used.
///
/// The driver takes up to a millisecond for memory and stops all streams when it gets some back, so blocks are kept by size
/// and go back only when the device runs out. A block may be taken again before the streams are through with it: it carries
/// the points that its next user waits for.
final class CUDAMemory {
  /// Memory in use.
  private final class Block {
    let address: CUDAAddress
    let capacity: Int
    /// What the compute stream has to wait for before it touches the block: copies to or from it.
    var awaited: [CUDAPoint]

    init(address: CUDAAddress, capacity: Int, awaited: [CUDAPoint]) {
      self.address = address
      self.capacity = capacity
      self.awaited = awaited
    }
  }

  /// Memory that was returned.
  fileprivate struct Kept {
    let address: CUDAAddress
    /// Copies that may still run.
    let copies: [CUDAPoint]
    /// Where the compute stream was; later work of that stream needs no wait.
    let computed: CUDAPoint?
  }

  private let session: CUDASession
  private var blocks: [UInt: Block] = [:]
  private var kept: [Int: [Kept]] = [:]
  /// Where the compute stream is, as long as nothing has been enqueued since.
  private var latest: CUDAPoint?

  init(_ session: CUDASession) { self.session = session }

  deinit {
    session.enterToRelease()
    _ = session.driver.synchronizeContext()
    for memory in kept.values.joined() { _ = session.driver.release(memory.address) }
  }

  // MARK: Allocation

  /// Reserves memory for the compute stream.
  ///
  /// - Throws: `DeviceError.Code.outOfMemory` with the size asked for and the size free.
  func allocate(byteCount: Int) throws(DeviceError) -> DeviceBuffer {
    let check = try session.enter("allocate")
    let (block, _) = try take(byteCount, check) { kept in kept.count - 1 }
    return buffer(block, byteCount: byteCount)
  }

  /// Reserves memory and fills it from the host on the upload stream.
  ///
  /// - Returns: The memory, and the point from which on the host memory may be changed.
  func upload(_ host: HostBuffer) throws(DeviceError) -> (buffer: DeviceBuffer, arrival: CUDAPoint) {
    let check = try session.enter("upload")
    // Memory that nothing uses any more lets the copy start at once.
    let (block, computed) = try take(host.byteCount, check) { kept throws(DeviceError) in
      for index in kept.indices where try kept[index].isIdle(check) { return index }
      return 0
    }
    for point in block.awaited + [computed].compactMap({ $0 }) { try point.hold(session.uploads, check) }
    if host.byteCount > 0 {
      try check(
        session.driver.copyToDevice(block.address, host.address, host.byteCount, session.uploads), "a copy enqueued")
    }
    let arrival = try CUDAPoint(in: session.uploads, of: session, check)
    block.awaited = [arrival]
    return (buffer(block, byteCount: host.byteCount), arrival)
  }

  /// Enqueues a copy to the host on the download stream, after what the compute stream has to do by now.
  func download(_ matrix: Matrix, into host: HostBuffer) throws(DeviceError) -> CUDAPoint {
    let check = try session.enter("download")
    try use(matrix, check)
    try position(check).hold(session.downloads, check)
    if matrix.byteCount > 0 {
      try check(
        session.driver.copyToHost(host.address, matrix.address, matrix.byteCount, session.downloads), "a copy enqueued")
    }
    let arrival = try CUDAPoint(in: session.downloads, of: session, check)
    blocks[matrix.buffer.handle]?.awaited = [arrival]
    return arrival
  }

  /// Makes the compute stream wait for copies to and from a matrix's memory; to be called before work is enqueued on it.
  func use(_ matrix: Matrix, _ check: CUDAStatusCheck) throws(DeviceError) {
    guard let block = blocks[matrix.buffer.handle] else {
      preconditionFailure("a device buffer that another backend made")
    }
    guard !block.awaited.isEmpty else { return }
    for point in block.awaited { try point.hold(session.compute, check) }
    block.awaited = []
    // The stream now waits for more than it did at the point noted before.
    latest = nil
  }

  /// To be called when work was enqueued on the compute stream.
  func computeStreamMoved() { latest = nil }

  /// Gives all memory back that is only kept.
  func trim(_ check: CUDAStatusCheck) throws(DeviceError) {
    guard !kept.isEmpty else { return }
    try check(session.driver.synchronizeContext(), "all work done")
    for memory in kept.values.joined() { try check(session.driver.release(memory.address), "memory returned") }
    kept = [:]
  }

  // MARK: Blocks

  /// A block of at least the given size: a kept one of the size, else a new one.
  private func take(
    _ byteCount: Int, _ check: CUDAStatusCheck, choose: ([Kept]) throws(DeviceError) -> Int
  ) throws(DeviceError) -> (block: Block, computed: CUDAPoint?) {
    guard byteCount >= 0 else {
      throw DeviceError(.invalidArgument, operation: "allocate", expected: "a size of 0 or more", got: "\(byteCount)")
    }
    let capacity = CUDAMemory.capacity(for: byteCount)
    if var candidates = kept[capacity], !candidates.isEmpty {
      let memory = candidates.remove(at: try choose(candidates))
      kept[capacity] = candidates.isEmpty ? nil : candidates
      return (Block(address: memory.address, capacity: capacity, awaited: memory.copies), memory.computed)
    }
    var address: CUDAAddress = 0
    var status = session.driver.allocate(&address, capacity)
    if status == Int32(CUDAOutOfMemory.rawValue) {
      try trim(check)
      status = session.driver.allocate(&address, capacity)
    }
    guard status != Int32(CUDAOutOfMemory.rawValue) else {
      let free = session.freeMemory().map { "\($0) bytes free" } ?? "an unknown number of bytes free"
      throw DeviceError(
        .outOfMemory, operation: "allocate", expected: "\(byteCount) bytes", got: free, driverStatus: Int(status))
    }
    try check(status, "\(byteCount) bytes")
    return (Block(address: address, capacity: capacity, awaited: []), nil)
  }

  private func buffer(_ block: Block, byteCount: Int) -> DeviceBuffer {
    let handle = UInt(block.address)
    blocks[handle] = block
    return DeviceBuffer(byteCount: byteCount, handle: handle) { [self] in keep(block) }
  }

  private func keep(_ block: Block) {
    blocks[UInt(block.address)] = nil
    let check = try? session.enter("release")
    // Without a point to wait for, a context that has failed, the memory is never used again.
    guard let check, let computed = try? position(check) else { return }
    kept[block.capacity, default: []].append(Kept(address: block.address, copies: block.awaited, computed: computed))
  }

  private func position(_ check: CUDAStatusCheck) throws(DeviceError) -> CUDAPoint {
    if let latest { return latest }
    let point = try CUDAPoint(in: session.compute, of: session, check)
    latest = point
    return point
  }

  /// The driver hands out large memory in steps of 2 MiB and aligns everything to 512 bytes.
  private static func capacity(for byteCount: Int) -> Int {
    let step = byteCount < 1 << 20 ? 512 : 2 << 20
    return max(1, (byteCount + step - 1) / step) * step
  }
}

extension CUDAMemory.Kept {
  /// Whether all streams are through with the memory.
  fileprivate func isIdle(_ check: CUDAStatusCheck) throws(DeviceError) -> Bool {
    for point in copies + [computed].compactMap({ $0 }) where try !point.hasPassed(check) { return false }
    return true
  }
}

extension Matrix {
  /// Where the first element lies on the device.
  var address: CUDAAddress { CUDAAddress(buffer.handle) + CUDAAddress(byteOffset) }
}
