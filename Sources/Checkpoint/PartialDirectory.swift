import Diagnostics
import Glibc

/// The directory `OUT.partial`, in which an output grows until it may bear its name.
///
/// It is ours for as long as we hold the lock on the file `.lock` in it; the lock dies with the process. Without a lock
/// holder it is the leftover of a process that was stopped.
final class PartialDirectory: Sendable {
  /// The absolute path under which the output will be found.
  let output: String
  /// The absolute path while it is being written.
  let path: String
  private let replacesOutput: Bool
  private let lock: Descriptor

  private static let operation = "create the output directory"
  private static let lockName = ".lock"

  /// Creates `OUT.partial` and takes its lock.
  ///
  /// - Parameters:
  ///   - output: The path under which the output will be found.
  ///   - overwrite: Whether an existing output will be replaced and a leftover removed.
  /// - Throws: `Failure` of category `cannotCreate`, or `tryAgain` when another process holds the lock.
  init(for output: String, overwrite: Bool) throws(Failure) {
    self.output = absolutePath(output)
    path = self.output + ".partial"
    replacesOutput = try Self.checkOutput(self.output, overwrite: overwrite)
    try Self.checkParent(of: self.output)
    try Self.clear(path, overwrite: overwrite)

    guard mkdir(path, 0o777) == 0 else {
      if errno == EEXIST { throw Self.taken(path) }
      throw systemFailure(.cannotCreate, Self.operation, path, expected: "a parent directory that may be written")
    }
    guard let lock = Descriptor("\(path)/\(Self.lockName)", flags: O_RDWR | O_CREAT | O_EXCL) else {
      throw systemFailure(.cannotCreate, Self.operation, path, expected: "a directory that may be written")
    }
    guard Self.lock(lock) else { throw Self.taken(path) }
    let owner = "process \(getpid()) on \(hostName())"
    _ = owner.utf8CString.withUnsafeBytes { pwrite(lock.number, $0.baseAddress, $0.count - 1, 0) }
    self.lock = lock
  }

  /// Lets the finished output take its name at one instant, then removes the one that it replaces.
  ///
  /// The files must be on the disk already.
  func publish() throws(Failure) {
    unlink("\(path)/\(Self.lockName)")
    try synchronizeDirectory(path)
    if replacesOutput, PathKind(output) == .directory {
      try exchangeWithOutput()
    } else {
      try move(path, to: output)
    }
  }

  /// Removes the directory and all that was written.
  func remove() throws(Failure) { try removeDirectory(path) }

  private func exchangeWithOutput() throws(Failure) {
    let parent = splitPath(output).parent
    if LinuxCall.exchange(path, output) == 0 {
      try synchronizeDirectory(parent)
      return try removeDirectory(path)
    }
    guard [EINVAL, ENOSYS].contains(errno) else { throw Self.unpublished(output) }
    // For a moment nothing bears the name, but both directories are whole.
    let replaced = output + ".replaced"
    try move(output, to: replaced)
    do throws(Failure) {
      try move(path, to: output)
    } catch {
      try move(replaced, to: output)
      throw error
    }
    try removeDirectory(replaced)
  }

  private func move(_ source: String, to target: String) throws(Failure) {
    guard rename(source, target) == 0 else { throw Self.unpublished(target) }
    try synchronizeDirectory(splitPath(target).parent)
  }
}

// MARK: Checks

extension PartialDirectory {
  /// - Returns: Whether there is an output to replace.
  private static func checkOutput(_ output: String, overwrite: Bool) throws(Failure) -> Bool {
    let kind = PathKind(output)
    if kind == .nothing { return false }
    guard overwrite else {
      throw Failure(
        .cannotCreate, operation: operation, subject: output, expected: "nothing at this path", got: "something",
        advice: "Choose another output or replace this one with --overwrite.")
    }
    guard kind == .directory, try holdsModel(output) else {
      throw Failure(
        .cannotCreate, operation: operation, subject: output, expected: "a model directory to replace",
        got: kind == .directory ? "a directory that is no model or holds other folders" : "a file or link",
        advice: "Choose another output; --overwrite replaces models only.")
    }
    return true
  }

  /// A mistyped `--overwrite` must not cost anyone a home directory.
  private static func holdsModel(_ directory: String) throws(Failure) -> Bool {
    let names = try fileNames(in: directory)
    // What has folders in it was not written by a merge alone.
    guard !names.contains(where: { PathKind("\(directory)/\($0)") == .directory }) else { return false }
    return names.isEmpty || names.contains("config.json") && names.contains { $0.hasSuffix(".safetensors") }
  }

  private static func checkParent(of output: String) throws(Failure) {
    let (parent, name) = splitPath(output)
    var facts = stat()
    guard !name.isEmpty, stat(parent, &facts) == 0, facts.st_mode & S_IFMT == S_IFDIR else {
      throw Failure(
        .cannotCreate, operation: operation, subject: output, expected: "an existing directory to put it in",
        got: "no directory \(parent)", advice: "Create it first.")
    }
    guard access(parent, W_OK | X_OK) == 0 else {
      throw systemFailure(.cannotCreate, operation, parent, expected: "a directory that may be written")
    }
  }

  /// Sees to a leftover of the same name: explains it, or removes it when it may be overwritten.
  private static func clear(_ path: String, overwrite: Bool) throws(Failure) {
    guard PathKind(path) != .nothing else { return }
    if let lock = Descriptor("\(path)/\(lockName)", flags: O_RDWR), !Self.lock(lock) { throw taken(path) }
    guard overwrite else {
      throw Failure(
        .cannotCreate, operation: operation, subject: path, expected: "no leftover of an earlier run", got: "one",
        advice: "It holds an unfinished output. Remove it, or start afresh with --overwrite.")
    }
    // Another process may be about to publish it; moved away whole, it cannot be published half removed.
    let discarded = "\(path).discarded-\(getpid())"
    guard rename(path, discarded) == 0 else {
      throw systemFailure(.cannotCreate, operation, path, expected: "a leftover that may be removed")
    }
    try removeDirectory(discarded)
  }

  /// - Returns: Whether no other process holds the lock. A file system that knows no locks, as on some clusters, has no
  ///   holders either.
  private static func lock(_ file: borrowing Descriptor) -> Bool {
    flock(file.number, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK
  }

  private static func taken(_ path: String) -> Failure {
    let owner = (try? readFile("\(path)/\(lockName)")).map { String(decoding: $0, as: UTF8.self) } ?? ""
    return Failure(
      .tryAgain, operation: operation, subject: path, expected: "an output that no other process writes",
      got: owner.isEmpty ? "a lock held by another process" : "a lock held by \(owner)",
      advice: "Wait for it or choose another output.")
  }

  private static func unpublished(_ output: String) -> Failure {
    systemFailure(
      .cannotCreate, "give the finished output its name", output, expected: "a path where a directory can be moved")
  }
}

private func hostName() -> String {
  var name = [CChar](repeating: 0, count: 256)
  guard gethostname(&name, name.count - 1) == 0 else { return "an unknown host" }
  return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
