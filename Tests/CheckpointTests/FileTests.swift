import Checkpoint
import Diagnostics
import Glibc
import Testing

@Suite("Single files")
struct FileTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("a file is written whole and read back")
  func roundTrip() throws {
    for byteCount in [0, 1, 3_000_000] {
      let bytes = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0) }
      try writeFile(bytes, to: directory.file("file"), overwrite: true)
      #expect(try readFile(directory.file("file")) == bytes)
      #expect(try fileDigest(directory.file("file")) == Digest(of: bytes.span.bytes))
    }
    #expect(directory.names() == ["file"])
  }

  @Test("a file that exists is kept unless it may be replaced")
  func existingFile() throws {
    let path = directory.file("file")
    try writeFile([1], to: path)
    let failure = #expect(throws: Failure.self) { try writeFile([2], to: path) }
    #expect(failure?.category == .cannotCreate)
    #expect(try readFile(path) == [1])
    try writeFile([2], to: path, overwrite: true)
    #expect(try readFile(path) == [2])
    #expect(directory.names() == ["file"])
  }

  @Test("what cannot be written is named and leaves nothing behind")
  func unwritable() throws {
    let missing = #expect(throws: Failure.self) { try writeFile([1], to: directory.file("absent/file")) }
    #expect(missing?.category == .cannotCreate)
    mkdir(directory.file("directory"), 0o777)
    let taken = #expect(throws: Failure.self) { try writeFile([1], to: directory.file("directory"), overwrite: true) }
    #expect(taken?.category == .cannotCreate)
    #expect(directory.names() == ["directory"])
  }

  @Test("what cannot be read is a missing input")
  func unreadable() {
    for path in [directory.file("absent"), directory.path] {
      let failure = #expect(throws: Failure.self) { try readFile(path) }
      #expect(failure?.category == .missingInput)
      #expect(failure?.subject == path)
    }
  }

  @Test("a file that does not know its size is read to its end")
  func sizelessFile() throws {
    #expect(try String(decoding: readFile("/proc/self/status"), as: UTF8.self).hasPrefix("Name:"))
  }

  @Test("float tensors and their metadata are read back")
  func floatTensors() throws {
    let file = FloatTensorFile(
      tensors: [
        FloatTensor(name: "states", shape: [2, 3], values: [1, -2, 3.5, .infinity, 0, .leastNonzeroMagnitude]),
        FloatTensor(name: "empty", shape: [0], values: []),
        FloatTensor(name: "\u{E9}\"", shape: [], values: [7]),
      ], metadata: ["model": "/models/a \"b\"\n", "digest": "00"])
    let path = directory.file("states.safetensors")
    try file.write(to: path)
    #expect(try FloatTensorFile(reading: path) == file)
  }

  @Test("float tensors whose values do not fill their shape are refused")
  func wrongShape() {
    let file = FloatTensorFile(tensors: [FloatTensor(name: "a", shape: [2], values: [1])], metadata: [:])
    #expect(throws: Failure.self) { try file.write(to: directory.file("a.safetensors")) }
    #expect(directory.names() == [])
  }
}
