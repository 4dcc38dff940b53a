import Glibc

/// Where a path leads, told by device and inode: reached by another mount or another link it is the same place.
public struct Place: Sendable {
  /// What is there; `nil` when that is nothing yet.
  private let own: FileIdentity?
  /// The directories that it is in up to the root; of a link, those of what it leads to as well.
  private let parents: Set<FileIdentity>
  /// The files in it, when it is a directory.
  private let files: Set<FileIdentity>

  /// Looks at what a path leads to.
  public init(_ path: String) {
    self.init(
      path, resolve: resolvedPath, identity: { FileIdentity($0) }, names: { (try? fileNames(in: $0)) ?? [] })
  }

  /// As above, in a file system that functions describe.
  package init(
    _ path: String, resolve: (String) -> String?, identity: (String) -> FileIdentity?, names: (String) -> [String]
  ) {
    let path = absolutePath(path)
    own = identity(path)
    var parents: Set<FileIdentity> = []
    for place in [path, resolve(path) ?? path] {
      var directory = parentDirectory(of: place)
      directory = resolve(directory) ?? directory
      while true {
        if let parent = identity(directory) { parents.insert(parent) }
        if directory == "/" { break }
        directory = parentDirectory(of: directory)
      }
    }
    self.parents = parents
    files = Set(names(path).compactMap { identity("\(path)/\($0)") })
  }

  /// Whether what is written here leaves an input alone: neither is the other, or holds it, or is a file of it.
  public func isApart(from input: Place) -> Bool {
    !isInside(input) && !input.isInside(self) && !(own.map(input.files.contains) ?? false)
  }

  private func isInside(_ other: Place) -> Bool {
    guard let outer = other.own else { return false }
    return own == outer || parents.contains(outer)
  }
}

/// A path without links and `..`; `nil` when nothing is there.
private func resolvedPath(_ path: String) -> String? {
  guard let resolved = realpath(path, nil) else { return nil }
  defer { free(resolved) }
  return String(cString: resolved)
}
