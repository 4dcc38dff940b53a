import Diagnostics
import Synchronization

/// One tensor of an output as its bytes arrive, in order; different tensors may be written at once.
final class TensorProgress: Sendable {
  private struct State {
    var writtenByteCount = 0
    var digester = Digester()
  }

  private let record: TensorRecord
  private let file: OutputFile
  private let state = Mutex(State())

  init(_ record: TensorRecord, in file: OutputFile) {
    self.record = record
    self.file = file
  }

  /// Writes the next bytes of the tensor; `offset` says where the caller believes they belong.
  func write(_ bytes: RawSpan, at offset: Int) throws(Failure) {
    try state.withLock { (state) throws(Failure) in
      let rest = record.byteRange.count - state.writtenByteCount
      guard offset == state.writtenByteCount, bytes.byteCount <= rest else {
        throw Failure(
          .internalError, operation: "write a tensor", subject: "\(file.path), tensor \(record.name)",
          expected: "at most \(rest) bytes at offset \(state.writtenByteCount)",
          got: "\(bytes.byteCount) bytes at offset \(offset)")
      }
      try file.write(bytes, at: record.byteRange.lowerBound + offset)
      state.digester.update(bytes)
      state.writtenByteCount += bytes.byteCount
    }
  }

  /// The digest of all bytes of the tensor; `nil` while some are missing.
  var digest: Digest? {
    state.withLock { $0.writtenByteCount == record.byteRange.count ? $0.digester.digest : nil }
  }
}
