import Glibc
import JSON

/// Remembers the digests of models between runs, so that an unchanged model need not be read to be named.
///
/// One small JSON file for each model directory holds path, size, modification time and inode of every shard, and the
/// digest. A digest counts only while all of them are as they were. Files are replaced at one instant, so concurrent runs may
/// share a cache; a cache that cannot be read or written is the same as none.
public struct CheckpointDigestCache: Sendable {
  private let directory: String?

  /// A cache in a directory, which is created when first needed; `nil` is a cache that remembers nothing.
  public init(directory: String?) { self.directory = directory }

  /// The cache of the user: `recall/digests` in `$XDG_CACHE_HOME`, else in `~/.cache`.
  public static var standard: CheckpointDigestCache {
    let base = environment("XDG_CACHE_HOME") ?? environment("HOME").map { $0 + "/.cache" }
    return CheckpointDigestCache(directory: base.map { $0 + "/recall/digests" })
  }

  /// The digest of a model when it was stored before and no shard has changed since.
  public func digest(of checkpoint: Checkpoint) -> Digest? {
    guard let path = path(for: checkpoint), let bytes = try? readFile(path),
      let entry = try? JSONValue(parsing: bytes, from: path),
      entry["shards"]?.compact == checkpoint.fileIdentities.compact
    else { return nil }
    return entry["digest"]?.string.flatMap { Digest($0) }
  }

  /// Stores the digest of a model as its files were when it was opened.
  public func store(_ digest: Digest, of checkpoint: Checkpoint) {
    guard let directory, let path = path(for: checkpoint) else { return }
    createDirectories(directory)
    let entry: JSONValue = ["shards": checkpoint.fileIdentities, "digest": .string(digest.description)]
    try? writeFile(Array(entry.formatted.utf8), to: path, overwrite: true)
  }

  private func path(for checkpoint: Checkpoint) -> String? {
    directory.map { "\($0)/\(Digest(of: checkpoint.directory)).json" }
  }

  /// An absolute path from the environment; the XDG rules ask to ignore others.
  private static func environment(_ name: String) -> String? {
    guard let value = getenv(name).map({ String(cString: $0) }), value.hasPrefix("/") else { return nil }
    return value
  }
}

/// Creates a directory and the ones above it; that it did not work shows when it is used.
private func createDirectories(_ path: String) {
  guard PathKind(path) == .nothing, path != "/" else { return }
  createDirectories(splitPath(path).parent)
  mkdir(path, 0o700)
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
