import Checkpoint
import Diagnostics
import TestSupport
import Testing

@Suite("A full disk", .enabled(if: SmallDisk.canMount, "needs the right to mount a small disk"))
struct FullDiskTests {
  static let byteCount = 1 << 20

  let disk: SmallDisk
  let large = 2 * byteCount

  init() throws { disk = try #require(SmallDisk(byteCount: Self.byteCount)) }

  @Test("tensors that do not fit are refused before the first byte, with the space needed and free")
  func tensorsTooLarge() throws {
    let failure = #expect(throws: Failure.self) {
      try CheckpointWriter(output: disk("out"), shards: [layout(byteCount: large)])
    }
    #expect(failure?.category == .cannotCreate)
    let needed = failure?.expected.split(separator: " ").first.flatMap { Int($0) }
    let free = failure.flatMap { Int($0.got) }
    #expect(try #require(needed) > large)
    #expect(try #require(free) <= Self.byteCount)
    #expect(disk.names() == [])
  }

  @Test("a side file that does not fit is an error that says so")
  func sideFileTooLarge() throws {
    let writer = try CheckpointWriter(output: disk("out"), shards: [layout(byteCount: 8)])
    let failure = #expect(throws: Failure.self) {
      try writer.addFile("tokenizer.json", bytes: [UInt8](repeating: 1, count: large))
    }
    #expect(failure?.category == .inputOutput)
    #expect(failure?.got.contains("No space left") == true)
    #expect(disk.names() == ["out.partial"])
    try writer.abandon()
    #expect(disk.names() == [])
  }

  @Test("a single file that does not fit is not there")
  func singleFileTooLarge() {
    let failure = #expect(throws: Failure.self) {
      try writeFile([UInt8](repeating: 1, count: large), to: disk("report.json"))
    }
    #expect(failure?.category == .inputOutput)
    #expect(disk.names() == [])
  }

  private func layout(byteCount: Int) -> ShardLayout {
    ShardLayout(
      fileName: "model.safetensors", tensors: [TensorLayout(name: "a", type: .uint8, shape: [byteCount])],
      metadata: [:])
  }
}
