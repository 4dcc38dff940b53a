import Diagnostics
import Glibc

/// A new file for positioned writes; any number of threads may write at once.
final class OutputFile: Sendable {
  let path: String
  private let descriptor: Descriptor

  /// Creates the file; there must be none of this name.
  init(creating path: String) throws(Failure) {
    guard let descriptor = Descriptor(path, flags: O_RDWR | O_CREAT | O_EXCL) else {
      throw systemFailure(.cannotCreate, "create the file", path, expected: "a new file in a writable directory")
    }
    self.path = path
    self.descriptor = descriptor
  }

  /// Gives the file its size and, where the file system can, its blocks, so that a full disk shows before the work.
  func reserve(byteCount: Int) throws(Failure) {
    if byteCount == 0 || LinuxCall.allocate(descriptor.number, byteCount: byteCount) == 0 { return }
    guard [EOPNOTSUPP, EINVAL, ENOSYS].contains(errno) else {
      throw systemFailure(.cannotCreate, "reserve \(byteCount) bytes", path, expected: "enough free space")
    }
    guard uninterrupted({ ftruncate(descriptor.number, byteCount) }) == 0 else {
      throw systemFailure(.cannotCreate, "set the size of the file", path, expected: "\(byteCount) bytes")
    }
  }

  /// Writes all of the bytes from an offset on.
  func write(_ bytes: RawSpan, at offset: Int) throws(Failure) {
    try bytes.withUnsafeBytes { (buffer) throws(Failure) in
      var position = 0
      while position < buffer.count {
        let rest = UnsafeRawBufferPointer(rebasing: buffer[position...])
        let count = uninterrupted { pwrite(descriptor.number, rest.baseAddress, rest.count, offset + position) }
        guard count > 0 else {
          throw systemFailure(.inputOutput, "write the file", path, expected: "\(rest.count) bytes to be taken")
        }
        position += count
      }
    }
  }

  /// Waits until all bytes are on the disk.
  func synchronize() throws(Failure) {
    guard uninterrupted({ fsync(descriptor.number) }) == 0 else {
      throw systemFailure(.inputOutput, "save the file", path, expected: "a disk that takes all bytes")
    }
  }
}
