import Checkpoint
import Diagnostics
import Glibc
import JSON
import Testing

@Suite("Writing a checkpoint")
struct CheckpointWriterTests {
  let directory: TemporaryDirectory
  var output: String { directory.file("out") }

  init() throws { directory = try TemporaryDirectory() }

  @Test("what was written is read back, in the order of the layout")
  func roundTrip() throws {
    let layouts = twoShards
    let writer = try CheckpointWriter(output: output, shards: layouts)
    for layout in layouts {
      for tensor in layout.tensors { try writeWhole(tensor, to: writer, pieceByteCount: 7) }
    }
    try writer.addFile("config.json", bytes: Array("{}".utf8))
    let files = try writer.finish()

    #expect(directory.names() == ["out"])
    #expect(directory.names(in: "out") == files.map(\.name).sorted())
    let checkpoint = try Checkpoint(directory: output)
    #expect(checkpoint.directory == output)
    #expect(checkpoint.unindexedTensors == [])
    #expect(checkpoint.layout == layouts)
    #expect(checkpoint.tensors.map(\.name) == layouts.flatMap(\.tensors).map(\.name))
    #expect(checkpoint.byteCount == 24 + 0 + 8 + 6000)
    for shard in checkpoint.shards {
      #expect(shard.header.metadata == ["format": "pt"])
      #expect(shard.header.byteCount.isMultiple(of: 8))
    }
    for tensor in checkpoint.tensors { #expect(try contents(of: tensor, in: checkpoint) == pattern(tensor)) }
    for file in files { #expect(try fileDigest("\(output)/\(file.name)") == file.digest, "\(file.name)") }
  }

  @Test("the index names every tensor and the bytes of all")
  func index() throws {
    try writePatterns(twoShards)
    let path = "\(output)/model.safetensors.index.json"
    let index = try JSONValue(parsing: readFile(path), from: path)
    #expect(index["metadata"]?["total_size"]?.integer == 6032)
    #expect(index["weight_map"]?.object?.members.map(\.key) == ["a.weight", "nothing", "b.scale", "b.weight"])
    #expect(index["weight_map"]?["b.scale"]?.string == "model-00002-of-00002.safetensors")
  }

  @Test("many threads fill tensors in any order")
  func concurrentWrites() async throws {
    let tensors = (0..<32).map { TensorLayout(name: "t\($0)", type: .uint8, shape: [10_000 + $0]) }
    let layouts = [ShardLayout(fileName: "model.safetensors", tensors: tensors)]
    let writer = try CheckpointWriter(output: output, shards: layouts)
    try await withThrowingTaskGroup { group in
      for tensor in tensors.reversed() {
        group.addTask { try writeWhole(tensor, to: writer, pieceByteCount: 997) }
      }
      try await group.waitForAll()
    }
    try writer.finish()

    let checkpoint = try Checkpoint(directory: output)
    try await withThrowingTaskGroup { group in
      for tensor in checkpoint.tensors {
        group.addTask {
          let bytes = try contents(of: tensor, in: checkpoint)
          #expect(bytes == pattern(tensor), "\(tensor.name)")
        }
      }
      try await group.waitForAll()
    }
  }

  @Test("bytes out of order, too many bytes and unknown tensors are refused")
  func wrongWrites() throws {
    let writer = try CheckpointWriter(output: output, shards: oneShard)
    let bytes = [UInt8](repeating: 1, count: 24)
    #expect(throws: Failure.self) { try writer.write("a.weight", at: 4, bytes: bytes.span.bytes) }
    try writer.write("a.weight", at: 0, bytes: bytes.span.bytes)
    #expect(throws: Failure.self) { try writer.write("a.weight", at: 0, bytes: bytes.span.bytes) }
    #expect(throws: Failure.self) { try writer.write("a.weight", at: 24, bytes: bytes.span.bytes) }
    #expect(throws: Failure.self) { try writer.write("b.weight", at: 0, bytes: bytes.span.bytes) }
  }

  @Test("an output with a missing tensor does not get its name")
  func incomplete() throws {
    let writer = try CheckpointWriter(output: output, shards: oneShard)
    let failure = #expect(throws: Failure.self) { try writer.finish() }
    #expect(failure?.got.contains("a.weight") == true)
    #expect(directory.names() == ["out.partial"])
    try writer.abandon()
    #expect(directory.names() == [])
  }

  @Test("a layout that holds a tensor twice leaves nothing behind")
  func repeatedTensor() throws {
    var layouts = twoShards
    layouts[1].tensors.append(layouts[0].tensors[0])
    let layoutsWithRepetition = layouts
    #expect(throws: Failure.self) { try CheckpointWriter(output: output, shards: layoutsWithRepetition) }
    #expect(directory.names() == [])
  }

  @Test("side files are copied, keep plain names and come once")
  func sideFiles() throws {
    let source = directory.file("tokenizer")
    let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
    try writeFile(bytes, to: source)
    let writer = try CheckpointWriter(output: output, shards: oneShard)
    try writer.copyFile(from: source, as: "tokenizer.json")
    #expect(throws: Failure.self) { try writer.addFile("tokenizer.json", bytes: []) }
    #expect(throws: Failure.self) { try writer.addFile("../escape", bytes: []) }
    #expect(throws: Failure.self) { try writer.copyFile(from: directory.file("absent"), as: "absent") }
    try writeWhole(oneShard[0].tensors[0], to: writer, pieceByteCount: 24)
    let files = try writer.finish()
    #expect(files.map(\.name) == ["model.safetensors", "tokenizer.json"])
    #expect(try readFile("\(output)/tokenizer.json") == bytes)
  }

  // MARK: What is in the way

  @Test("an existing output is refused, or replaced as a whole")
  func existingOutput() throws {
    try writePatterns(twoShards)
    let failure = #expect(throws: Failure.self) { try CheckpointWriter(output: output, shards: oneShard) }
    #expect(failure?.category == .cannotCreate)
    #expect(failure?.advice.contains("--overwrite") == true)

    // Weights alone may be anyone's folder of files; a configuration beside them makes a model.
    #expect(throws: Failure.self) { try CheckpointWriter(output: output, shards: oneShard, overwrite: true) }
    try writeFile(Array("{}".utf8), to: "\(output)/config.json")
    let writer = try CheckpointWriter(output: output, shards: oneShard, overwrite: true)
    #expect(directory.names(in: "out").count == 4)
    try writeWhole(oneShard[0].tensors[0], to: writer, pieceByteCount: 24)
    try writer.finish()
    #expect(directory.names() == ["out"])
    #expect(directory.names(in: "out") == ["model.safetensors"])
  }

  @Test("overwriting spares directories that hold no model")
  func preciousDirectory() throws {
    mkdir(output, 0o777)
    try writeFile([1], to: "\(output)/thesis.tex")
    let failure = #expect(throws: Failure.self) {
      try CheckpointWriter(output: output, shards: oneShard, overwrite: true)
    }
    #expect(failure?.category == .cannotCreate)
    #expect(directory.names(in: "out") == ["thesis.tex"])
  }

  @Test("a leftover is explained, or removed when asked")
  func leftover() throws {
    do { _ = try CheckpointWriter(output: output, shards: oneShard) }
    #expect(directory.names() == ["out.partial"])
    let failure = #expect(throws: Failure.self) { try CheckpointWriter(output: output, shards: oneShard) }
    #expect(failure?.category == .cannotCreate)
    #expect(failure?.subject.hasSuffix("out.partial") == true)
    try writePatterns(oneShard, overwrite: true)
    #expect(directory.names() == ["out"])
  }

  @Test("an output that another writer holds is named with its holder")
  func lockedOutput() throws {
    let writer = try CheckpointWriter(output: output, shards: oneShard)
    for overwrite in [false, true] {
      let failure = #expect(throws: Failure.self) {
        try CheckpointWriter(output: output, shards: oneShard, overwrite: overwrite)
      }
      #expect(failure?.category == .tryAgain)
      #expect(failure?.got.contains("process \(getpid())") == true)
    }
    try writer.abandon()
  }

