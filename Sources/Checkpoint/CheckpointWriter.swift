import Diagnostics
import Glibc
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

/// Writes a checkpoint that Transformers loads, and gives it its name only when all of it is on the disk.
///
/// Everything grows in `OUT.partial`, locked against other processes. Tensors may be written in any order and by many
/// threads at once; the bytes of one tensor come in order, in pieces of any size. A writer that is let go without `finish`
/// or `abandon` leaves `OUT.partial` behind.
public final class CheckpointWriter: Sendable {
  private struct Shard {
    let fileName: String
    let header: SafetensorsHeader
    let headDigest: Digest
    let file: OutputFile

    var byteCount: Int { header.tensors.last?.byteRange.upperBound ?? header.byteCount }
  }

  private let partial: PartialDirectory
  private let shards: [Shard]
  private let tensors: [ExactString: TensorProgress]
  private let sideFiles = Mutex<[WrittenFile]>([])

  /// Prepares an output: checks the path and the free space, creates `OUT.partial`, writes the index (for more than one
  /// shard) and the head of every shard, and reserves the space for all tensors.
  ///
  /// - Parameters:
  ///   - output: The directory to be created.
  ///   - layouts: The shards; no tensor may occur twice.
  ///   - overwrite: Whether an existing model directory of this name is replaced at the end, and a leftover `OUT.partial`
  ///     removed at the start.
  /// - Throws: `Failure` of category `cannotCreate` when the output or a leftover exists, the parent directory is missing or
  ///   may not be written, or the space does not suffice; of category `tryAgain` when another process writes the same
  ///   output; of category `internalError` for a layout that contradicts itself. Nothing is left behind.
  public init(output: String, shards layouts: [ShardLayout], overwrite: Bool = false) throws(Failure) {
    let heads = try Self.heads(of: layouts)
    partial = try PartialDirectory(for: output, overwrite: overwrite)
    do {
      let byteCount = heads.reduce(0) { $0 + ($1.header.tensors.last?.byteRange.upperBound ?? $1.bytes.count) }
      try Self.requireSpace(byteCount, in: partial.path)
      shards = try Self.createShards(layouts, heads, in: partial.path)
      tensors = Self.progress(of: shards)
      if shards.count > 1 {
        let index = CheckpointIndex.text(shards: shards.map { ($0.fileName, $0.header) })
        try addFile(CheckpointIndex.fileName, bytes: Array(index.utf8))
      }
    } catch {
      try? partial.remove()
      throw error
    }
  }

  /// The absolute path of the output once it is finished.
  public var output: String { partial.output }

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
    try progress(of: tensor).write(bytes, at: byteOffset)
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

  /// Saves everything to the disk and gives the output its name, at one instant; what it replaces is removed after.
  ///
  /// - Returns: All files of the output, shards first.
  /// - Throws: `Failure` of category `internalError` when a tensor is not complete, else of category `inputOutput` or
  ///   `cannotCreate`; `OUT.partial` is left behind then.
  @discardableResult
  public func finish() throws(Failure) -> [WrittenFile] {
    let files = try files()
    for shard in shards { try shard.file.synchronize() }
    try partial.publish()
    return files
  }

  /// Removes `OUT.partial` with all that was written; not to be called after `finish`.
  ///
  /// - Throws: `Failure` of category `inputOutput` when something cannot be removed.
  public func abandon() throws(Failure) { try partial.remove() }
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

  private static func requireSpace(_ byteCount: Int, in directory: String) throws(Failure) {
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

  private static func createShards(
    _ layouts: [ShardLayout], _ heads: [(header: SafetensorsHeader, bytes: [UInt8])], in directory: String
  ) throws(Failure) -> [Shard] {
    var shards: [Shard] = []
    for (layout, head) in zip(layouts, heads) {
      let file = try create(layout.fileName, in: directory)
      let shard = Shard(
        fileName: layout.fileName, header: head.header, headDigest: Digest(of: head.bytes.span.bytes), file: file)
      try file.reserve(byteCount: shard.byteCount)
      try file.write(head.bytes.span.bytes, at: 0)
      shards.append(shard)
    }
    return shards
  }

  private static func progress(of shards: [Shard]) -> [ExactString: TensorProgress] {
    var tensors: [ExactString: TensorProgress] = [:]
    for shard in shards {
      for record in shard.header.tensors { tensors[ExactString(record.name)] = TensorProgress(record, in: shard.file) }
    }
    return tensors
  }

  private static func create(_ name: String, in directory: String) throws(Failure) -> OutputFile {
    guard isPlainFileName(name) else {
      throw Failure(
        .internalError, operation: "create a file of the output", subject: directory, expected: "a plain file name",
        got: "\"\(name)\"")
    }
    return try OutputFile(creating: "\(directory)/\(name)")
  }

  private func create(_ name: String) throws(Failure) -> OutputFile { try Self.create(name, in: partial.path) }

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
