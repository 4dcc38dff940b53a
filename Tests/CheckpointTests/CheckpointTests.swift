import Checkpoint
import Diagnostics
import Glibc
import Testing

@Suite("Opening a checkpoint")
struct CheckpointTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test("a tensor is found by the exact bytes of its name")
  func lookUp() throws {
    try write(["\u{E9}": [1], "e\u{301}": [2]], to: "model.safetensors")
    let checkpoint = try Checkpoint(directory: directory.path)
    #expect(checkpoint.tensors.count == 2)
    #expect(checkpoint.tensor(named: "\u{E9}") != checkpoint.tensor(named: "e\u{301}"))
    #expect(checkpoint.tensor(named: "e") == nil)
  }

  @Test(
    "names of variants and adapters are found",
    arguments: ["model.fp16.safetensors", "adapter_model.safetensors", "pytorch_model.safetensors"])
  func singleFile(name: String) throws {
    try write(["a": [1]], to: name)
    #expect(try Checkpoint(directory: directory.path).shards.map(\.fileName) == [name])
  }

  @Test("a variant's index is found", arguments: ["model.safetensors.index.json", "model.safetensors.index.fp16.json"])
  func index(name: String) throws {
    try write(["a": [1]], to: "2.safetensors")
    try write(["b": [1]], to: "1.safetensors")
    try write(["other": [1]], to: "consolidated.safetensors")
    try writeIndex(["a": "2.safetensors", "b": "1.safetensors"], to: name)
    let checkpoint = try Checkpoint(directory: directory.path)
    #expect(checkpoint.shards.map(\.fileName) == ["1.safetensors", "2.safetensors"])
    #expect(checkpoint.tensors.map(\.name) == ["b", "a"])
  }

  @Test("a directory without a clear set of weights is refused with what it has")
  func unclear() throws {
    try expectFailure(.missingInput) { $0.got == "none of them" }
    try writeFile([], to: directory.file("pytorch_model.bin"))
    try expectFailure(.missingInput) { $0.advice.contains("save_pretrained") }
    try write(["a": [1]], to: "x.safetensors")
    try write(["a": [1]], to: "y.safetensors")
    try expectFailure(.missingInput) { $0.got == "x.safetensors, y.safetensors" }
  }

  @Test("a missing directory is a missing input")
  func missingDirectory() {
    let failure = #expect(throws: Failure.self) { try Checkpoint(directory: directory.file("absent")) }
    #expect(failure?.category == .missingInput)
  }

  @Test(
    "an index that reaches outside of its directory is refused",
    arguments: ["../x", "/etc/passwd", "..", ".", "", "a/b"])
  func escape(file: String) throws {
    try writeIndex(["a": file])
    try expectFailure(.badData) { $0.got == "the path \"\(file)\"" }
  }

  @Test("an index that is no table of file names is refused", arguments: ["[]", "{}", #"{"weight_map":{"a":1}}"#, "{"])
  func brokenIndex(text: String) throws {
    try writeFile(Array(text.utf8), to: directory.file("model.safetensors.index.json"))
    try expectFailure(.badData) { _ in true }
  }

  @Test("a shard that is missing, or a directory, is named")
  func missingShard() throws {
    try writeIndex(["a": "1.safetensors"])
    try expectFailure(.missingInput) { $0.subject.hasSuffix("1.safetensors") }
    mkdir(directory.file("1.safetensors"), 0o777)
    try expectFailure(.missingInput) { $0.got == "a directory" }
  }

  @Test("a tensor that the index places in a shard without it is named")
  func misplacedTensor() throws {
    try write(["a": [1], "d": [1]], to: "1.safetensors")
    try write(["b": [1]], to: "2.safetensors")
    try writeIndex(["a": "2.safetensors", "b": "2.safetensors", "d": "1.safetensors"])
    try expectFailure(.badData) { $0.subject.hasSuffix("tensor a") && $0.got == "it in 1.safetensors" }
    try writeIndex(["a": "1.safetensors", "b": "2.safetensors", "c": "1.safetensors"])
    try expectFailure(.badData) { $0.subject.hasSuffix("tensor c") && $0.got == "no shard that holds it" }
  }

  @Test("a tensor that the index does not mention is reported")
  func unindexedTensor() throws {
    try write(["a": [1], "b": [2]], to: "1.safetensors")
    try writeIndex(["a": "1.safetensors"])
    let checkpoint = try Checkpoint(directory: directory.path)
    #expect(checkpoint.unindexedTensors == ["b"])
    #expect(checkpoint.tensor(named: "b") != nil)
  }

  @Test("a tensor in two shards is refused")
  func repeatedTensor() throws {
    try write(["a": [1], "b": [1]], to: "1.safetensors")
    try write(["a": [2]], to: "2.safetensors")
    try writeIndex(["a": "2.safetensors", "b": "1.safetensors"])
    try expectFailure(.badData) { $0.got == "1.safetensors and 2.safetensors" }
  }

  @Test("a file that is cut while it is open is an error with its name")
  func cutFile() throws {
    try write(["a": [1, 2, 3]], to: "model.safetensors")
    let checkpoint = try Checkpoint(directory: directory.path)
    truncate(directory.file("model.safetensors"), checkpoint.shards[0].byteCount - 1)
    let failure = #expect(throws: Failure.self) { try checkpoint.digest(of: checkpoint.tensors[0]) }
    #expect(failure?.category == .inputOutput)
    #expect(failure?.subject.hasSuffix("model.safetensors") == true)
    #expect(failure?.got == "its end")
  }

  @Test("a destination may be larger than the part")
  func largeDestination() throws {
    try write(["a": [1, 2]], to: "model.safetensors")
    let checkpoint = try Checkpoint(directory: directory.path)
    var values: [Float] = [8, 9]
    var span = values.mutableSpan
    var destination = span.mutableBytes
    try checkpoint.read(checkpoint.tensors[0], bytes: 4..<8, into: &destination)
    #expect(values == [2, 9])
  }

  @Test("a part outside of the tensor, or without room for it, is refused")
  func wrongParts() throws {
    try write(["a": [1, 2]], to: "model.safetensors")
    let checkpoint = try Checkpoint(directory: directory.path)
    for (part, byteCount) in [(0..<9, 9), (-1..<1, 2), (0..<4, 3)] {
      var bytes = [UInt8](repeating: 0, count: byteCount)
      var span = bytes.mutableSpan
      var destination = span.mutableBytes
      do throws(Failure) {
        try checkpoint.read(checkpoint.tensors[0], bytes: part, into: &destination)
        Issue.record("\(part) was read")
      } catch {
        #expect(error.category == .internalError)
      }
    }
  }

  private func expectFailure(_ category: Failure.Category, _ matches: (Failure) -> Bool) throws {
    let failure = #expect(throws: Failure.self) { try Checkpoint(directory: directory.path) }
    #expect(failure?.category == category)
    #expect(failure.map(matches) == true, "\(failure?.description ?? "")")
  }

  private func write(_ tensors: KeyValuePairs<String, [Float]>, to name: String) throws {
    let tensors = tensors.map { FloatTensor(name: $0.key, shape: [$0.value.count], values: $0.value) }
    try FloatTensorFile(tensors: tensors, metadata: [:]).write(to: directory.file(name))
  }

  private func writeIndex(_ weightMap: [String: String], to name: String = "model.safetensors.index.json") throws {
    let members = weightMap.map { "\"\($0.key)\":\"\($0.value)\"" }.joined(separator: ",")
    try writeFile(Array("{\"weight_map\":{\(members)}}".utf8), to: directory.file(name), overwrite: true)
  }
}
