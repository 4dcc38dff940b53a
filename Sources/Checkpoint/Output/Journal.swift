import Diagnostics
import Glibc
import JSON
import Synchronization

/// What has been finished of an output, kept in a file that tells the truth after any kind of stop.
///
/// A journal is a text of lines: the digest of a record as 32 digits, a space, the record as compact JSON, a line feed.
/// Lines are only ever appended. A reader takes them up to the first line that is cut or does not match its digest.
///
/// What a record says is true of the files as this machine sees them from the moment it is appended. Whether it is true
/// after a stop depends on the stop:
///
/// - `kill −9`, a signal, a crash, a full disk: the process is gone, the operating system is not. All bytes handed to
///   `pwrite` are in its cache and will be on the disk. At worst the last line is cut. Every whole line counts.
/// - A power cut or a machine that fell over: the disk holds some of what was written, in no known order; a line may be
///   there while the tensor it speaks of is not. So every ten seconds the files are saved with `fdatasync`, then a line
///   `{"saved": N}` is appended and saved too: everything before byte N was on the disk before the mark was. After a stop
///   of the machine only lines before the last such N count, and ten seconds of work are done again.
/// - Another machine that shares the file system: it cannot know what the first had not saved; the same rule.
///
/// The two cases are told apart by the identifier that Linux draws at every start of a machine, noted in a line
/// `{"session": …}` by every process that takes the journal up. When `fdatasync` itself fails, the system may drop what it
/// could not write and report that only once; so the lines after the last mark are taken back at once.
///
/// The lock on the file says that a process is at work; it dies with the process.
final class Journal: Sendable {
  private struct State {
    var byteCount: Int
    var savedByteCount: Int
    /// The size of the file, which may go on behind what counts.
    var fileByteCount: Int
    var holdsWork: Bool
  }

  /// The path of the file.
  let path: String
  /// The records that counted when the journal was opened, in their order, without sessions and marks.
  let records: [JSONValue]
  private let descriptor: Descriptor
  private let state: Mutex<State>

  /// Opens a journal, or starts one, and takes its lock; nothing is written before `resume`.
  ///
  /// - Returns: `nil` when another process holds the lock.
  /// - Throws: `Failure` of category `cannotCreate` when the file cannot be opened or is anything but a journal, of
  ///   `inputOutput` when not read.
  init?(opening path: String) throws(Failure) {
    while true {
      guard let descriptor = Descriptor(path, flags: O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK) else {
        throw systemFailure(.cannotCreate, "open the journal", path, expected: "a file in a writable directory")
      }
      guard descriptor.lock() else { return nil }
      // Whoever held the lock before may have moved the file away meanwhile.
      guard descriptor.isStill(at: path) else { continue }
      // What is no journal would be emptied as one with nothing that counts.
      guard let facts = FileFacts(descriptor), facts.kind == .regular, facts.linkCount == 1 else {
        throw Journal.foreign(path, got: "a file with another name, or none")
      }
      let bytes = try readFile(path)
      guard JournalContents.mayBegin(bytes) else { throw Journal.foreign(path, got: "a file of another kind") }
      let contents = JournalContents(reading: bytes, boot: bootIdentifier)
      self.path = path
      records = contents.records
      state = Mutex(
        State(
          byteCount: contents.byteCount, savedByteCount: contents.savedByteCount, fileByteCount: bytes.count,
          holdsWork: !contents.records.isEmpty))
      self.descriptor = descriptor
      return
    }
  }

  private static func foreign(_ path: String, got: String) -> Failure {
    Failure(
      .cannotCreate, operation: "open the journal", subject: path, expected: "what an earlier run left", got: got,
      advice: "Move it away or choose another output.")
  }

  /// Takes the journal up: saves what the records speak of and notes that this process goes on.
  ///
  /// - Parameter save: Saves the files that the records speak of.
  /// - Throws: `Failure` of category `inputOutput`; then only what was saved before counts.
  func resume(save: () throws(Failure) -> Void) throws(Failure) {
    if state.withLock({ $0.byteCount > 0 }) { try saveAll(save) }
    let session: JSONValue = [
      "boot": .string(bootIdentifier), "owner": .string("process \(getpid()) on \(hostName)"),
    ]
    try state.withLock { (state) throws(Failure) in try append(["session": session], &state) }
  }

  /// Appends a record; any thread may.
  ///
  /// - Throws: `Failure` of category `inputOutput` when the disk does not take it.
  func append(_ record: JSONValue) throws(Failure) {
    try state.withLock { (state) throws(Failure) in
      try append(record, &state)
      state.holdsWork = true
    }
  }

  /// Whether any record says more than that a process was here.
  var holdsWork: Bool { state.withLock { $0.holdsWork } }

