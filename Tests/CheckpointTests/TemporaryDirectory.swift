import Glibc
import Testing

/// A new directory for one test, removed with all that is in it.
final class TemporaryDirectory: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/recall-checkpoint-XXXXXX".utf8CString)
    path = String(cString: try #require(mkdtemp(&template)))
  }

  deinit { remove(path) }

  /// The path of a file in the directory.
  func file(_ name: String) -> String { "\(path)/\(name)" }

  /// The names in the directory, sorted.
  func names(in subdirectory: String = "") -> [String] { listing(file(subdirectory)) }
}

private func listing(_ directory: String) -> [String] {
  guard let stream = opendir(directory) else { return [] }
  defer { closedir(stream) }
  var names: [String] = []
  while let entry = readdir(stream) {
    let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    if name != ".", name != ".." { names.append(name) }
  }
  return names.sorted()
}

private func remove(_ path: String) {
  for name in listing(path) { remove("\(path)/\(name)") }
  _ = Glibc.remove(path)
}
