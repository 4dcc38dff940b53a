import Diagnostics
import Glibc
import JSON

/// The directory `OUT.partial`, in which an output grows until it may bear its name.
///
/// Beside the files of the output it holds, under names that start with `.recall-`, the plan of the output and a journal
/// for every part, whose lock says that a process is at work on that part. Without lock holders it is the leftover of
/// processes that were stopped.
///
/// The output gets its name by one rename of the whole directory, after everything in it is on the disk. Only then are plan
/// and journals removed, so that at no moment a directory exists that could neither be used nor taken up again. A stop
/// between the two leaves a finished output with a few small files too many; `settle` removes them.
final class PartialDirectory: Sendable {
  /// What is done about a leftover.
  enum Leftover {
    /// It is explained, and an error.
    case refused
    /// It is removed.
    case discarded
    /// It is taken up when it is of the same plan, else explained.
    case resumed
    /// It is taken up when it is of the same plan, else removed.
    case resumedOrDiscarded
  }

  /// The absolute path under which the output will be found.
  let output: String
  /// The absolute path while it is being written.
  let path: String
  /// What has been finished of the part.
  let journal: Journal
  /// Whether the directory was there already.
  let isResumed: Bool
  private let replacesOutput: Bool

  private static let operation = "create the output directory"
  private static let bookkeeping = ".recall-"
  private static let planName = "\(bookkeeping)plan.json"

  private static let journalSuffix = ".journal"
  /// Where a replaced output lies for a moment when two directories cannot change places.
  private static let replacedSuffix = ".replaced"

  private static func journalName(_ part: Part) -> String {
    "\(bookkeeping)part-\(part.number)-of-\(part.count)\(journalSuffix)"
  }

  /// The directory in which an output grows.
  static func path(for output: String) -> String { absolutePath(output) + ".partial" }

  /// The plan of an unfinished output; `nil` when there is none.
  static func plan(of output: String) throws(Failure) -> OutputPlan? {
    let plan = "\(path(for: output))/\(planName)"
    return PathKind(plan) == .nothing ? nil : try OutputPlan(reading: plan)
  }

  /// Creates `OUT.partial` or takes it up, and takes the lock of a part.
  ///
  /// - Parameters:
  ///   - output: The path under which the output will be found.
  ///   - plan: What the output will be.
  ///   - part: The part that this process writes.
  ///   - overwrite: Whether an existing output will be replaced.
  ///   - leftover: What is done about a leftover.
  /// - Throws: `Failure` of category `cannotCreate`, or `tryAgain` when another process holds the lock.
  init(for output: String, plan: OutputPlan, part: Part, overwrite: Bool, leftover: Leftover) throws(Failure) {
    self.output = absolutePath(output)
    path = Self.path(for: output)
    try Self.checkParent(of: self.output)
    var isResumed = try Self.prepare(path, plan: plan, leftover: leftover)
    if !isResumed {
      _ = try Self.checkOutput(self.output, overwrite: overwrite)
      isResumed = try !Self.create(path, isShared: plan.partCount > 1)
    }
    self.isResumed = isResumed
    do throws(Failure) {
      try Self.agree(on: plan, in: path)
      journal = try Self.openJournal(of: part, in: path)
      let mayReplace = overwrite || journal.records.contains { $0["replaces"]?.bool == true }
      // Once more, because another process may have finished the output before the lock was taken.
      replacesOutput = try Self.checkOutput(self.output, overwrite: mayReplace)
    } catch {
      if !isResumed { try? removeDirectory(path) }
      throw error
    }
  }

  /// Notes that this process goes on with the output.
  ///
  /// - Parameter save: Saves the files that are there already.
  /// - Throws: `Failure` of category `inputOutput`.
  func start(save: () throws(Failure) -> Void) throws(Failure) {
    try journal.resume(save: save)
    if replacesOutput, !isResumed { try journal.append(["replaces": true]) }
  }

  /// What all parts have noted, and the parts that are not complete and on the disk.
  ///
  /// - Throws: `Failure` of category `inputOutput` when a journal cannot be read.
  func recordsOfAllParts(_ count: Int) throws(Failure) -> (missing: [Part], records: [JSONValue]) {
    try Self.recordsOfAllParts(count, in: path)
  }

