import Diagnostics
import Dispatch
import JSON
import Synchronization

/// A file of a finished output.
public struct WrittenFile: Equatable, Sendable {
  /// The name inside the directory.
  public let name: String
  /// The size in bytes.
  public let byteCount: Int
  /// What `fileDigest` gives for the file.
  public let digest: Digest
}

/// Whether an output that several parts write can be completed.
public enum Completion: Equatable, Sendable {
  /// Every tensor is on the disk, and this process is the one to complete the output.
  case possible
  /// These parts are not complete yet.
  case waiting(for: [Part])
  /// Another process completes the output, or has done so.
  case elsewhere
}

/// Writes a checkpoint that Transformers loads, and gives it its name only when all of it is on the disk.
///
/// Everything grows in `OUT.partial`, locked against other processes. Tensors may be written in any order and by many
/// threads at once; the bytes of one tensor come in order, in pieces of any size. Tensors that were declared finished need
/// not be written again when another writer of the same plan takes `OUT.partial` up; see `Journal` for what survives which
/// stop. A writer that is let go without `finish` leaves `OUT.partial` behind.
public final class CheckpointWriter: Sendable {
  private struct Shard {
    let fileName: String
    let header: SafetensorsHeader
    let headDigest: Digest
    /// `nil` when other parts write all of it.
    let file: OutputFile?

    var byteCount: Int { header.tensors.last?.byteRange.upperBound ?? header.byteCount }
  }

  private struct Saving {
    var last = ContinuousClock.now
    var isRunning = false
    var failure: Failure?
  }

  /// How much work a power cut may cost.
  private static let saveInterval = Duration.seconds(10)

  /// The part of the output that this writer writes.
  public let part: Part
  private let partial: PartialDirectory
  private let shards: [Shard]
  private let tensors: [ExactString: TensorProgress]
  private let owned: Set<ExactString>
  private let sideFiles = Mutex<[WrittenFile]>([])
  private let completion = Mutex<CompletionLock?>(nil)
  private let stop: StopRequest
  private let saving = Mutex(Saving())
  private let savingQueue = DispatchQueue(label: "recall.save")

  /// Prepares an output: checks the path and the free space, creates `OUT.partial` or takes it up, writes the head of every
  /// shard, and reserves the space for all tensors.
  ///
  /// - Parameters:
  ///   - output: The directory to be created.
  ///   - layouts: The shards; no tensor may occur twice.
  ///   - plan: An object that names everything the bytes of the output depend on, apart from the layout.
  ///   - part: Which of several processes this is. More than one share `OUT.partial`, so they always take it up.
  ///   - overwrite: Whether an existing model directory of this name is replaced at the end, and a leftover that is not
  ///     taken up removed.
  ///   - resume: Whether a leftover of the same plan is taken up.
  ///   - scratchByteCount: How much space has to stay free for temporary files beside the output.
  ///   - stop: Ends the work at the next write.
  /// - Throws: `Failure` of category `cannotCreate` when the output or a leftover exists, the parent directory is missing or
  ///   may not be written, or the space does not suffice; of category `tryAgain` when another process writes the same
  ///   output; of category `internalError` for a layout that contradicts itself. Nothing that was not there before is left
  ///   behind.
  public init(
    output: String, shards layouts: [ShardLayout], plan: JSONValue = [:], part: Part = .whole, overwrite: Bool = false,
    resume: Bool = false, scratchByteCount: Int = 0, stop: StopRequest = StopRequest()
  ) throws(Failure) {
    let heads = try Self.heads(of: layouts)
    let assignment = PartAssignment(heads.map(\.header), parts: part.count)
    partial = try PartialDirectory(
      for: output, plan: OutputPlan(plan, parts: part.count, heads: heads.map(\.bytes)), part: part,
      overwrite: overwrite,
      leftover: resume || part.count > 1
        ? (overwrite ? .resumedOrDiscarded : .resumed) : (overwrite ? .discarded : .refused))
    self.part = part
    self.stop = stop
    do {
      shards = try Self.openShards(layouts, heads, assignment: assignment, part: part, in: partial.path)
      try Self.reserve(shards, besides: scratchByteCount, in: partial.path)
      for (shard, head) in zip(shards, heads) { try shard.file?.write(head.bytes.span.bytes, at: 0) }
      let files = shards.compactMap(\.file)
      try partial.start { () throws(Failure) in for file in files { try file.synchronize() } }
      owned = Self.owned(shards, assignment: assignment, part: part)
      tensors = Self.progress(of: shards, owned: owned, finished: partial.journal.records)
      if part.count == 1 { try addIndex() }
    } catch {
      if !partial.isResumed { try? partial.remove() }
      throw error
    }
  }

