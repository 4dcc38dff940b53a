import Dispatch
import Synchronization

/// A fixed number of threads that share out pieces of work.
struct Workers {
  /// The number of threads, the caller's included.
  let count: Int

  /// Runs `body` on consecutive pieces of `0..<total`, each of `grain` or, at the end, fewer; returns when all are done.
  ///
  /// `body` gets the number of its worker, to which no other piece belongs at that time, and the piece.
  func forEach(_ total: Int, grain: Int, _ body: (_ worker: Int, _ piece: Range<Int>) -> Void) {
    let grain = max(1, grain)
    let pieces = (total + grain - 1) / grain
    let threads = min(count, pieces)
    guard threads > 1 else {
      for piece in 0..<pieces { body(0, piece * grain..<min(total, (piece + 1) * grain)) }
      return
    }
    let next = Atomic(0)
    withoutActuallyEscaping(body) { body in
      // Pieces are disjoint, and so is what their bodies write.
      nonisolated(unsafe) let body = body
      DispatchQueue.concurrentPerform(iterations: threads) { worker in
        while true {
          let piece = next.wrappingAdd(1, ordering: .relaxed).oldValue
          if piece >= pieces { return }
          body(worker, piece * grain..<min(total, (piece + 1) * grain))
        }
      }
    }
  }

  /// The grain for rows of memory-bound work: some 64 KB of floats.
  static func grain(rowLength: Int) -> Int { max(1, (1 << 14) / max(1, rowLength)) }
}
