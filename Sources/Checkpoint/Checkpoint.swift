import Diagnostics
import JSON

/// A model directory opened for reading: every header is proven, every shard is open, no element has been read yet.
///
/// Any number of threads may read at once. The files stay open until the last reference is gone.
public final class Checkpoint: Sendable {
  /// One safetensors file of the checkpoint.
  public struct Shard: Sendable {
    /// The name inside the directory.
    public let fileName: String
    /// What the file holds, its tensors in the order of their bytes.
    public let header: SafetensorsHeader
    let file: InputFile

    /// The size of the whole file.
    public var byteCount: Int { file.byteCount }
  }

  /// The absolute path of the directory.
  public let directory: String
  /// The files in the order in which Transformers loads them, which is that of their names.
  public let shards: [Shard]
  /// All tensors, shard by shard, in the order of their bytes.
  public let tensors: [TensorRecord]
  /// Tensors that a shard holds and the index does not mention.
  ///
  /// They are part of `tensors`, as they are for Transformers, and worth a warning.
  public let unindexedTensors: [String]
  /// The bytes of all elements, without the heads of the files.
  public let byteCount: Int

  private let places: [ExactString: (shard: Int, tensor: TensorRecord)]

  /// Opens a model directory: `model.safetensors`, else `model.safetensors.index.json` with its shards, else the only index
  /// or the only safetensors file of another name (a variant such as fp16, or an adapter).
  ///
  /// Reads the index and the headers only.
  ///
  /// - Throws: `Failure` of category `missingInput` when the directory or a file is not there, and of category `badData`
  ///   when a header lies, an index names a file outside of the directory or a tensor that its file does not hold, or two
  ///   shards hold a tensor of the same name.
  public init(directory path: String) throws(Failure) {
    directory = absolutePath(path)
    let index: CheckpointIndex?
    let fileNames: [String]
    switch try Self.entryPoint(of: directory) {
    case .file(let name): (index, fileNames) = (nil, [name])
    case .index(let name):
      let table = try CheckpointIndex(reading: "\(directory)/\(name)")
      (index, fileNames) = (table, table.files)
    }
    shards = try Self.open(fileNames, in: directory)
    tensors = shards.flatMap(\.header.tensors)
    byteCount = tensors.reduce(0) { $0 + $1.byteRange.count }
    places = try Self.places(of: shards, in: directory)
    unindexedTensors = try Self.unmentioned(by: index, shards: shards, places: places, directory: directory)
  }

  /// The tensor of a name, by its exact bytes.
  public func tensor(named name: String) -> TensorRecord? { places[ExactString(name)]?.tensor }

  /// Reads a part of a tensor with one positioned read; any number of threads may do so at once.
  ///
  /// - Parameters:
  ///   - tensor: A tensor of this checkpoint.
  ///   - bytes: The part, counted from the first byte of the tensor.
  ///   - destination: Room for at least these bytes; they go to its start and the rest stays as it is.
  /// - Throws: `Failure` of category `inputOutput` when the system cannot read or the file was cut since it was opened, and
  ///   of category `internalError` when tensor, part and destination do not fit together.
  public func read(
    _ tensor: TensorRecord, bytes: Range<Int>, into destination: inout MutableRawSpan
  ) throws(Failure) {
    let (file, record) = try place(of: tensor)
    let tensorBytes = 0..<record.byteRange.count
    guard bytes.clamped(to: tensorBytes) == bytes, destination.byteCount >= bytes.count else {
      throw Failure(
        .internalError, operation: "read a tensor", subject: "\(file.path), tensor \(excerpt(tensor.name))",
        expected: "a part of bytes \(tensorBytes) and room for them",
        got: "bytes \(bytes) into \(destination.byteCount)")
    }
    let start = record.byteRange.lowerBound
    try file.read(start + bytes.lowerBound..<start + bytes.upperBound, into: &destination)
  }

  /// Calls a function with one piece of a tensor after the other, each of at most 4 MiB, and with its place in the tensor.
  ///
  /// - Throws: `Failure` as `read` does, and what the function throws.
  public func forEachPiece(
    of tensor: TensorRecord, _ body: (RawSpan, _ byteOffset: Int) throws(Failure) -> Void
  ) throws(Failure) {
    let (file, record) = try place(of: tensor)
    var offset = 0
    try file.forEachPiece(of: record.byteRange) { (piece) throws(Failure) in
      try body(piece, offset)
      offset += piece.byteCount
    }
  }

