import Diagnostics
import Glibc

/// Makes sure that a file system has space for what is about to be written.
///
/// - Parameters:
///   - byteCount: How much is needed.
///   - directory: A directory on the file system.
/// - Throws: `Failure` of category `cannotCreate` with the bytes needed and free.
public func requireFreeSpace(_ byteCount: Int, in directory: String) throws(Failure) {
  var facts = statvfs()
  guard statvfs(directory, &facts) == 0 else {
    throw systemFailure(.cannotCreate, "find the free space", directory, expected: "a mounted file system")
  }
  let (freeByteCount, overflow) = UInt(facts.f_bavail).multipliedReportingOverflow(by: UInt(facts.f_frsize))
  // A file system that counts no blocks at all does not know its space.
  guard overflow || facts.f_blocks == 0 || byteCount <= freeByteCount else {
    throw Failure(
      .cannotCreate, operation: "reserve the output", subject: directory,
      expected: "\(byteCount) bytes of free space", got: "\(freeByteCount)",
      advice: "Free space there or write to another disk.")
  }
}
