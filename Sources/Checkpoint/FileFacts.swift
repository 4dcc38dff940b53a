import Glibc

/// What tells a file or directory from every other one on the machine, by whatever path it is reached.
package struct FileIdentity: Hashable, Sendable {
  /// The number of the file system.
  package let device: UInt64
  /// The number of the file on it.
  package let inode: UInt64

  /// An identity of its two numbers.
  package init(device: UInt64, inode: UInt64) {
    self.device = device
    self.inode = inode
  }

  /// What a path leads to, links followed; `nil` when that is nothing.
  package init?(_ path: String) {
    guard let facts = FileFacts(path, followsLinks: true) else { return nil }
    self = facts.identity
  }
}

/// What the system says of a file or directory.
struct FileFacts: Sendable {
  enum Kind: Sendable {
    case regular, directory, link, other
  }

  let kind: Kind
  let identity: FileIdentity
  let byteCount: Int
  /// The number of the user that it belongs to.
  let owner: UInt32
  /// The number of names that it has.
  let linkCount: Int
  /// Whether anyone may write it.
  let isWritableByAll: Bool
  /// The nanosecond in which the bytes were written last, as programs may set it.
  let modificationNanoseconds: Int

  /// Looks at what a path leads to; `nil` when that is nothing.
  init?(_ path: String, followsLinks: Bool = false) {
    var facts = stat()
    guard (followsLinks ? stat(path, &facts) : lstat(path, &facts)) == 0 else { return nil }
    self.init(facts)
  }

  /// Looks at an open file; `nil` when the system cannot say.
  init?(_ descriptor: borrowing Descriptor) {
    var facts = stat()
    guard fstat(descriptor.number, &facts) == 0 else { return nil }
    self.init(facts)
  }

  private init(_ facts: stat) {
    kind =
      switch facts.st_mode & S_IFMT {
      case S_IFREG: .regular
      case S_IFDIR: .directory
      case S_IFLNK: .link
      default: .other
      }
    identity = FileIdentity(device: UInt64(facts.st_dev), inode: UInt64(facts.st_ino))
    byteCount = Int(facts.st_size)
    owner = facts.st_uid
    linkCount = Int(facts.st_nlink)
    isWritableByAll = facts.st_mode & S_IWOTH != 0
    modificationNanoseconds = facts.st_mtim.tv_sec * 1_000_000_000 + facts.st_mtim.tv_nsec
  }
}
