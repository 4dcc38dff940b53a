import Diagnostics
import Glibc

/// A regular file opened once for positioned reads; any number of threads may read at once.
final class InputFile: Sendable {
  let path: String
  let byteCount: Int
  /// What changes whenever the file is written: its inode and the nanosecond of its last change.
  let inode: UInt64
  let modificationNanoseconds: Int
  private let descriptor: Descriptor

  init(_ path: String) throws(Failure) {
    // Without O_NONBLOCK, opening a pipe by mistake would wait for a writer.
    guard let descriptor = Descriptor(path, flags: O_RDONLY | O_NONBLOCK) else {
      throw systemFailure(.missingInput, "open the file", path, expected: "a readable file")
    }
    guard let facts = FileFacts(descriptor) else {
      throw systemFailure(.inputOutput, "open the file", path, expected: "its size")
    }
    guard facts.kind == .regular else {
      throw Failure(
        .missingInput, operation: "open the file", subject: path, expected: "a regular file",
        got: facts.kind == .directory ? "a directory" : "a device or pipe")
    }
    self.path = path
    byteCount = facts.byteCount
    inode = facts.identity.inode
    modificationNanoseconds = facts.modificationNanoseconds
    self.descriptor = descriptor
  }

  /// Reads a part of the file into the first bytes of a buffer, which must have room for it.
  ///
  /// - Throws: `Failure` of category `inputOutput` when the system cannot read or the file ends before.
  func read(_ range: Range<Int>, into destination: inout MutableRawSpan) throws(Failure) {
    try descriptor.read(range, into: &destination, path: path)
  }

  /// The file, or a part of it, in memory.
  func bytes(_ range: Range<Int>? = nil) throws(Failure) -> [UInt8] {
    let range = range ?? 0..<byteCount
    var bytes = [UInt8](repeating: 0, count: range.count)
    var span = bytes.mutableSpan
    var destination = span.mutableBytes
    try read(range, into: &destination)
    return bytes
  }

  /// Calls a function with one piece of the file after the other.
  func forEachPiece(of range: Range<Int>, _ body: (RawSpan) throws(Failure) -> Void) throws(Failure) {
    var buffer = [UInt8](repeating: 0, count: min(1 << 22, range.count))
    var position = range.lowerBound
    while position < range.upperBound {
      let piece = position..<min(position + buffer.count, range.upperBound)
      var span = buffer.mutableSpan
      var destination = span.mutableBytes
      try read(piece, into: &destination)
      try body(buffer.span.bytes.extracting(0..<piece.count))
      position = piece.upperBound
    }
  }
}

/// Reads a whole small file, or a pipe until its end, into memory.
///
/// - Throws: `Failure` of category `missingInput` when there is no such file, it is a directory or may not be read, and of
///   category `inputOutput` when reading fails.
public func readFile(_ path: String) throws(Failure) -> [UInt8] {
  guard let descriptor = Descriptor(path, flags: O_RDONLY) else {
    throw systemFailure(.missingInput, "open the file", path, expected: "a readable file")
  }
  var contents: [UInt8] = []
  var piece = [UInt8](repeating: 0, count: 1 << 20)
  while true {
    let count = uninterrupted { read(descriptor.number, &piece, piece.count) }
    guard count >= 0 else {
      throw systemFailure(
        errno == EISDIR ? .missingInput : .inputOutput, "read the file", path, expected: "the bytes of a file")
    }
    if count == 0 { return contents }
    contents += piece[..<count]
  }
}
