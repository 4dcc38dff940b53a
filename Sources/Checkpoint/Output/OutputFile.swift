import Diagnostics
import Glibc

/// A file of an output for positioned writes; any number of threads may write at once.
///
/// The directory it lies in is ours, so what an earlier run left under its name is taken up.
final class OutputFile: Sendable {
  let path: String
  let descriptor: Descriptor

  /// Opens the file, which is created when there is none.
  init(_ path: String) throws(Failure) {
    guard let descriptor = Descriptor(path, flags: O_RDWR | O_CREAT | O_NOFOLLOW) else {
      throw systemFailure(.cannotCreate, "create the file", path, expected: "a file in a writable directory")
    }
    self.path = path
    self.descriptor = descriptor
  }

  /// Creates the file; there must be none of this name.
  init(creating path: String) throws(Failure) {
    guard let descriptor = Descriptor(path, flags: O_RDWR | O_CREAT | O_EXCL) else {
      throw systemFailure(.cannotCreate, "create the file", path, expected: "a new file in a writable directory")
    }
    self.path = path
    self.descriptor = descriptor
  }

  /// Creates a file that no directory lists, so that nothing of it is left when it is closed, also by a signal.
  init(namelessIn directory: String) throws(Failure) {
    path = "\(directory)/.recall-nameless-\(getpid())"
    // O_TMPFILE, which Swift's Glibc module leaves out, is a bit of its own and O_DIRECTORY.
    if let descriptor = Descriptor(directory, flags: O_RDWR | 0o20_000_000 | O_DIRECTORY) {
      self.descriptor = descriptor
      return
    }
    // Some file systems cannot; there the name is removed as soon as the file is open.
    guard let descriptor = Descriptor(path, flags: O_RDWR | O_CREAT | O_EXCL) else {
      throw systemFailure(
        .cannotCreate, "create a file", directory, expected: "a directory in which files can be made")
    }
    unlink(path)
    self.descriptor = descriptor
  }

  /// Gives the file its size and, where the file system can, its blocks, so that a full disk shows before the work; what
  /// it holds stays.
  func reserve(byteCount: Int) throws(Failure) {
    try setSize(byteCount)
    if byteCount == 0 || LinuxCall.allocate(descriptor.number, byteCount: byteCount) == 0 { return }
    guard [EOPNOTSUPP, EINVAL, ENOSYS].contains(errno) else {
      throw systemFailure(.cannotCreate, "reserve \(byteCount) bytes", path, expected: "enough free space")
    }
  }

  /// Gives the file a size; bytes beyond it are lost, new ones are 0.
  func setSize(_ byteCount: Int) throws(Failure) {
    guard uninterrupted({ ftruncate(descriptor.number, byteCount) }) == 0 else {
      throw systemFailure(.cannotCreate, "set the size of the file", path, expected: "\(byteCount) bytes")
    }
  }

  /// What the system says of the file.
  var facts: FileFacts? { FileFacts(descriptor) }

  /// The bytes of the disk that the file holds already.
  var allocatedByteCount: Int {
    var facts = stat()
    return fstat(descriptor.number, &facts) == 0 ? Int(facts.st_blocks) * 512 : 0
  }

  /// Writes all of the bytes from an offset on.
  func write(_ bytes: RawSpan, at offset: Int) throws(Failure) {
    try descriptor.write(bytes, at: offset, path: path)
  }

  /// Reads a part of the file into the first bytes of a buffer, which must have room for it.
  func read(_ range: Range<Int>, into destination: inout MutableRawSpan) throws(Failure) {
    try descriptor.read(range, into: &destination, path: path)
  }

  /// Waits until all bytes, and the size, are on the disk.
  func synchronize() throws(Failure) {
    guard uninterrupted({ fdatasync(descriptor.number) }) == 0 else {
      throw systemFailure(.inputOutput, "save the file", path, expected: "a disk that takes all bytes")
    }
  }
}
