import Diagnostics
import Synchronization

/// One tensor of an output as its bytes arrive, in order; different tensors may be written at once.
final class TensorProgress: Sendable {
  private struct State {
    var writtenByteCount = 0
    var digester = Digester()
    /// Known once the tensor is finished, also when another run or part finished it.
    var finished: FinishedTensor?
  }

  private let record: TensorRecord
  private let file: OutputFile?
  private let state = Mutex(State())

  /// Starts with no byte written; `file` is `nil` when another part writes the tensor.
  init(_ record: TensorRecord, in file: OutputFile?) {
    self.record = record
    self.file = file
  }

  /// Writes the next bytes of the tensor; `offset` says where the caller believes they belong.
  func write(_ bytes: RawSpan, at offset: Int) throws(Failure) {
    try state.withLock { (state) throws(Failure) in
      let rest = record.byteRange.count - state.writtenByteCount
      guard let file, state.finished == nil, offset == state.writtenByteCount, bytes.byteCount <= rest else {
        throw Failure(
          .internalError, operation: "write a tensor", subject: "\(file?.path ?? "no file"), tensor \(record.name)",
          expected: "at most \(rest) bytes at offset \(state.writtenByteCount) of a tensor to be written",
          got: "\(bytes.byteCount) bytes at offset \(offset)")
      }
      try file.write(bytes, at: record.byteRange.lowerBound + offset)
      state.digester.update(bytes)
      state.writtenByteCount += bytes.byteCount
    }
  }

  /// Reads the tensor back, which is finished, and makes sure that it is what was written.
  func read(into destination: inout MutableRawSpan) throws(Failure) {
    guard let file, let finished, destination.byteCount == record.byteRange.count else {
      throw Failure(
        .internalError, operation: "read a tensor back", subject: "\(file?.path ?? "no file"), tensor \(record.name)",
        expected: "a finished tensor of \(destination.byteCount) bytes", got: "another")
    }
    try file.read(record.byteRange, into: &destination)
    guard Digest(of: destination.bytes) == finished.digest else {
      throw Failure(
        .badData, operation: "read a tensor back", subject: "\(file.path), tensor \(record.name)",
        expected: "the bytes that were written", got: "others",
        advice: "The unfinished output was damaged; start afresh with --overwrite.")
    }
  }

  /// The digest of all bytes of the tensor; `nil` while some are missing.
  var digest: Digest? {
    state.withLock { state in
      state.finished?.digest ?? (state.writtenByteCount == record.byteRange.count ? state.digester.digest : nil)
    }
  }

  /// Notes that the tensor needs nothing more.
  func finish(_ tensor: FinishedTensor) { state.withLock { $0.finished = tensor } }

  /// What is known of the tensor once it is finished.
  var finished: FinishedTensor? { state.withLock { $0.finished } }
}
