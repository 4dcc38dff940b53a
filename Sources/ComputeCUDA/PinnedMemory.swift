import CCUDA
import Compute
import Synchronization

/// Host memory that the device copies from and to by itself, for any thread.
///
/// Pinning takes the driver a third of a millisecond a megabyte and stops all streams when undone, so what is returned is
/// kept by size for the next request.
final class PinnedMemory: Sendable {
  private struct Kept: @unchecked Sendable {
    let address: UnsafeMutableRawPointer
  }

  private let session: CUDASession
  private let kept = Mutex<[Int: [Kept]]>([:])

  init(_ session: CUDASession) { self.session = session }

  deinit {
    session.enterToRelease()
    for memory in kept.withLock({ $0 }).values.joined() { _ = session.driver.releaseHost(memory.address) }
  }

  /// Reserves page-aligned memory; its content is undefined.
  ///
  /// - Throws: `DeviceError.Code.outOfMemory` when the system gives no more pages to pin.
  func allocate(byteCount: Int) throws(DeviceError) -> HostBuffer {
    guard byteCount >= 0 else {
      throw DeviceError(
        .invalidArgument, operation: "allocate host memory", expected: "a size of 0 or more", got: "\(byteCount)")
    }
    let capacity = max(1, (byteCount + 4095) / 4096) * 4096
    let found = kept.withLock { $0[capacity]?.popLast() }
    let address: UnsafeMutableRawPointer
    if let found { address = found.address } else { address = try pin(capacity) }
    return HostBuffer(byteCount: byteCount, address: address) { [self] address in
      let memory = Kept(address: address)
      kept.withLock { $0[capacity, default: []].append(memory) }
    }
  }

  private func pin(_ capacity: Int) throws(DeviceError) -> UnsafeMutableRawPointer {
    let check = try session.enter("allocate host memory")
    var address: UnsafeMutableRawPointer?
    let flags = UInt32(CUDAHostMemoryPortable.rawValue)
    var status = session.driver.allocateHost(&address, capacity, flags)
    if status == Int32(CUDAOutOfMemory.rawValue) {
      for memory in kept.withLock({ kept in
        defer { kept = [:] }
        return kept
      }).values.joined() {
        _ = session.driver.releaseHost(memory.address)
      }
      status = session.driver.allocateHost(&address, capacity, flags)
    }
    try check(status, "\(capacity) bytes of memory that can be pinned")
    guard let address else { throw check.nothing("pinned memory") }
    return address
  }
}
