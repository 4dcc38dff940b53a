import JSON

/// Remembers the digests of models between runs, so that an unchanged model need not be read to be named.
///
/// One small JSON file for each model directory holds path, size, modification time and inode of every shard, and the
/// digest. A digest counts only while all of them are as they were. Files are replaced at one instant, so concurrent runs may
/// share a cache; a cache that cannot be read or written is the same as none.
public struct CheckpointDigestCache: Sendable {
  private let files: UserCache

  /// A cache in a directory, which is created when first needed; `nil` is a cache that remembers nothing.
  public init(directory: String?) { files = UserCache(directory: directory) }

  private init(files: UserCache) { self.files = files }

  /// The cache of the user: `recall/digests` in `$XDG_CACHE_HOME`, else in `~/.cache`.
  public static var standard: CheckpointDigestCache { CheckpointDigestCache(files: UserCache(named: "digests")) }

  /// The digest of a model when it was stored before and no shard has changed since.
  public func digest(of checkpoint: Checkpoint) -> Digest? {
    let name = Self.name(for: checkpoint)
    guard let bytes = files.read(name), let entry = try? JSONValue(parsing: bytes, from: name),
      entry["shards"]?.compact == checkpoint.fileIdentities.compact
    else { return nil }
    return entry["digest"]?.string.flatMap { Digest($0) }
  }

  /// Stores the digest of a model as its files were when it was opened.
  public func store(_ digest: Digest, of checkpoint: Checkpoint) {
    let entry: JSONValue = ["shards": checkpoint.fileIdentities, "digest": .string(digest.description)]
    files.store(Array(entry.formatted.utf8), as: Self.name(for: checkpoint))
  }

  private static func name(for checkpoint: Checkpoint) -> String { "\(Digest(of: checkpoint.directory)).json" }
}

extension Checkpoint {
  /// What changes whenever a shard is written or replaced: path, size, modification time and inode of each.
  public var fileIdentities: JSONValue {
    .array(
      shards.map { shard in
        [
          "path": .string(shard.file.path), "size": .integer(shard.byteCount),
          "modified": .integer(shard.file.modificationNanoseconds), "inode": .string(String(shard.file.inode)),
        ]
      })
  }
}