  static func recordsOfAllParts(
    _ count: Int, in path: String
  ) throws(Failure) -> (missing: [Part], records: [JSONValue]) {
    var missing: [Part] = []
    var all: [JSONValue] = []
    for part in Part.all(count) {
      let records = JournalContents(reading: try journalBytes("\(path)/\(journalName(part))"), boot: nil).records
      if !records.contains(where: { $0["complete"]?.bool == true }) { missing.append(part) }
      all += records
    }
    return (missing, all)
  }

  /// A journal as it is now; empty when the part has not begun, or another process has just completed the output.
  private static func journalBytes(_ path: String) throws(Failure) -> [UInt8] {
    do throws(Failure) {
      return try readFile(path)
    } catch {
      guard error.category == .missingInput else { throw error }
      return []
    }
  }

  /// Takes the right to complete what several parts have written; it ends with this object.
  ///
  /// - Returns: `nil` when another process is completing the output or has done so.
  func completionLock() -> CompletionLock? {
    let path = "\(path)/\(Self.planName)"
    guard let descriptor = Descriptor(path, flags: O_RDWR | O_NOFOLLOW), descriptor.lock(), descriptor.isStill(at: path)
    else {
      return nil
    }
    return CompletionLock(descriptor)
  }

  /// Lets the finished output take its name at one instant, then removes the one that it replaces.
  ///
  /// The files must be on the disk already.
  func publish() throws(Failure) {
    try synchronizeDirectory(path)
    if replacesOutput, PathKind(output) == .directory {
      try exchangeWithOutput()
    } else {
      try move(path, to: output)
    }
    try Self.settle(output)
  }

  /// Removes the directory and all that was written.
  func remove() throws(Failure) { try removeDirectory(path) }

  /// Waits until the names of all files are on the disk.
  func synchronize() throws(Failure) {
    try synchronizeDirectory(path)
    try synchronizeDirectory(splitPath(path).parent)
  }

  private func exchangeWithOutput() throws(Failure) {
    let identity = FileIdentity(output)
    try noteReplaced(identity, at: path)
    if LinuxCall.exchange(path, output) == 0 { return try synchronizeDirectory(splitPath(output).parent) }
    guard [EINVAL, ENOSYS].contains(errno) else { throw Self.unpublished(output) }
    // For a moment nothing bears the name, but both directories are whole.
    let replaced = output + Self.replacedSuffix
    try noteReplaced(identity, at: replaced)
    try move(output, to: replaced)
    do throws(Failure) {
      try move(path, to: output)
    } catch {
      try move(replaced, to: output)
      throw error
    }
  }

  /// Notes which output is replaced and where it will be, so that it is found and removed whatever happens in between.
  private func noteReplaced(_ identity: FileIdentity?, at path: String) throws(Failure) {
    guard let identity else { return }
    try journal.append(ReplacedOutput(name: splitPath(path).name, identity: identity).record)
    try journal.saveAll {}
  }

  private func move(_ source: String, to target: String) throws(Failure) {
    guard rename(source, target) == 0 else { throw Self.unpublished(target) }
    try synchronizeDirectory(splitPath(target).parent)
  }
}

/// An output that gave way to another one, as the journal keeps it.
private struct ReplacedOutput {
  /// The name it bears since then, beside the new output.
  let name: String
  let identity: FileIdentity

  init(name: String, identity: FileIdentity) {
    self.name = name
    self.identity = identity
  }

  /// Reads a record of the journal; `nil` for one about something else.
  init?(_ record: JSONValue) {
    guard let entry = record["replaced"], let name = entry["name"]?.string,
      let device = entry["device"]?.string.flatMap(UInt64.init), let inode = entry["inode"]?.string.flatMap(UInt64.init)
    else { return nil }
    self.init(name: name, identity: FileIdentity(device: device, inode: inode))
  }

  /// The record of the journal.
  var record: JSONValue {
    [
      "replaced": [
        "name": .string(name), "device": .string(String(identity.device)), "inode": .string(String(identity.inode)),
      ]
    ]
  }
}