  /// The absolute path of the output once it is finished.
  public var output: String { partial.output }

  /// The directory in which the output grows.
  public var partialPath: String { partial.path }

  /// Whether this writer still has to write a tensor: it belongs to its part and was not finished before.
  ///
  /// - Throws: `Failure` of category `internalError` for an unknown tensor.
  public func awaits(_ tensor: String) throws(Failure) -> Bool {
    try progress(of: tensor).finished == nil && owned.contains(ExactString(tensor))
  }

  /// The finished tensors in the order of the layout: what earlier runs and this one finished of the part; after
  /// `requestCompletion` said that it is possible, all.
  public var finishedTensors: [FinishedTensor] {
    shards.flatMap(\.header.tensors).compactMap { tensors[ExactString($0.name)]?.finished }
  }

  /// What earlier runs noted of this part, in their order.
  public var notes: [JSONValue] { partial.journal.records.compactMap { $0["note"] } }

  /// Ends the work when that was asked for; every write does so too.
  ///
  /// - Throws: `Failure` of category `tryAgain`.
  public func checkStop() throws(Failure) { try stop.check("finish the output", partial.path) }

  /// Keeps a decision, so that a run that takes the output up need not make it again.
  ///
  /// - Throws: `Failure` of category `inputOutput` when the disk does not take it.
  public func note(_ decision: JSONValue) throws(Failure) { try partial.journal.append(["note": decision]) }

  /// Writes the next bytes of a tensor.
  ///
  /// Thread-safe; writers of one tensor wait for each other, so give each tensor to one thread at a time.
  ///
  /// - Parameters:
  ///   - tensor: The name in the layout.
  ///   - byteOffset: Where the bytes belong in the tensor: the number of bytes written to it so far.
  ///   - bytes: Any number of bytes.
  /// - Throws: `Failure` of category `inputOutput` when the disk does not take the bytes; of category `internalError` for an
  ///   unknown tensor, bytes out of order, or more bytes than the tensor has.
  public func write(_ tensor: String, at byteOffset: Int, bytes: RawSpan) throws(Failure) {
    try checkStop()
    try progress(of: tensor).write(bytes, at: byteOffset)
  }

  /// Reads a tensor back that is finished, by this run or an earlier one.
  ///
  /// - Parameters:
  ///   - tensor: The name in the layout.
  ///   - destination: As many bytes as the tensor has.
  /// - Throws: `Failure` of category `inputOutput` when the disk does not give the bytes; of category `badData` when they are
  ///   not those that were written; of category `internalError` for a tensor that is unknown or not finished.
  public func read(_ tensor: String, into destination: inout MutableRawSpan) throws(Failure) {
    try progress(of: tensor).read(into: &destination)
  }

