import Compute
import ComputeCPU
import Diagnostics
import Foundation
import Recall
import Synchronization
import Testing

/// Several threads that read into one ring, and one consumer.
@Suite struct ReadAheadTests {
  private static let buffers = 4

  /// What is being read or waits to be given back, and the most that ever was.
  private final class Occupancy: Sendable {
    private let counts = Mutex((now: 0, most: 0))
    var most: Int { counts.withLock { $0.most } }
    func begin() { counts.withLock { $0 = ($0.now + 1, max($0.most, $0.now + 1)) } }
    func end() { counts.withLock { $0.now -= 1 } }
  }

  private func ring() throws -> [HostBuffer] {
    let backend = try CPUBackend()
    return try (0..<Self.buffers).map { _ in try backend.allocateHost(byteCount: MemoryLayout<Int>.size) }
  }

  private static func store(_ number: Int, in buffer: HostBuffer) {
    buffer.withMutableBytes(in: 0..<buffer.byteCount) { $0.storeBytes(of: number, toByteOffset: 0, as: Int.self) }
  }

  private static func number(in buffer: HostBuffer) -> Int {
    buffer.withBytes(in: 0..<buffer.byteCount) { $0.unsafeLoad(fromByteOffset: 0, as: Int.self) }
  }

  @Test("units come in order, whoever reads them, and never more than there are buffers", arguments: [1, 3, 9])
  func order(readers: Int) throws {
    let occupancy = Occupancy()
    let together = min(readers, Self.buffers)
    let ahead = ReadAhead(Array(0..<60), buffers: try ring(), readers: readers) { number, buffer in
      occupancy.begin()
      // As many as there are readers begin before one of them ends.
      for _ in 0..<10_000 where number < together && occupancy.most < together { usleep(1000) }
      // Later units are often read sooner.
      usleep(UInt32(number * 37 % 11) * 200)
      Self.store(number, in: buffer)
    }
    for number in 0..<60 {
      let filled = try number % 7 == 0 ? ahead.nextIfReady() ?? ahead.next() : ahead.next()
      #expect(filled.unit == number && Self.number(in: filled.buffer) == number)
      occupancy.end()
      ahead.giveBack(filled.buffer)
    }
    #expect(together...Self.buffers ~= occupancy.most)
  }

  @Test("a unit that cannot be read fails in its turn, and nothing more is read")
  func failure() throws {
    let read = Mutex(0)
    let ahead = ReadAhead(Array(0..<1000), buffers: try ring(), readers: 3) { number, buffer throws(Failure) in
      read.withLock { $0 = max($0, number) }
      usleep(200)
      if number == 17 {
        throw Failure(.inputOutput, operation: "read", subject: "17", expected: "a unit", got: "none")
      }
      Self.store(number, in: buffer)
    }
    for number in 0..<17 {
      let filled = try ahead.next()
      #expect(Self.number(in: filled.buffer) == number)
      ahead.giveBack(filled.buffer)
    }
    #expect(throws: Failure.self) { try ahead.next() }
    usleep(20_000)
    #expect(read.withLock { $0 } < 17 + 2 * Self.buffers)
  }

  @Test("readers end when the consumer gives up")
  func cancelled() throws {
    weak var object: ReadAhead<Int>?
    do {
      let ahead = ReadAhead(Array(0..<1000), buffers: try ring(), readers: 3) { number, buffer in
        Self.store(number, in: buffer)
      }
      object = ahead
      #expect(try ahead.next().unit == 0)
      ahead.cancel()
    }
    // Only the readers still hold it.
    for _ in 0..<1000 where object != nil { usleep(1000) }
    #expect(object == nil)
  }
}