/// The right to complete an output, for as long as this lives.
final class CompletionLock: Sendable {
  private let descriptor: Descriptor

  fileprivate init(_ descriptor: consuming Descriptor) { self.descriptor = descriptor }
}

// MARK: After the name was given

extension PartialDirectory {
  /// Removes what the work on a finished output has left: the output that it replaced, then plan and journals.
  ///
  /// To be called for an output that is known to be of this run or of an equal one. A journal may still lie, so what it
  /// says was replaced goes only when it bears a name that a replaced output gets, is the very directory that was noted,
  /// and holds files alone.
  static func settle(_ output: String) throws(Failure) {
    guard PathKind(output) == .directory else { return }
    let names = try fileNames(in: output).filter(isBookkeeping)
    guard !names.isEmpty else { return }
    for name in names where name.hasSuffix(journalSuffix) && PathKind("\(output)/\(name)") == .other {
      let records = JournalContents(reading: try InputFile("\(output)/\(name)").bytes(), boot: nil).records
      guard let replaced = records.compactMap(ReplacedOutput.init).last else { continue }
      for path in [path(for: output), output + replacedSuffix] where splitPath(path).name == replaced.name {
        guard let facts = FileFacts(path), facts.identity == replaced.identity, try holdsFilesAlone(path) else {
          continue
        }
        // What holds a plan is the work of somebody else by now.
        if PathKind("\(path)/\(planName)") == .nothing { try removeDirectory(path) }
      }
    }
    for name in names { unlink("\(output)/\(name)") }
    try synchronizeDirectory(output)
  }

  private static func holdsFilesAlone(_ directory: String) throws(Failure) -> Bool {
    try !fileNames(in: directory).contains { PathKind("\(directory)/\($0)") == .directory }
  }

