import Compute
import Diagnostics
import Dispatch
import Synchronization

/// Threads that fill a fixed ring of buffers with what will be needed next, while the consumer works on what came before
/// and takes it in order.
///
/// The ring bounds the memory: no unit is read before a buffer has been given back. Several units are read at a time where
/// one does not keep all cores busy: a thread copies a few GB/s from the page cache, a bus to a device takes many times that.
package final class ReadAhead<Unit: Sendable>: Sendable {
  /// A unit that has been read.
  package struct Filled: Sendable {
    /// What it is.
    package let unit: Unit
    /// Where it is.
    package let buffer: HostBuffer
  }

  private struct Ring {
    var free: [HostBuffer]
    /// The number of the next unit to read.
    var next = 0
    /// What has been read and not been taken, by the number of the unit.
    var filled: [Int: Result<Filled, Failure>] = [:]
    /// How many units have been read without a gap.
    var complete = 0
    /// How many of them are taken.
    var taken = 0
    var isCancelled = false
  }

  private let units: [Unit]
  private let ring: Mutex<Ring>
  private let freed = DispatchSemaphore(value: 0)
  private let ready = DispatchSemaphore(value: 0)

  /// Starts reading.
  ///
  /// - Parameters:
  ///   - units: What to read, in the order of consumption.
  ///   - buffers: The ring; at least one buffer, each large enough for any unit.
  ///   - readers: How many units are read at a time, if there are as many buffers.
  ///   - read: Fills a buffer; called on so many background threads.
  package init(
    _ units: [Unit], buffers: [HostBuffer], readers: Int = 1,
    read: @escaping @Sendable (Unit, HostBuffer) throws(Failure) -> Void
  ) {
    self.units = units
    ring = Mutex(Ring(free: buffers))
    for _ in buffers { freed.signal() }
    for reader in 0..<min(readers, buffers.count) {
      DispatchQueue(label: "recall.read-ahead.\(reader)").async { [self] in
        while let (number, buffer) = nextToRead() {
          let result = Result { () throws(Failure) in
            try read(units[number], buffer)
            return Filled(unit: units[number], buffer: buffer)
          }
          finish(number, result)
        }
      }
    }
  }

  /// The next unit with a buffer for it, when there is one; `nil` when no more is to be read.
  private func nextToRead() -> (number: Int, buffer: HostBuffer)? {
    guard ring.withLock({ $0.next < units.count }) else { return nil }
    freed.wait()
    let found = ring.withLock { ring -> (Int, HostBuffer)? in
      guard !ring.isCancelled, ring.next < units.count, let buffer = ring.free.popLast() else { return nil }
      ring.next += 1
      return (ring.next - 1, buffer)
    }
    // The other readers wait for the same end.
    if found == nil { freed.signal() }
    return found
  }

  /// Makes a unit ready to be taken once all before it are; nothing is read after a failure.
  private func finish(_ number: Int, _ result: Result<Filled, Failure>) {
    let completed = ring.withLock { ring in
      ring.filled[number] = result
      if case .failure = result { ring.isCancelled = true }
      let before = ring.complete
      while ring.filled[ring.complete] != nil { ring.complete += 1 }
      return ring.complete - before
    }
    for _ in 0..<completed { ready.signal() }
    if case .failure = result { freed.signal() }
  }

  private func take() throws(Failure) -> Filled {
    let result = ring.withLock { ring in
      ring.taken += 1
      return ring.filled.removeValue(forKey: ring.taken - 1)
    }
    guard let result else { preconditionFailure("a unit is ready when it is signalled") }
    return try result.get()
  }

  /// The next unit in order, waiting for it if need be; to be called once per unit.
  ///
  /// - Throws: The failure of the reader.
  package func next() throws(Failure) -> Filled {
    ready.wait()
    return try take()
  }

  /// The next unit in order if it has been read already; to be called in place of `next`.
  ///
  /// - Throws: The failure of the reader.
  package func nextIfReady() throws(Failure) -> Filled? {
    guard ready.wait(timeout: .now()) == .success else { return nil }
    return try take()
  }

  /// Returns a buffer to the ring once nothing uses its content any more.
  package func giveBack(_ buffer: HostBuffer) {
    ring.withLock { $0.free.append(buffer) }
    freed.signal()
  }

  /// Stops the readers; to be called when the consumer gives up before the last unit.
  package func cancel() {
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
