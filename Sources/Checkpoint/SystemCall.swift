import Diagnostics
import Glibc

/// Words for a system call that failed, by default the one just made.
func systemFailure(
  _ category: Failure.Category, _ operation: String, _ path: String, expected: String, code: Int32 = errno
) -> Failure {
  let advice =
    switch code {
    case ENOSPC, EDQUOT: "Free space there or write to another disk."
    case EACCES, EPERM: "Ask for access or run as the owner."
    case EROFS: "Write to another disk."
    case EMFILE, ENFILE: "Raise the limit of open files (ulimit -n)."
    default: ""
    }
  return Failure(
    category, operation: operation, subject: path, expected: expected, got: "\"\(String(cString: strerror(code)))\"",
    advice: advice)
}

/// Calls again while a signal interrupts the call.
func uninterrupted<Result: SignedInteger>(_ call: () -> Result) -> Result {
  while true {
    let result = call()
    if result != -1 || errno != EINTR { return result }
  }
}

/// An open file that is closed with its owner.
struct Descriptor: ~Copyable, Sendable {
  let number: Int32

  /// Opens a file, closed in child processes; new files get the rights that the user's mask leaves of 0664, so that never
  /// all may write them.
  init?(_ path: String, flags: Int32) {
    var number = uninterrupted { open(path, flags | O_CLOEXEC, 0o664) }
    if number < 0, errno == EMFILE, Self.raiseLimit() {
      number = uninterrupted { open(path, flags | O_CLOEXEC, 0o664) }
    }
    guard number >= 0 else { return nil }
    self.number = number
  }

  deinit { _ = close(number) }

  /// Takes the lock of the file, which dies with the process.
  ///
  /// - Returns: Whether no other process holds it. A file system that knows no locks, as on some clusters, has no holders
  ///   either.
  func lock() -> Bool { uninterrupted { flock(number, LOCK_EX | LOCK_NB) } == 0 || errno != EWOULDBLOCK }

  /// Whether a path, not through a link, still leads to this file.
  func isStill(at path: String) -> Bool {
    guard let opened = FileFacts(self), let named = FileFacts(path) else { return false }
    return opened.identity == named.identity
  }

  /// Writes all of the bytes from an offset on.
  ///
  /// - Parameters:
  ///   - bytes: Any number of bytes.
  ///   - offset: Where they go.
  ///   - path: The file, for errors.
  /// - Throws: `Failure` of category `inputOutput`.
  func write(_ bytes: RawSpan, at offset: Int, path: String) throws(Failure) {
    try bytes.withUnsafeBytes { (buffer) throws(Failure) in
      var position = 0
      while position < buffer.count {
        let rest = UnsafeRawBufferPointer(rebasing: buffer[position...])
        let count = uninterrupted { pwrite(number, rest.baseAddress, rest.count, offset + position) }
        guard count > 0 else {
          throw systemFailure(.inputOutput, "write the file", path, expected: "\(rest.count) bytes to be taken")
        }
        position += count
      }
    }
  }

  /// Reads a part of the file into the first bytes of a buffer, which must have room for it.
  ///
  /// - Throws: `Failure` of category `inputOutput` when the system cannot read or the file ends before.
  func read(_ range: Range<Int>, into destination: inout MutableRawSpan, path: String) throws(Failure) {
    try destination.withUnsafeMutableBytes { (buffer) throws(Failure) in
      var position = range.lowerBound
      while position < range.upperBound {
        let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[(position - range.lowerBound)..<range.count])
        let count = uninterrupted { pread(number, rest.baseAddress, rest.count, position) }
        guard count >= 0 else {
          throw systemFailure(.inputOutput, "read the file", path, expected: "\(rest.count) bytes at \(position)")
        }
        guard count > 0 else {
          throw Failure(
            .inputOutput, operation: "read the file", subject: path,
            expected: "\(rest.count) bytes at \(position)", got: "its end",
            advice: "The file was cut since it was opened; leave inputs alone while they are read.")
        }
        position += count
      }
    }
  }

  /// Several sharded models at once pass the usual soft limit of 1024 files; the hard limit is ours to use.
  private static func raiseLimit() -> Bool {
    var limit = rlimit()
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return false }
    limit.rlim_cur = limit.rlim_max
    return setrlimit(resource, &limit) == 0
  }
}

/// Calls of Linux that Swift's Glibc module leaves out, looked up in the C library when first used.
enum LinuxCall {
  private typealias Rename = @convention(c) (Int32, UnsafePointer<CChar>, Int32, UnsafePointer<CChar>, UInt32) -> Int32
  private typealias Allocate = @convention(c) (Int32, Int32, off_t, off_t) -> Int32

  private static let renameAt2 = dlsym(nil, "renameat2").map { unsafeBitCast($0, to: Rename.self) }
  private static let fallocate = dlsym(nil, "fallocate").map { unsafeBitCast($0, to: Allocate.self) }

  /// Moves a file to a path where nothing may be; -1 and `errno` on failure, `EINVAL` where the file system cannot.
  static func renameWithoutReplacing(_ source: String, _ target: String) -> Int32 { rename(source, target, flags: 1) }

  /// Lets two paths change places at one instant; -1 and `errno` on failure, `EINVAL` where the file system cannot.
  static func exchange(_ first: String, _ second: String) -> Int32 { rename(first, second, flags: 2) }

  private static func rename(_ source: String, _ target: String, flags: UInt32) -> Int32 {
    guard let renameAt2 else {
      errno = EINVAL
      return -1
    }
    return renameAt2(AT_FDCWD, source, AT_FDCWD, target, flags)
  }

  /// Reserves the blocks of a file and sets its size; -1 and `errno` on failure, `EOPNOTSUPP` where the file system cannot.
  ///
  /// `posix_fallocate` would fall back to writing into every block, which takes minutes on a network file system.
  static func allocate(_ descriptor: Int32, byteCount: Int) -> Int32 {
    guard let fallocate else {
      errno = EOPNOTSUPP
      return -1
    }
    return uninterrupted { fallocate(descriptor, 0, 0, byteCount) }
  }
}
