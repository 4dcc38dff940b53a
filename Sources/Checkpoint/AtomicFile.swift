import Diagnostics
import Glibc

/// Writes a file that is either there with all of its bytes, on the disk, or not at all.
///
/// The bytes go to a hidden file in the same directory, which then takes the name.
///
/// - Parameters:
///   - bytes: The whole content.
///   - path: Where the file shall be.
///   - overwrite: Whether a file that is there already is replaced.
/// - Throws: `Failure` of category `cannotCreate` when the file exists and may not be replaced, or the directory takes no new
///   file; of category `inputOutput` when the disk does not take the bytes.
public func writeFile(_ bytes: [UInt8], to path: String, overwrite: Bool = false) throws(Failure) {
  let path = absolutePath(path)
  if !overwrite, PathKind(path) != .nothing { throw existingFile(path) }
  let (parent, name) = splitPath(path)
  let temporary = "\(parent)/.\(name).\(getpid()).\(UInt32.random(in: 0...UInt32.max))"
  let file = try OutputFile(creating: temporary)
  do {
    try file.write(bytes.span.bytes, at: 0)
    try file.synchronize()
    try rename(temporary, to: path, overwrite: overwrite)
  } catch {
    unlink(temporary)
    throw error
  }
  try synchronizeDirectory(parent)
}

private func rename(_ temporary: String, to path: String, overwrite: Bool) throws(Failure) {
  if !overwrite {
    if LinuxCall.renameWithoutReplacing(temporary, path) == 0 { return }
    // Where the file system knows no such call, the check made before stands.
    guard [EINVAL, ENOSYS].contains(errno) else {
      throw errno == EEXIST ? existingFile(path) : unwritable(path)
    }
  }
  guard rename(temporary, path) == 0 else { throw unwritable(path) }
}

private func existingFile(_ path: String) -> Failure {
  Failure(
    .cannotCreate, operation: "write the file", subject: path, expected: "no file of this name", got: "one",
    advice: "Choose another name or allow it to be replaced with --overwrite.")
}

private func unwritable(_ path: String) -> Failure {
  systemFailure(.cannotCreate, "name the file", path, expected: "a path that may be written")
}
