import Checkpoint
import Glibc
import Testing

@Suite("Digests")
struct DigestTests {
  @Test("digests are those of the reference implementation, however the bytes are cut")
  func goldens() {
    for golden in digestGoldens {
      for pieceByteCount in [Int.max, 1, 64, 1000, 1024, 1025] {
        let digest = digest(byteCount: golden.byteCount, pieceByteCount: pieceByteCount)
        #expect(digest.description == golden.digest, "\(golden.byteCount) bytes in pieces of \(pieceByteCount)")
      }
    }
  }

  @Test("digests are those of the reference implementation for every length in a range")
  func rangeGoldens() {
    for golden in digestRangeGoldens {
      let lines = golden.byteCounts.map { "\(digest(byteCount: $0, pieceByteCount: 173))\n" }.joined()
      #expect(Digest(of: lines).description == golden.digest, "\(golden.byteCounts)")
    }
  }

  @Test("asking for the digest does not end the stream")
  func continuation() {
    var digester = Digester()
    digester.update(pattern.span.bytes.extracting(0..<700))
    _ = digester.digest
    digester.update(pattern.span.bytes.extracting(700..<2049))
    #expect(digester.digest == digest(byteCount: 2049, pieceByteCount: .max))
  }

  @Test("a digest is read back from its spelling, and from nothing else")
  func spelling() {
    let digest = Digest(high: 0x1, low: 0xABCD)
    #expect(digest.description == "0000000000000001000000000000abcd")
    #expect(Digest(digest.description) == digest)
    for text in ["", "00", "+000000000000001000000000000abcd", digest.description + "0"] {
      #expect(Digest(text) == nil)
    }
  }

  private func digest(byteCount: Int, pieceByteCount: Int) -> Digest {
    var digester = Digester()
    var position = 0
    while position < byteCount {
      let end = position + min(pieceByteCount, byteCount - position)
      digester.update(pattern.span.bytes.extracting(position..<end))
      position = end
    }
    return digester.digest
  }
}

private let pattern = (0..<100_003).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 24) }

@Suite("The digest of a model")
struct CheckpointDigestTests {
  let directory: TemporaryDirectory
  var model: String { directory.file("model") }
  var cache: CheckpointDigestCache { CheckpointDigestCache(directory: directory.file("cache/digests")) }

  init() throws { directory = try TemporaryDirectory() }

  @Test("it is the digest of the sorted lines of the tensors")
  func definition() throws {
    try write(["b": [1, 2], "a": [3]])
    let checkpoint = try Checkpoint(directory: model)
    let digestA = try checkpoint.digest(of: #require(checkpoint.tensor(named: "a")))
    let digestB = try checkpoint.digest(of: #require(checkpoint.tensor(named: "b")))
    #expect(digestA == Digest(of: [Float(3)].span.bytes))
    #expect(
      try checkpoint.digest(cache: CheckpointDigestCache(directory: nil))
        == Digest(of: "a F32 [1] \(digestA)\nb F32 [2] \(digestB)\n"))
  }

  @Test("it is known when the last tensor has come, in any order")
  func collection() {
    let tensors = ["x", "y"].map { TensorRecord(name: $0, type: .uint8, shape: [], byteRange: 0..<1) }
    let forwards = CheckpointDigest(of: tensors)
    let backwards = CheckpointDigest(of: tensors.reversed())
    for name in ["x", "y"] {
      #expect(forwards.digest == nil)
      forwards.record(Digest(of: name), of: name)
    }
    for name in ["y", "x"] { backwards.record(Digest(of: name), of: name) }
    #expect(forwards.digest != nil)
    #expect(forwards.digest == backwards.digest)
  }

  @Test("the cache answers until a shard changes")
  func cacheValidity() throws {
    try write(["a": [1]])
    let checkpoint = try Checkpoint(directory: model)
    #expect(cache.digest(of: checkpoint) == nil)
    let digest = try checkpoint.digest(cache: cache)
    #expect(cache.digest(of: checkpoint) == digest)
    #expect(cache.digest(of: try Checkpoint(directory: model + "/.")) == digest)

    try write(["a": [2]])
    let changed = try Checkpoint(directory: model)
    #expect(cache.digest(of: changed) == nil)
    #expect(try changed.digest(cache: cache) != digest)
  }

  @Test("a damaged or unwritable cache is no cache")
  func uselessCache() throws {
    try write(["a": [1]])
    let checkpoint = try Checkpoint(directory: model)
    let digest = try checkpoint.digest(cache: cache)
    for name in directory.names(in: "cache/digests") {
      try writeFile(Array("{".utf8), to: directory.file("cache/digests/\(name)"), overwrite: true)
    }
    #expect(cache.digest(of: checkpoint) == nil)
    let unwritable = CheckpointDigestCache(directory: "\(model)/model.safetensors/cache")
    #expect(try checkpoint.digest(cache: unwritable) == digest)
  }

  private func write(_ tensors: [String: [Float]]) throws {
    mkdir(model, 0o777)
    let tensors = tensors.sorted { $0.key > $1.key }.map { name, values in
      FloatTensor(name: name, shape: [values.count], values: values)
    }
    try FloatTensorFile(tensors: tensors, metadata: [:]).write(to: "\(model)/model.safetensors", overwrite: true)
  }
}