  /// Declares a tensor finished, after its last byte was written: no run that takes the output up writes it again.
  ///
  /// - Parameters:
  ///   - tensor: The name in the layout.
  ///   - inputs: The digests of the tensors it was made of, where they are known.
  ///   - nonFinite: How many of its values are NaN or infinite.
  /// - Throws: `Failure` of category `inputOutput` when the disk does not take the record, or did not take bytes that were
  ///   written before; of category `internalError` for a tensor that is unknown or not complete.
  public func finish(_ tensor: String, inputs: [Digest?], nonFinite: Int) throws(Failure) {
    let progress = try progress(of: tensor)
    guard let digest = progress.digest else { throw incomplete() }
    let finished = FinishedTensor(name: tensor, digest: digest, inputs: inputs, nonFinite: nonFinite)
    try partial.journal.append(finished.record)
    progress.finish(finished)
    try saveNowAndThen()
  }

  /// The digest of a tensor's bytes; `nil` while some are missing.
  ///
  /// - Throws: `Failure` of category `internalError` for an unknown tensor.
  public func digest(of tensor: String) throws(Failure) -> Digest? { try progress(of: tensor).digest }

  /// The digest of all tensors, which is that of the finished checkpoint.
  ///
  /// - Throws: `Failure` of category `internalError` that names the tensors that are not complete.
  public func tensorDigest() throws(Failure) -> Digest {
    let records = shards.flatMap(\.header.tensors)
    let collector = CheckpointDigest(of: records)
    for record in records { try digest(of: record.name).map { collector.record($0, of: record.name) } }
    guard let digest = collector.digest else { throw incomplete() }
    return digest
  }

  /// Writes a small file beside the tensors.
  ///
  /// - Parameters:
  ///   - name: A plain file name, not used before.
  ///   - bytes: The whole content.
  /// - Throws: `Failure` of category `cannotCreate` for a name used before, of category `inputOutput` when the disk does
  ///   not take the bytes.
  public func addFile(_ name: String, bytes: [UInt8]) throws(Failure) {
    let file = try create(name)
    try file.write(bytes.span.bytes, at: 0)
    try file.synchronize()
    record(name, byteCount: bytes.count, digest: Digest(of: bytes.span.bytes))
  }

  /// Copies a file, such as a tokenizer, beside the tensors.
  ///
  /// - Parameters:
  ///   - source: The path of the file.
  ///   - name: A plain file name, not used before.
  /// - Throws: `Failure` as `addFile` does, and of category `missingInput` when the source cannot be opened.
  public func copyFile(from source: String, as name: String) throws(Failure) {
    let input = try InputFile(source)
    let file = try create(name)
    var digester = Digester()
    var position = 0
    try input.forEachPiece(of: 0..<input.byteCount) { (piece) throws(Failure) in
      try file.write(piece, at: position)
      digester.update(piece)
      position += piece.byteCount
    }
    try file.synchronize()
    record(name, byteCount: position, digest: digester.digest)
  }

  /// All files written so far, shards first: what a report about the output lists before it becomes a file itself.
  ///
  /// - Throws: `Failure` of category `internalError` that names the tensors that are not complete.
  public func files() throws(Failure) -> [WrittenFile] {
    var files: [WrittenFile] = []
    for shard in shards {
      var parts = [shard.headDigest]
      for record in shard.header.tensors {
        guard let digest = try digest(of: record.name) else { throw incomplete() }
        parts.append(digest)
      }
      files.append(
        WrittenFile(name: shard.fileName, byteCount: shard.byteCount, digest: safetensorsDigest(parts)))
    }
    return files + sideFiles.withLock { $0 }
  }

  /// Saves what this part has written, and says whether all parts together are the output.
  ///
  /// - Returns: What is to be done; when completion is possible, this writer knows the tensors of all parts.
  /// - Throws: `Failure` of category `internalError` when a tensor of the part is not complete, else of `inputOutput`.
  public func requestCompletion() throws(Failure) -> Completion {
    guard part.count > 1 else { return .possible }
    for tensor in owned where tensors[tensor]?.finished == nil { throw incomplete() }
    try partial.journal.append(["complete": true])
    try save()
    let (missing, records) = try partial.recordsOfAllParts(part.count)
    guard missing.isEmpty else { return .waiting(for: missing) }
    guard let lock = partial.completionLock() else { return .elsewhere }
    completion.withLock { $0 = lock }
    for finished in records.compactMap(FinishedTensor.init) { tensors[ExactString(finished.name)]?.finish(finished) }
    try addIndex()
    return .possible
  }