  /// The digest of all bytes of a tensor, read in pieces of 4 MiB.
  ///
  /// - Throws: `Failure` as `read` does.
  public func digest(of tensor: TensorRecord) throws(Failure) -> Digest {
    let (file, record) = try place(of: tensor)
    return try file.digest(of: record.byteRange)
  }

  private func place(of tensor: TensorRecord) throws(Failure) -> (InputFile, TensorRecord) {
    guard let place = places[ExactString(tensor.name)] else {
      throw Failure(
        .internalError, operation: "read a tensor", subject: directory, expected: "a tensor of this checkpoint",
        got: tensor.name)
    }
    return (shards[place.shard].file, place.tensor)
  }
}

// MARK: Opening

extension Checkpoint {
  private enum EntryPoint {
    case file(String)
    case index(String)
  }

  private static func entryPoint(of directory: String) throws(Failure) -> EntryPoint {
    let names = try fileNames(in: directory)
    if names.contains("model.safetensors") { return .file("model.safetensors") }
    if names.contains(CheckpointIndex.fileName) { return .index(CheckpointIndex.fileName) }
    let indexes = names.filter { $0.contains(".safetensors.index.") && $0.hasSuffix(".json") }
    if indexes.count == 1 { return .index(indexes[0]) }
    let files = names.filter { $0.hasSuffix(".safetensors") }
    if indexes.isEmpty, files.count == 1 { return .file(files[0]) }

    let candidates = (indexes + files).prefix(8).joined(separator: ", ")
    let needsConversion = names.contains { $0.hasSuffix(".bin") || $0.hasSuffix(".pt") || $0.hasSuffix(".pth") }
    throw Failure(
      .missingInput, operation: "open the checkpoint", subject: directory,
      expected: "model.safetensors, \(CheckpointIndex.fileName) or one safetensors file",
      got: candidates.isEmpty ? "none of them" : candidates,
      advice: needsConversion ? "Convert its weights to safetensors first (save_pretrained does)." : "")
  }

  private static func open(_ fileNames: [String], in directory: String) throws(Failure) -> [Shard] {
    var shards: [Shard] = []
    for fileName in fileNames {
      let file = try InputFile("\(directory)/\(fileName)")
      shards.append(Shard(fileName: fileName, header: try SafetensorsHeader.read(file), file: file))
    }
    return shards
  }

  private static func places(
    of shards: [Shard], in directory: String
  ) throws(Failure) -> [ExactString: (shard: Int, tensor: TensorRecord)] {
    var places: [ExactString: (shard: Int, tensor: TensorRecord)] = [:]
    for (number, shard) in shards.enumerated() {
      for tensor in shard.header.tensors {
        if let other = places.updateValue((number, tensor), forKey: ExactString(tensor.name)) {
          throw Failure(
            .badData, operation: "open the checkpoint", subject: "\(directory), tensor \(excerpt(tensor.name))",
            expected: "one shard that holds it", got: "\(shards[other.shard].fileName) and \(shard.fileName)")
        }
      }
    }
    return places
  }

  /// Proves that every file holds what the index says, and names what the index does not say.
  private static func unmentioned(
    by index: CheckpointIndex?, shards: [Shard], places: [ExactString: (shard: Int, tensor: TensorRecord)],
    directory: String
  ) throws(Failure) -> [String] {
    guard let index else { return [] }
    var mentioned: Set<ExactString> = []
    for (tensor, file) in index.entries {
      let holder = places[ExactString(tensor)].map { shards[$0.shard].fileName }
      guard let holder, ExactString(holder) == ExactString(file) else {
        throw Failure(
          .badData, operation: "open the checkpoint", subject: "\(directory), tensor \(excerpt(tensor))",
          expected: "it in \(file), as the index says", got: holder.map { "it in \($0)" } ?? "no shard that holds it",
          advice: "Index and shards are of different downloads; download the checkpoint again.")
      }
      mentioned.insert(ExactString(tensor))
    }
    return shards.flatMap(\.header.tensors).map(\.name).filter { !mentioned.contains(ExactString($0)) }
  }
}
