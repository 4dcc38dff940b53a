import Diagnostics
import Glibc

/// A path made absolute, without `.` components and superfluous slashes; symbolic links and `..` stay as they are.
public func absolutePath(_ path: String) -> String {
  var full = path
  if !path.hasPrefix("/"), let current = getcwd(nil, 0) {
    full = String(cString: current) + "/" + path
    free(current)
  }
  let components = full.split(separator: "/").filter { $0 != "." }
  return "/" + components.joined(separator: "/")
}

/// The absolute path of the directory that a path is in.
public func parentDirectory(of path: String) -> String { splitPath(absolutePath(path)).parent }

/// The directory part and the last component of an absolute path.
func splitPath(_ path: String) -> (parent: String, name: String) {
  guard let slash = path.lastIndex(of: "/") else { return (".", path) }
  let parent = path[..<slash]
  return (parent.isEmpty ? "/" : String(parent), String(path[path.index(after: slash)...]))
}

/// Whether a name denotes a file directly inside its directory, and not one that a hostile list could place elsewhere.
func isPlainFileName(_ name: String) -> Bool {
  !name.isEmpty && name != "." && name != ".." && !name.utf8.contains(UInt8(ascii: "/")) && !name.utf8.contains(0)
}

/// What a path leads to, symbolic links not followed.
enum PathKind {
  case nothing
  case directory
  case other

  init(_ path: String) {
    var facts = stat()
    guard lstat(path, &facts) == 0 else {
      self = .nothing
      return
    }
    self = facts.st_mode & S_IFMT == S_IFDIR ? .directory : .other
  }
}

/// The names in a directory, sorted by their bytes.
func fileNames(in directory: String) throws(Failure) -> [String] {
  guard let stream = opendir(directory) else {
    throw systemFailure(.missingInput, "list the directory", directory, expected: "a readable directory")
  }
  defer { closedir(stream) }
  var names: [String] = []
  while let entry = readdir(stream) {
    let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    if name != ".", name != ".." { names.append(name) }
  }
  return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
}

/// Removes a directory with all that is in it; symbolic links are removed, not followed.
func removeDirectory(_ directory: String) throws(Failure) {
  for name in try fileNames(in: directory) {
    let path = "\(directory)/\(name)"
    switch PathKind(path) {
    case .directory: try removeDirectory(path)
    case .nothing, .other:
      guard unlink(path) == 0 || errno == ENOENT else {
        throw systemFailure(.inputOutput, "remove the file", path, expected: "a file that may be removed")
      }
    }
  }
  guard rmdir(directory) == 0 else {
    throw systemFailure(.inputOutput, "remove the directory", directory, expected: "an empty directory")
  }
}

/// Waits until the names in a directory are on the disk.
func synchronizeDirectory(_ directory: String) throws(Failure) {
  guard let descriptor = Descriptor(directory, flags: O_RDONLY | O_DIRECTORY) else {
    throw systemFailure(.inputOutput, "open the directory", directory, expected: "a readable directory")
  }
  // Some network file systems cannot synchronise a directory; their renames are durable by other means.
  guard uninterrupted({ fsync(descriptor.number) }) == 0 || errno == EINVAL else {
    throw systemFailure(.inputOutput, "save the directory", directory, expected: "a disk that takes it")
  }
}
