import Diagnostics
import Dispatch
import JSON
import Synchronization

/// What is found when every byte of a checkpoint is read once.
public struct CheckpointContents: Sendable {
  /// The digest of every shard, as `fileDigest` gives it.
  public let shards: [(fileName: String, byteCount: Int, digest: Digest)]
  /// The digest of all tensors.
  public let digest: Digest?
  /// The tensors that hold values which are NaN or infinite, with their number.
  public let nonFinite: [(tensor: String, count: Int)]
}

extension Checkpoint {
  /// Reads every byte once, with all cores.
  ///
  /// Takes 4 MiB of memory for each core. A tensor is read by one core, in order, because its digest needs that.
  ///
  /// - Parameter progress: Told how many bytes were read with every piece, from any thread.
  /// - Returns: Digests, and values that are not finite.
  /// - Throws: `Failure` as `read` does.
  public func readAll(progress: @escaping @Sendable (Int) -> Void) throws(Failure) -> CheckpointContents {
    struct State {
      var digests: [ExactString: Digest] = [:]
      var nonFinite: [ExactString: Int] = [:]
      var failure: Failure?
    }
    let state = Mutex(State())
    // The largest first, so that no core is left with a large one at the end.
    let largestFirst = tensors.sorted { $0.byteRange.count > $1.byteRange.count }
    DispatchQueue.concurrentPerform(iterations: largestFirst.count) { number in
      let tensor = largestFirst[number]
      guard state.withLock({ $0.failure == nil }) else { return }
      do throws(Failure) {
        var digester = Digester()
        var count = 0
        try forEachPiece(of: tensor) { bytes, _ in
          digester.update(bytes)
          count += nonFiniteCount(in: bytes, of: tensor.type)
          progress(bytes.byteCount)
        }
        let digest = digester.digest
        state.withLock { state in
          state.digests[ExactString(tensor.name)] = digest
          if count > 0 { state.nonFinite[ExactString(tensor.name)] = count }
        }
      } catch {
        state.withLock { $0.failure = $0.failure ?? error }
      }
    }
    let found = state.withLock { $0 }
    if let failure = found.failure { throw failure }
    let collector = CheckpointDigest(of: tensors)
    for tensor in tensors { found.digests[ExactString(tensor.name)].map { collector.record($0, of: tensor.name) } }
    return CheckpointContents(
      shards: try shards.map { shard throws(Failure) in
        let head = try shard.file.digest(of: 0..<shard.header.byteCount)
        let parts = shard.header.tensors.compactMap { found.digests[ExactString($0.name)] }
        return (shard.fileName, shard.byteCount, safetensorsDigest([head] + parts))
      },
      digest: collector.digest,
      nonFinite: tensors.compactMap { tensor in
        found.nonFinite[ExactString(tensor.name)].map { (tensor.name, $0) }
      })
  }
}