  @Test("a parent that is missing or a file is named")
  func missingParent() throws {
    try writeFile([1], to: directory.file("file"))
    for parent in ["absent", "file"] {
      let failure = #expect(throws: Failure.self) {
        try CheckpointWriter(output: directory.file("\(parent)/out"), shards: oneShard)
      }
      #expect(failure?.category == .cannotCreate)
    }
  }

  @Test("more tensors than the disk can hold are refused with both numbers")
  func impossibleSize() throws {
    let tensor = TensorLayout(name: "huge", type: .uint8, shape: [1 << 58])
    let layouts = [ShardLayout(fileName: "model.safetensors", tensors: [tensor])]
    let failure = #expect(throws: Failure.self) { try CheckpointWriter(output: output, shards: layouts) }
    #expect(failure?.category == .cannotCreate)
    #expect(failure?.expected.contains("288230376151711") == true)
    #expect(directory.names() == [])
  }

  // MARK: Helpers

  private var oneShard: [ShardLayout] {
    [
      ShardLayout(
        fileName: "model.safetensors", tensors: [TensorLayout(name: "a.weight", type: .float32, shape: [2, 3])])
    ]
  }

  private var twoShards: [ShardLayout] {
    [
      ShardLayout(
        fileName: "model-00001-of-00002.safetensors",
        tensors: [
          TensorLayout(name: "a.weight", type: .float32, shape: [2, 3]),
          TensorLayout(name: "nothing", type: .bfloat16, shape: [0, 5]),
        ]),
      ShardLayout(
        fileName: "model-00002-of-00002.safetensors",
        tensors: [
          TensorLayout(name: "b.scale", type: .float64, shape: []),
          TensorLayout(name: "b.weight", type: .bfloat16, shape: [30, 100]),
        ]),
    ]
  }

  private func writePatterns(_ layouts: [ShardLayout], overwrite: Bool = false) throws {
    let writer = try CheckpointWriter(output: output, shards: layouts, overwrite: overwrite)
    for tensor in layouts.flatMap(\.tensors) { try writeWhole(tensor, to: writer, pieceByteCount: 4096) }
    try writer.finish()
  }
}

