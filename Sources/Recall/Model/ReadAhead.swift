import Compute
import Diagnostics
import Dispatch
import Synchronization

/// A thread that fills a fixed ring of buffers with what will be needed next, in order, while the consumer works on what
/// came before.
///
/// The ring bounds the memory: no unit is read before a buffer has been given back.
final class ReadAhead<Unit: Sendable>: Sendable {
  /// A unit that has been read.
  struct Filled: Sendable {
    let unit: Unit
    let buffer: HostBuffer
  }

  private struct Ring {
    var free: [HostBuffer]
    var filled: [Result<Filled, Failure>] = []
    var isCancelled = false
  }

  private let ring: Mutex<Ring>
  private let freed = DispatchSemaphore(value: 0)
  private let ready = DispatchSemaphore(value: 0)

  /// Starts reading.
  ///
  /// - Parameters:
  ///   - units: What to read, in the order of consumption.
  ///   - buffers: The ring; at least one buffer, each large enough for any unit.
  ///   - read: Fills a buffer; called on one background thread.
  init(
    _ units: [Unit], buffers: [HostBuffer], read: @escaping @Sendable (Unit, HostBuffer) throws(Failure) -> Void
  ) {
    ring = Mutex(Ring(free: buffers))
    for _ in buffers { freed.signal() }
    DispatchQueue(label: "recall.read-ahead").async { [self] in
      for unit in units {
        freed.wait()
        guard let buffer = ring.withLock({ $0.isCancelled ? nil : $0.free.popLast() }) else { return }
        do throws(Failure) {
          try read(unit, buffer)
          ring.withLock { $0.filled.append(.success(Filled(unit: unit, buffer: buffer))) }
          ready.signal()
        } catch {
          ring.withLock { $0.filled.append(.failure(error)) }
          ready.signal()
          return
        }
      }
    }
  }

  /// The next unit in order, waiting for it if need be; to be called once per unit.
  ///
  /// - Throws: The failure of the reader.
  func next() throws(Failure) -> Filled {
    ready.wait()
    return try ring.withLock { $0.filled.removeFirst() }.get()
  }

  /// The next unit in order if it has been read already; to be called in place of `next`.
  ///
  /// - Throws: The failure of the reader.
  func nextIfReady() throws(Failure) -> Filled? {
    guard ready.wait(timeout: .now()) == .success else { return nil }
    return try ring.withLock { $0.filled.removeFirst() }.get()
  }

  /// Returns a buffer to the ring once nothing uses its content any more.
  func giveBack(_ buffer: HostBuffer) {
    ring.withLock { $0.free.append(buffer) }
    freed.signal()
  }

  /// Stops the reader; to be called when the consumer gives up before the last unit.
  func cancel() {
    ring.withLock { $0.isCancelled = true }
    freed.signal()
  }
}

/// A thread that empties the slots of a fixed ring in order while the producer fills the next one.
final class WriteBehind: Sendable {
  private struct Ring {
    var free: [Int]
    var failure: (any Error)?
  }

  private let ring: Mutex<Ring>
  private let freed: DispatchSemaphore
  private let queue = DispatchQueue(label: "recall.write-behind")

  /// Starts with a ring of at least one slot.
  init(slots: Int) {
    ring = Mutex(Ring(free: Array(0..<slots)))
    freed = DispatchSemaphore(value: 0)
    for _ in 0..<slots { freed.signal() }
  }

  /// The number of a slot to fill, waiting until one has been written.
  ///
  /// - Throws: The failure of an earlier write.
  func slot() throws -> Int {
    freed.wait()
    let (slot, failure) = ring.withLock { ($0.free.removeLast(), $0.failure) }
    guard let failure else { return slot }
    giveBack(slot)
    throw failure
  }

  /// Writes what fills a slot on the background thread and takes the slot back into the ring.
  func write(_ slot: Int, _ body: @escaping @Sendable () throws -> Void) {
    queue.async { [self] in
      do {
        // After a failed write the rest is only drained.
        if ring.withLock({ $0.failure == nil }) { try body() }
      } catch {
        ring.withLock { $0.failure = error }
      }
      giveBack(slot)
    }
  }

  /// Does something on the background thread after everything before it was written.
  func perform(_ body: @escaping @Sendable () throws(Failure) -> Void) {
    queue.async { [self] in
      do throws(Failure) {
        if ring.withLock({ $0.failure == nil }) { try body() }
      } catch {
        ring.withLock { $0.failure = error }
      }
    }
  }

  /// Waits until everything is written.
  ///
  /// - Throws: The first failure of a write.
  func finish() throws {
    queue.sync {}
    if let failure = ring.withLock({ $0.failure }) { throw failure }
  }

  private func giveBack(_ slot: Int) {
    ring.withLock { $0.free.append(slot) }
    freed.signal()
  }
}
