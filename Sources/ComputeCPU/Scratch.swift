import Compute

/// Memory for intermediate results that grows to the largest size asked for and is kept.
final class Scratch {
  private var memory: UnsafeMutableRawPointer?
  private var byteCount = 0

  /// Lends room for floats; what it held before is lost when it has to grow.
  ///
  /// - Throws: `DeviceError.Code.outOfMemory`.
  func floats(_ count: Int) throws(DeviceError) -> UnsafeMutablePointer<Float> {
    let needed = max(count, 1) * MemoryLayout<Float>.stride
    if let memory, needed <= byteCount { return memory.assumingMemoryBound(to: Float.self) }
    clear()
    let grown = try HostMemory.allocate(byteCount: needed)
    memory = grown
    byteCount = needed
    return grown.assumingMemoryBound(to: Float.self)
  }

  private func clear() {
    if let memory { HostMemory.release(memory, byteCount: byteCount) }
    memory = nil
    byteCount = 0
  }

  deinit { clear() }
}