/// Bytes that differ from tensor to tensor and from position to position.
private func pattern(name: String, byteCount: Int) -> [UInt8] {
  let start = Int(Digest(of: name).low % 251)
  return (0..<byteCount).map { UInt8((start + $0 * 7) % 251) }
}

private func pattern(_ tensor: TensorRecord) -> [UInt8] {
  pattern(name: tensor.name, byteCount: tensor.byteRange.count)
}

private func writeWhole(_ tensor: TensorLayout, to writer: CheckpointWriter, pieceByteCount: Int) throws {
  let bytes = pattern(name: tensor.name, byteCount: try #require(tensor.type.byteCount(shape: tensor.shape)))
  for start in stride(from: 0, to: bytes.count, by: pieceByteCount) {
    let end = min(start + pieceByteCount, bytes.count)
    try writer.write(tensor.name, at: start, bytes: bytes.span.bytes.extracting(start..<end))
  }
}

/// Reads a tensor in two parts.
private func contents(of tensor: TensorRecord, in checkpoint: Checkpoint) throws -> [UInt8] {
  var bytes: [UInt8] = []
  let middle = tensor.byteRange.count / 2
  for part in [0..<middle, middle..<tensor.byteRange.count] {
    var piece = [UInt8](repeating: 0, count: part.count)
    var span = piece.mutableSpan
    var destination = span.mutableBytes
    try checkpoint.read(tensor, bytes: part, into: &destination)
    bytes += piece
  }
  return bytes
}
