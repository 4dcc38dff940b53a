import Checkpoint

/// Compiled programs that outlive the process, in the user's cache directory `recall/kernels`.
///
/// Key: the digest of everything that a binary depends on: the whole text, the compiler's options, and what the driver says
/// about device, driver and compiler, in `environment`. So nothing has to be thrown away when any of them changes.
///
/// Layout: one file per key, named by its 32 hexadecimal digits. It holds the word `recall-kernel/1`, the key, and the
/// digest of the binary, each ended by a newline, and then the binary.
///
/// Concurrency: a file takes its name when it is complete, and any number of processes may write the same one; the last
/// wins, and all are right. There are no locks. A file that is cut off or damaged does not fit its digest and is the same
/// as none: its program is compiled again and stored again. So is a directory that cannot be read or written.
package struct ProgramCache: Sendable {
  private static let format = "recall-kernel/1"
  private let files: UserCache

  /// A cache in a directory, which is created when first needed; `nil` is a cache that remembers nothing.
  package init(directory: String?) { files = UserCache(directory: directory) }

  private init(files: UserCache) { self.files = files }

  /// The cache of the user.
  package static var standard: ProgramCache { ProgramCache(files: UserCache(named: "kernels")) }

  /// What a binary depends on, as the name of its file.
  package struct Key: Sendable, Hashable {
    fileprivate let digest: String

    /// The key of a program for one dialect and one environment: device, driver and compiler in words, with versions.
    package init(_ source: ProgramSource, in dialect: KernelDialect, environment: [String]) {
      // No part has a zero in it, so no two lists give the same text.
      let parts = [ProgramCache.format, source.text(in: dialect)] + source.options + ["in"] + environment
      digest = Digest(of: parts.joined(separator: "\0")).description
    }
  }

  /// The binary that was stored under a key, if the file is whole.
  package func binary(for key: Key) -> [UInt8]? {
    guard let bytes = files.read(key.digest), bytes.count >= Self.headerLength else { return nil }
    let binary = Array(bytes[Self.headerLength...])
    return bytes.starts(with: Self.header(key, binary)) ? binary : nil
  }

  /// Stores a binary if that is possible.
  package func store(_ binary: [UInt8], for key: Key) {
    files.store(Self.header(key, binary) + binary, as: key.digest)
  }

  /// Two digests of 32 digits, a word, and three ends of lines.
  private static let headerLength = format.utf8.count + 2 * 32 + 3

  private static func header(_ key: Key, _ binary: [UInt8]) -> [UInt8] {
    Array("\(format)\n\(key.digest)\n\(Digest(of: binary.span.bytes))\n".utf8)
  }
}
