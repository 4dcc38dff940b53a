import Glibc

/// A directory of small files that this user's programs keep between runs.
///
/// Files are replaced at one instant, so concurrent runs may share it; the last writer wins. One that cannot be read or
/// written is the same as none.
public struct UserCache: Sendable {
  /// Where the files are; `nil` for a cache that remembers nothing.
  public let directory: String?

  /// A cache in a directory, which is created when first needed; `nil` is a cache that remembers nothing.
  public init(directory: String?) { self.directory = directory }

  /// The user's own: `recall/NAME` in `$XDG_CACHE_HOME`, else in `~/.cache`.
  public init(named name: String) {
    let base = Self.environment("XDG_CACHE_HOME") ?? Self.environment("HOME").map { $0 + "/.cache" }
    directory = base.map { "\($0)/recall/\(name)" }
  }

  /// Where a file of the cache is; `nil` when the cache remembers nothing.
  public func path(of name: String) -> String? { directory.map { "\($0)/\(name)" } }

  /// The bytes of a file that was stored.
  public func read(_ name: String) -> [UInt8]? { path(of: name).flatMap { try? readFile($0) } }

  /// Stores a file if that is possible.
  public func store(_ bytes: [UInt8], as name: String) {
    guard let directory, let path = path(of: name) else { return }
    Self.createDirectories(directory)
    try? writeFile(bytes, to: path, overwrite: true)
  }

  /// An absolute path from the environment; the XDG rules ask to ignore others.
  private static func environment(_ name: String) -> String? {
    guard let value = getenv(name).map({ String(cString: $0) }), value.hasPrefix("/") else { return nil }
    return value
  }

  /// Creates a directory and the ones above it; that it did not work shows when it is used.
  private static func createDirectories(_ path: String) {
    guard PathKind(path) == .nothing, path != "/" else { return }
    createDirectories(parentDirectory(of: path))
    mkdir(path, 0o700)
  }
}
