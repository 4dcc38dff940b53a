import Foundation

/// A disk in memory, there as long as this object.
public final class SmallDisk {
  /// Whether this user may mount one.
  public static let canMount = SmallDisk(byteCount: 1 << 20) != nil

  /// Where it is mounted.
  public let path: String
  private let directory: TemporaryDirectory

  /// Mounts a disk; `nil` where that is not allowed.
  public init?(byteCount: Int) {
    guard geteuid() == 0, let directory = try? TemporaryDirectory() else { return nil }
    self.directory = directory
    path = directory.path
    guard run("mount", "-t", "tmpfs", "-o", "size=\(byteCount)", "tmpfs", path) else { return nil }
  }

  deinit { _ = run("umount", path) }

  /// A path on the disk.
  public func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

  /// The names on the disk, sorted.
  public func names() -> [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }

  /// Writes a file until nothing more fits.
  public func fill(_ name: String) {
    guard FileManager.default.createFile(atPath: self(name), contents: nil),
      let file = FileHandle(forWritingAtPath: self(name))
    else { return }
    for piece in [1 << 16, 1 << 12] {
      while (try? file.write(contentsOf: Data(repeating: 1, count: piece))) != nil {}
    }
  }
}

private func run(_ command: String...) -> Bool {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = command
  process.standardError = FileHandle.nullDevice
  guard (try? process.run()) != nil else { return false }
  process.waitUntilExit()
  return process.terminationStatus == 0
}
