import Compute
import Synchronization

/// The host memory of one piece on its way through the device.
final class SlotBuffers: Sendable {
  /// One piece of every input.
  let input: HostBuffer
  /// One piece of the output.
  let output: HostBuffer
  /// How many values of each input and, last, of the output were not finite since the device started: `int32 [models + 1]`.
  let counts: HostBuffer

  init(
    inputByteCount: Int, outputByteCount: Int, models: Int, on backend: any ComputeBackend
  ) throws(DeviceError) {
    input = try backend.allocateHost(byteCount: inputByteCount)
    output = try backend.allocateHost(byteCount: outputByteCount)
    counts = try backend.allocateHost(byteCount: (models + 1) * ElementType.int32.byteCount)
  }
}

/// Finds how many values of a piece were not finite from counts that only grow.
final class NonFiniteCounter: Sendable {
  private let seen = Mutex<[Int]>([])

  /// What the counts of a slot, as they have arrived, have grown by since the last call.
  func growth(in slot: SlotBuffers) -> [Int] {
    let size = ElementType.int32.byteCount
    let counts = slot.counts.withBytes(in: 0..<slot.counts.byteCount) { bytes in
      (0..<bytes.byteCount / size).map { Int(bytes.unsafeLoad(fromByteOffset: $0 * size, as: Int32.self)) }
    }
    return seen.withLock { seen in
      defer { seen = counts }
      return seen.isEmpty ? counts : zip(counts, seen).map(-)
    }
  }
}
