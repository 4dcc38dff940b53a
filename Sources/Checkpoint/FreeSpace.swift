import Diagnostics
import Glibc

/// Makes sure that a file system has space for what is about to be written.
///
/// - Parameters:
///   - byteCount: How much is needed.
///   - directory: A directory on the file system.
/// - Throws: `Failure` of category `cannotCreate` with the bytes needed and free.
public func requireFreeSpace(_ byteCount: Int, in directory: String) throws(Failure) {
  guard let freeByteCount = try freeByteCount(in: directory), byteCount > freeByteCount else { return }
  throw Failure(
    .cannotCreate, operation: "reserve the output", subject: directory,
    expected: "\(byteCount) bytes of free space", got: "\(freeByteCount)",
    advice: "Free space there or write to another disk.")
}

/// The bytes that can still be written below a directory; `nil` on a file system that does not know its space.
///
/// - Throws: `Failure` of category `cannotCreate` when there is no such directory.
func freeByteCount(in directory: String) throws(Failure) -> Int? {
  var facts = statvfs()
  guard statvfs(directory, &facts) == 0 else {
    throw systemFailure(.cannotCreate, "find the free space", directory, expected: "a mounted file system")
  }
  let (byteCount, overflow) = UInt(facts.f_bavail).multipliedReportingOverflow(by: UInt(facts.f_frsize))
  return overflow || facts.f_blocks == 0 ? nil : Int(clamping: byteCount)
}