  /// Saves everything to the disk and gives the output its name, at one instant; what it replaces is removed after.
  ///
  /// - Returns: All files of the output, shards first.
  /// - Throws: `Failure` of category `internalError` when a tensor is not complete, else of category `inputOutput` or
  ///   `cannotCreate`; `OUT.partial` is left behind then.
  @discardableResult
  public func finish() throws(Failure) -> [WrittenFile] {
    let files = try files()
    try save()
    try partial.publish()
    return files
  }

  /// Ends the work on an output that will not be finished; not to be called after `finish`.
  ///
  /// What other parts have written stays in any case.
  ///
  /// - Parameter keepsFinished: Whether finished tensors and notes may be of use to a run that takes the output up.
  /// - Returns: Whether `OUT.partial` is kept; it is not when there is nothing finished in it.
  /// - Throws: `Failure` of category `inputOutput` when something cannot be removed.
  @discardableResult
  public func abandon(keepsFinished: Bool = false) throws(Failure) -> Bool {
    savingQueue.sync {}
    if part.count > 1 || keepsFinished && partial.journal.holdsWork { return true }
    try partial.remove()
    return false
  }
}

// MARK: What earlier runs left

extension CheckpointWriter {
  /// Removes what the work on a finished output has left beside and in it, when its process was killed in the last moment.
  ///
  /// - Throws: `Failure` of category `inputOutput` when something cannot be removed.
  public static func settle(_ output: String) throws(Failure) { try PartialDirectory.settle(absolutePath(output)) }

  /// Whether an unfinished output waits to be taken up or removed.
  public static func hasLeftover(_ output: String) -> Bool {
    PathKind(PartialDirectory.path(for: output)) != .nothing
  }
}

// MARK: Saving

extension CheckpointWriter {
  /// Saves on another thread when the last time was long ago.
  private func saveNowAndThen() throws(Failure) {
    let isDue = saving.withLock { saving in
      let isDue = !saving.isRunning && saving.failure == nil && saving.last.duration(to: .now) > Self.saveInterval
      if isDue { saving.isRunning = true }
      return isDue
    }
    if isDue {
      savingQueue.async { [self] in
        do throws(Failure) {
          try saveFiles()
        } catch {
          saving.withLock { $0.failure = error }
        }
        saving.withLock { saving in
          saving.isRunning = false
          saving.last = .now
        }
      }
    }
    if let failure = saving.withLock({ $0.failure }) { throw failure }
  }

  /// Saves everything, and waits for it.
  private func save() throws(Failure) {
    savingQueue.sync {}
    if let failure = saving.withLock({ $0.failure }) { throw failure }
    try saveFiles()
  }

  private func saveFiles() throws(Failure) {
    try partial.journal.saveAll { () throws(Failure) in
      for shard in shards { try shard.file?.synchronize() }
      try partial.synchronize()
    }
  }
}

// MARK: Steps

extension CheckpointWriter {
  private static func heads(
    of layouts: [ShardLayout]
  ) throws(Failure) -> [(header: SafetensorsHeader, bytes: [UInt8])] {
    var names: Set<ExactString> = []
    var heads: [(header: SafetensorsHeader, bytes: [UInt8])] = []
    for layout in layouts {
      for tensor in layout.tensors where !names.insert(ExactString(tensor.name)).inserted {
        throw Failure(
          .internalError, operation: "lay out the checkpoint", subject: "\(layout.fileName), tensor \(tensor.name)",
          expected: "every tensor once", got: "the tensor again")
      }
      heads.append(try layout.head())
    }
    return heads
  }

