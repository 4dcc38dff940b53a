import Checkpoint
import Diagnostics
import Foundation
import Testing

@Suite("A full disk", .enabled(if: SmallDisk.canMount, "needs the right to mount a small disk"))
struct FullDiskTests {
  let disk: SmallDisk
  let large = 2 * SmallDisk.byteCount

  init() throws { disk = try #require(SmallDisk()) }

  @Test("tensors that do not fit are refused before the first byte, with the space needed and free")
  func tensorsTooLarge() throws {
    let failure = #expect(throws: Failure.self) {
      try CheckpointWriter(output: disk.file("out"), shards: [layout(byteCount: large)])
    }
    #expect(failure?.category == .cannotCreate)
    let needed = failure?.expected.split(separator: " ").first.flatMap { Int($0) }
    let free = failure.flatMap { Int($0.got) }
    #expect(try #require(needed) > large)
    #expect(try #require(free) <= SmallDisk.byteCount)
    #expect(disk.directory.names() == [])
  }

  @Test("a side file that does not fit is an error that says so")
  func sideFileTooLarge() throws {
    let writer = try CheckpointWriter(output: disk.file("out"), shards: [layout(byteCount: 8)])
    let failure = #expect(throws: Failure.self) {
      try writer.addFile("tokenizer.json", bytes: [UInt8](repeating: 1, count: large))
    }
    #expect(failure?.category == .inputOutput)
    #expect(failure?.got.contains("No space left") == true)
    #expect(disk.directory.names() == ["out.partial"])
    try writer.abandon()
    #expect(disk.directory.names() == [])
  }

  @Test("a single file that does not fit is not there")
  func singleFileTooLarge() {
    let failure = #expect(throws: Failure.self) {
      try writeFile([UInt8](repeating: 1, count: large), to: disk.file("report.json"))
    }
    #expect(failure?.category == .inputOutput)
    #expect(disk.directory.names() == [])
  }

  private func layout(byteCount: Int) -> ShardLayout {
    ShardLayout(
      fileName: "model.safetensors", tensors: [TensorLayout(name: "a", type: .uint8, shape: [byteCount])],
      metadata: [:])
  }
}

/// A disk of 1 MiB in memory, there as long as this object.
final class SmallDisk: Sendable {
  static let byteCount = 1 << 20
  static let canMount = SmallDisk() != nil

  let directory: TemporaryDirectory

  init?() {
    guard geteuid() == 0, let directory = try? TemporaryDirectory() else { return nil }
    self.directory = directory
    guard run("mount", "-t", "tmpfs", "-o", "size=\(Self.byteCount)", "tmpfs", directory.path) else { return nil }
  }

  deinit { _ = run("umount", directory.path) }

  func file(_ name: String) -> String { directory.file(name) }
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