  private static func isBookkeeping(_ name: String) -> Bool {
    name.hasPrefix(bookkeeping) || name.hasPrefix(".\(bookkeeping)")
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
    // What has folders in it was not written by a merge alone.
    guard try holdsFilesAlone(directory) else { return false }
    let names = try fileNames(in: directory)
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

  /// Sees to a leftover.
  ///
  /// - Returns: Whether there is one, and it is taken up.
  private static func prepare(_ path: String, plan: OutputPlan, leftover: Leftover) throws(Failure) -> Bool {
    guard PathKind(path) != .nothing else { return false }
    guard try isLeftover(path) else {
      throw Failure(
        .cannotCreate, operation: operation, subject: path, expected: "nothing, or what an earlier run left",
        got: "something else", advice: "Move it away or choose another output; not even --overwrite removes it.")
    }
    try requireOwnFiles(path)
    var got = "one"
    var advice = "It holds an unfinished output. Go on with --resume, or start afresh with --overwrite."
    if leftover == .resumed || leftover == .resumedOrDiscarded {
      guard let difference = try difference(of: path, from: plan) else { return true }
      got = "one of another output: \(difference)"
      advice = "Choose the options and inputs it was started with, another output, or start afresh with --overwrite."
    }
    if let owner = holder(of: path) { throw taken(path, by: owner) }
    guard leftover == .discarded || leftover == .resumedOrDiscarded else {
      throw Failure(
        .cannotCreate, operation: operation, subject: path, expected: "no leftover of an earlier run", got: got,
        advice: advice)
    }
    // Another process may be about to publish it; moved away whole, it cannot be published half removed.
    let discarded = "\(path).discarded-\(getpid())"
    guard rename(path, discarded) == 0 else {
      throw systemFailure(.cannotCreate, operation, path, expected: "a leftover that may be removed")
    }
    try removeDirectory(discarded)
    return false
  }

  /// Makes sure that a leftover is the work of this user: what is taken up is written, and what is removed is gone.
  ///
  /// The owner to expect is the one that a new file there gets, which on a network file system need not be the user's own.
  private static func requireOwnFiles(_ path: String) throws(Failure) {
    let owner = try OutputFile(namelessIn: path).facts?.owner
    let names = try fileNames(in: path)
    for name in ["."] + names {
      // Other parts may remove temporary files meanwhile.
      guard let facts = FileFacts("\(path)/\(name)") else { continue }
      let got: String? =
        if facts.owner != owner {
          "one of another user"
        } else if facts.isWritableByAll {
          "one that anyone may write"
        } else if name != "." && (facts.kind != .regular || facts.linkCount != 1) {
          "a link, or a file with another name"
        } else {
          nil
        }
      guard let got else { continue }
      throw Failure(
        .cannotCreate, operation: operation, subject: name == "." ? path : "\(path)/\(name)",
        expected: "a leftover that this user's runs made", got: got, advice: "Move it away or choose another output.")
    }
  }

  /// In what a leftover differs from a plan; `nil` when it is of the same output.
  private static func difference(of path: String, from plan: OutputPlan) throws(Failure) -> String? {
    let planPath = "\(path)/\(planName)"
    guard PathKind(planPath) == .nothing else { return plan.difference(from: try OutputPlan(reading: planPath)) }
    // A process may have been stopped before it could write the plan, and then wrote nothing else.
    return try fileNames(in: path).allSatisfy(isBookkeeping) ? nil : "it has no plan (\(planName))"
  }

  /// Whether what bears the name of a leftover can be one: a plan with files, the bookkeeping alone when the run was stopped
  /// before its plan, or the model that a finished output has replaced.
  private static func isLeftover(_ path: String) throws(Failure) -> Bool {
    guard PathKind(path) == .directory, try holdsFilesAlone(path) else { return false }
    let names = try fileNames(in: path)
    if names.contains(planName) || names.allSatisfy(isBookkeeping) { return true }
    return try holdsModel(path)
  }

  /// - Returns: Whether this process created the directory and not another that writes a part of the same output.
  private static func create(_ path: String, isShared: Bool) throws(Failure) -> Bool {
    if mkdir(path, 0o775) == 0 { return true }
    guard errno == EEXIST else {
      throw systemFailure(.cannotCreate, operation, path, expected: "a parent directory that may be written")
    }
    guard isShared else { throw taken(path, by: holder(of: path) ?? "another process") }
    return false
  }

  /// Writes the plan, or makes sure that the one that another process wrote is the same.
  private static func agree(on plan: OutputPlan, in path: String) throws(Failure) {
    let planPath = "\(path)/\(planName)"
    if PathKind(planPath) == .nothing {
      do throws(Failure) {
        return try writeFile(Array(plan.text.utf8), to: planPath)
      } catch {
        guard PathKind(planPath) != .nothing else { throw error }
      }
    }
    guard let difference = plan.difference(from: try OutputPlan(reading: planPath)) else { return }
    throw Failure(
      .cannotCreate, operation: operation, subject: path, expected: "a leftover of the same output", got: difference,
      advice: "Choose the options and inputs it was started with, or another output.")
  }

  private static func openJournal(of part: Part, in path: String) throws(Failure) -> Journal {
    let name = "\(path)/\(journalName(part))"
    guard let journal = try Journal(opening: name) else { throw taken(path, by: owner(of: name)) }
    return journal
  }

  /// A process that is at work on some part.
  private static func holder(of path: String) -> String? {
    let names = (try? fileNames(in: path)) ?? []
    for name in names where name.hasSuffix(journalSuffix) {
      let journal = "\(path)/\(name)"
      if let descriptor = Descriptor(journal, flags: O_RDWR | O_NOFOLLOW | O_NONBLOCK), !descriptor.lock() {
        return owner(of: journal)
      }
    }
    return nil
  }

  private static func owner(of journal: String) -> String {
    let bytes = (try? readFile(journal)) ?? []
    return JournalContents(reading: bytes, boot: nil).owner ?? "another process"
  }

  private static func taken(_ path: String, by owner: String) -> Failure {
    Failure(
      .tryAgain, operation: operation, subject: path, expected: "an output that no other process writes",
      got: "a lock held by \(owner)", advice: "Wait for it or choose another output.")
  }

  private static func unpublished(_ output: String) -> Failure {
    systemFailure(
      .cannotCreate, "give the finished output its name", output, expected: "a path where a directory can be moved")
  }
}