  private static func openShards(
    _ layouts: [ShardLayout], _ heads: [(header: SafetensorsHeader, bytes: [UInt8])], assignment: PartAssignment,
    part: Part, in directory: String
  ) throws(Failure) -> [Shard] {
    try zip(layouts, heads).map { layout, head throws(Failure) in
      let parts = Set(head.header.tensors.map { assignment.part(of: $0.name) })
      let isOurs = parts.contains(part.number) || parts.isEmpty && part.number == 1
      return Shard(
        fileName: layout.fileName, header: head.header, headDigest: Digest(of: head.bytes.span.bytes),
        file: isOurs ? try open(layout.fileName, in: directory) : nil)
    }
  }

  private static func reserve(
    _ shards: [Shard], besides scratchByteCount: Int, in directory: String
  ) throws(Failure) {
    let missing = shards.reduce(0) { sum, shard in
      sum + (shard.file.map { max(0, shard.byteCount - $0.allocatedByteCount) } ?? 0)
    }
    try requireFreeSpace(missing + scratchByteCount, in: directory)
    for shard in shards { try shard.file?.reserve(byteCount: shard.byteCount) }
  }

  private static func owned(_ shards: [Shard], assignment: PartAssignment, part: Part) -> Set<ExactString> {
    let names = shards.flatMap(\.header.tensors).map(\.name)
    return Set(names.filter { assignment.part(of: $0) == part.number }.map { ExactString($0) })
  }

  private static func progress(
    of shards: [Shard], owned: Set<ExactString>, finished records: [JSONValue]
  ) -> [ExactString: TensorProgress] {
    var tensors: [ExactString: TensorProgress] = [:]
    for shard in shards {
      for record in shard.header.tensors {
        let name = ExactString(record.name)
        tensors[name] = TensorProgress(record, in: owned.contains(name) ? shard.file : nil)
      }
    }
    for finished in records.compactMap(FinishedTensor.init) { tensors[ExactString(finished.name)]?.finish(finished) }
    return tensors
  }

  private static func open(_ name: String, in directory: String) throws(Failure) -> OutputFile {
    guard isPlainFileName(name) else {
      throw Failure(
        .internalError, operation: "create a file of the output", subject: directory, expected: "a plain file name",
        got: "\"\(name)\"")
    }
    return try OutputFile("\(directory)/\(name)")
  }

  /// Writes the table of files, where there is more than one.
  private func addIndex() throws(Failure) {
    guard shards.count > 1 else { return }
    let index = CheckpointIndex.text(shards: shards.map { ($0.fileName, $0.header) })
    try addFile(CheckpointIndex.fileName, bytes: Array(index.utf8))
  }

  /// Creates a side file, or empties the one that an earlier run left.
  private func create(_ name: String) throws(Failure) -> OutputFile {
    let isUsed =
      shards.contains { $0.fileName == name } || sideFiles.withLock { $0.contains { $0.name == name } }
    guard !isUsed else {
      throw Failure(
        .cannotCreate, operation: "create a file of the output", subject: "\(partial.path)/\(name)",
        expected: "a name of its own for every file", got: "the name again")
    }
    let file = try Self.open(name, in: partial.path)
    try file.setSize(0)
    return file
  }

  private func record(_ name: String, byteCount: Int, digest: Digest) {
    sideFiles.withLock { $0.append(WrittenFile(name: name, byteCount: byteCount, digest: digest)) }
  }

  private func progress(of tensor: String) throws(Failure) -> TensorProgress {
    guard let progress = tensors[ExactString(tensor)] else {
      throw Failure(
        .internalError, operation: "write a tensor", subject: output, expected: "a tensor of the layout", got: tensor)
    }
    return progress
  }

  private func incomplete() -> Failure {
    let missing = shards.flatMap(\.header.tensors).map(\.name).filter { tensors[ExactString($0)]?.digest == nil }
    return Failure(
      .internalError, operation: "finish the output", subject: output, expected: "all bytes of every tensor",
      got: "\(missing.count) incomplete, among them \(missing.prefix(3).joined(separator: ", "))")
  }
}