  /// Saves files, and marks that everything appended before counts whatever happens to the machine.
  ///
  /// - Parameter save: Saves the files that the records so far speak of; other threads may append meanwhile.
  /// - Throws: `Failure` of category `inputOutput`; then only what was saved before counts.
  func saveAll(_ save: () throws(Failure) -> Void) throws(Failure) {
    let end = state.withLock { $0.byteCount }
    do throws(Failure) {
      try save()
      try state.withLock { (state) throws(Failure) in
        try append(["saved": .integer(end)], &state)
        try synchronize()
        state.savedByteCount = end
      }
    } catch {
      state.withLock { state in
        state.byteCount = state.savedByteCount
        try? append(["saved": .integer(state.savedByteCount)], &state)
        try? synchronize()
      }
      throw error
    }
  }

  private func append(_ record: JSONValue, _ state: inout State) throws(Failure) {
    let line = Array(JournalContents.line(record).utf8)
    let end = state.byteCount + line.count
    let previousByteCount = state.fileByteCount
    // A write that fails may have written some of it.
    state.fileByteCount = max(previousByteCount, end)
    try descriptor.write(line.span.bytes, at: state.byteCount, path: path)
    // What lies behind the records that count must not be read as following this one.
    if previousByteCount > end {
      guard uninterrupted({ ftruncate(descriptor.number, end) }) == 0 else {
        throw systemFailure(.inputOutput, "write the journal", path, expected: "a file that can be cut")
      }
      state.fileByteCount = end
    }
    state.byteCount = end
  }

  private func synchronize() throws(Failure) {
    guard uninterrupted({ fdatasync(descriptor.number) }) == 0 else {
      throw systemFailure(.inputOutput, "save the journal", path, expected: "a disk that takes all bytes")
    }
  }
}

/// The text of a journal, understood.
struct JournalContents {
  /// The records that count, without sessions and marks.
  private(set) var records: [JSONValue] = []
  /// The bytes of the lines that count.
  private(set) var byteCount = 0
  /// The bytes before the last mark that were on the disk when it was set.
  private(set) var savedByteCount = 0
  /// The process that took the journal up last.
  private(set) var owner: String?

  /// Reads a journal.
  ///
  /// - Parameters:
  ///   - bytes: The file.
  ///   - boot: The identifier of this start of the machine; `nil` to count only what is on the disk for sure.
  init(reading bytes: [UInt8], boot: String?) {
    var lines: [(record: JSONValue, start: Int)] = []
    var starts: Set<Int> = [0]
    var end = 0
    var lastBoot: String?
    while let lineEnd = bytes[end...].firstIndex(of: UInt8(ascii: "\n")),
      let record = JournalContents.record(bytes[end..<lineEnd])
    {
      if let session = record["session"] {
        lastBoot = session["boot"]?.string
        owner = session["owner"]?.string
      }
      // A mark cannot speak of what comes after it.
      if let saved = record["saved"]?.integer, starts.contains(saved) { savedByteCount = saved }
      lines.append((record, end))
      end = lineEnd + 1
      starts.insert(end)
    }
    byteCount = boot != nil && boot != "" && boot == lastBoot ? end : savedByteCount
    for line in lines where line.start < byteCount && line.record["saved"] == nil && line.record["session"] == nil {
      records.append(line.record)
    }
  }

  /// The line of a record.
  static func line(_ record: JSONValue) -> String {
    let text = record.compact
    return "\(Digest(of: text)) \(text)\n"
  }

  private static let digestLength = 32

  /// Whether a file may be a journal: its first line is sound, was cut, or never came to the disk, which then gives zeros.
  static func mayBegin(_ bytes: [UInt8]) -> Bool {
    if let lineEnd = bytes.firstIndex(of: UInt8(ascii: "\n")), record(bytes[..<lineEnd]) != nil { return true }
    let (digits, rest) = (bytes.prefix(digestLength), bytes.dropFirst(digestLength).prefix(2))
    return bytes.first == 0
      || digits.allSatisfy(Array("0123456789abcdef".utf8).contains) && " {".utf8.starts(with: rest)
  }

  private static func record(_ line: ArraySlice<UInt8>) -> JSONValue? {
    let text = Array(line.dropFirst(digestLength + 1))
    guard line.count > digestLength, line[line.startIndex + digestLength] == UInt8(ascii: " "),
      Digest(String(decoding: line.prefix(digestLength), as: UTF8.self)) == Digest(of: text.span.bytes)
    else { return nil }
    return try? JSONValue(parsing: text, from: "journal")
  }
}

/// What Linux draws at every start of a machine; empty where it does not say.
private let bootIdentifier =
  (try? readFile("/proc/sys/kernel/random/boot_id")).map {
    String(decoding: $0.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
  } ?? ""

private let hostName: String = {
  var name = [CChar](repeating: 0, count: 256)
  guard gethostname(&name, name.count - 1) == 0 else { return "an unknown host" }
  return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}()
