import Checkpoint
import Diagnostics
import Foundation
import JSON

/// Files beside this one that other programs computed.
public enum Fixtures {
  /// The directory of all fixtures.
  public static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures").path

  /// The checkpoint directories, one per family and variant.
  public static let families = [
    "llama-2", "llama-3.1", "llama-biases", "llama-linear-rope", "llama-sharded", "llama-tied-stored-head", "mistral",
    "mistral-head-dim", "qwen2", "qwen2-window", "qwen3",
  ]

  /// A checkpoint directory.
  public static func checkpoint(_ name: String) -> String { "\(root)/checkpoints/\(name)" }

  /// A checkpoint that shares its origin with the other siblings.
  public static func sibling(_ name: String) -> String { "\(root)/siblings/\(name)" }

  /// The samples that the siblings are compared on.
  public static var siblingSamples: String { "\(root)/siblings/samples.input_ids.jsonl" }

  /// A document.
  public static func json(_ path: String) throws(Failure) -> JSONValue {
    try JSONValue(parsing: readFile("\(root)/\(path)"), from: path)
  }

  /// The tensors of a file of float32 values, by name.
  public static func tensors(_ path: String) throws -> [String: FloatTensor] {
    let file = try FloatTensorFile(reading: "\(root)/\(path)")
    return Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.name, $0) })
  }
}

/// A directory that is gone after the test.
public final class TemporaryDirectory {
  /// Where it is.
  public let path: String

  /// Creates it.
  public init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("recall-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// A path inside.
  public func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

  /// A file with some text.
  public func write(_ text: String, to name: String) throws -> String {
    try Data(text.utf8).write(to: URL(fileURLWithPath: self(name)))
    return self(name)
  }

  /// A copy of a directory, to be damaged.
  public func copy(of source: String, as name: String) throws -> String {
    try FileManager.default.copyItem(atPath: source, toPath: self(name))
    return self(name)
  }
}

extension Checkpoint {
  /// All bytes of a tensor.
  public func bytes(of tensor: TensorRecord) throws -> [UInt8] {
    let count = tensor.byteRange.count
    var contents = [UInt8](repeating: 0, count: count)
    var span = contents.mutableSpan
    var destination = span.mutableBytes
    try read(tensor, bytes: 0..<count, into: &destination)
    return contents
  }
}
