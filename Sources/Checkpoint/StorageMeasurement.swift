import Diagnostics
import Dispatch
import Foundation
import Synchronization

/// How fast the storage below a directory takes and gives bytes.
public struct StorageMeasurement: Sendable {
  /// The bytes that were written and read.
  public let byteCount: Int
  /// Bytes written per second, until `fsync` said that the disk has them.
  public let writeRate: Double
  /// Bytes read per second after the system was asked to drop its copies.
  public let readRate: Double
  /// The share of the bytes that were still in memory then: 0 where `readRate` is that of the disk alone, 1 where the
  /// storage is memory itself.
  public let cachedShare: Double
  /// Bytes read per second from the page cache.
  public let cachedReadRate: Double

  /// The threads that read at once, as many as keep a fast disk busy.
  private static let threads = 4
  /// The bytes of one call.
  private static let piece = 4 << 20

  /// Writes and reads a file without a name, of which nothing is left whatever becomes of this process.
  ///
  /// - Parameters:
  ///   - directory: Where.
  ///   - mostBytes: The size of the file; where the disk has little room, a quarter of that.
  /// - Throws: `Failure` of category `cannotCreate` or `inputOutput`.
  public init(in directory: String, mostBytes: Int) throws(Failure) {
    let file = try OutputFile(namelessIn: directory)
    let room = try freeByteCount(in: directory).map { $0 / 4 } ?? mostBytes
    let pieces = max(1, min(mostBytes, room) / StorageMeasurement.piece)
    byteCount = pieces * StorageMeasurement.piece
    // Random bytes: some disks and file systems compress.
    var generator = SystemRandomNumberGenerator()
    let content = (0..<StorageMeasurement.piece / 8).map { _ in generator.next() as UInt64 }
    let bytes = Double(byteCount)
    writeRate =
      try bytes
      / StorageMeasurement.seconds { () throws(Failure) in
        for piece in 0..<pieces { try file.write(content.span.bytes, at: piece * StorageMeasurement.piece) }
        try file.synchronize()
      }
    file.dropCache()
    cachedShare = file.cachedShare(of: byteCount)
    readRate =
      try bytes
      / StorageMeasurement.seconds { () throws(Failure) in
        try StorageMeasurement.read(file, pieces: pieces)
      }
    cachedReadRate =
      try bytes
      / StorageMeasurement.seconds { () throws(Failure) in
        try StorageMeasurement.read(file, pieces: pieces)
      }
  }

  private static func seconds(_ work: () throws(Failure) -> Void) throws(Failure) -> Double {
    let start = ContinuousClock.now
    try work()
    return (ContinuousClock.now - start) / .seconds(1)
  }

  private static func read(_ file: OutputFile, pieces: Int) throws(Failure) {
    let failure = Mutex<Failure?>(nil)
    let next = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: threads) { _ in
      var buffer = [UInt8](repeating: 0, count: piece)
      var span = buffer.mutableSpan
      var bytes = span.mutableBytes
      while true {
        let number = next.wrappingAdd(1, ordering: .relaxed).oldValue
        if number >= pieces { return }
        do throws(Failure) {
          try file.read(number * piece..<(number + 1) * piece, into: &bytes)
        } catch {
          failure.withLock { $0 = $0 ?? error }
          return
        }
      }
    }
    if let failure = failure.withLock({ $0 }) { throw failure }
  }
}

extension OutputFile {
  /// Asks the system to forget the pages, which it does for those that are on the disk.
  fileprivate func dropCache() { _ = posix_fadvise(descriptor.number, 0, 0, POSIX_FADV_DONTNEED) }

  /// The share of the file's pages that are in memory.
  fileprivate func cachedShare(of byteCount: Int) -> Double {
    let memory = mmap(nil, byteCount, PROT_READ, MAP_SHARED, descriptor.number, 0)
    guard let memory, memory != MAP_FAILED else { return 1 }
    defer { munmap(memory, byteCount) }
    let pageSize = sysconf(Int32(_SC_PAGESIZE))
    var pages = [UInt8](repeating: 0, count: (byteCount + pageSize - 1) / pageSize)
    guard mincore(memory, byteCount, &pages) == 0 else { return 1 }
    return Double(pages.filter { $0 & 1 == 1 }.count) / Double(pages.count)
  }
}
