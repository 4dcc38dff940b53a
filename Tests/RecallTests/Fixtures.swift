import Checkpoint
import Compute
import ComputeCPU
import Diagnostics
import Foundation
import JSON
import Recall
import Testing

/// Files beside this one that other programs computed.
enum Fixtures {
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures").path

  /// The checkpoint directories, one per family and variant.
  static let families = [
    "llama-2", "llama-3.1", "llama-biases", "llama-linear-rope", "llama-sharded", "llama-tied-stored-head", "mistral",
    "mistral-head-dim", "qwen2", "qwen2-window", "qwen3",
  ]

  static func checkpoint(_ name: String) -> String { "\(root)/checkpoints/\(name)" }

  static func sibling(_ name: String) -> String { "\(root)/siblings/\(name)" }

  static func json(_ path: String) throws(Failure) -> JSONValue {
    try JSONValue(parsing: readFile("\(root)/\(path)"), from: path)
  }

  static func tensors(_ path: String) throws -> [String: FloatTensor] {
    let file = try FloatTensorFile(reading: "\(root)/\(path)")
    return Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.name, $0) })
  }
}

/// A directory that is gone after the test.
final class TemporaryDirectory {
  let path: String

  init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("recall-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// A path inside.
  func callAsFunction(_ name: String) -> String { "\(path)/\(name)" }

  /// A file with some text.
  func write(_ text: String, to name: String) throws -> String {
    try Data(text.utf8).write(to: URL(fileURLWithPath: self(name)))
    return self(name)
  }

  /// A copy of a directory, to be damaged.
  func copy(of source: String, as name: String) throws -> String {
    try FileManager.default.copyItem(atPath: source, toPath: self(name))
    return self(name)
  }
}

/// A recipe that merges the three siblings, the third being the anchor.
func siblingRecipe() -> MergeRecipe {
  var recipe = MergeRecipe()
  recipe.anchor = Fixtures.sibling("third")
  recipe.models = [Fixtures.sibling("first"), Fixtures.sibling("second")]
  recipe.samples = "\(Fixtures.root)/siblings/samples.input_ids.jsonl"
  recipe.typical = 3
  return recipe
}

/// Merges on the CPU.
@discardableResult
func merge(_ recipe: MergeRecipe, into output: String, memory: Int? = nil) throws -> MergeReport {
  try HierarchicalMerge(recipe, memoryBudget: memory, on: CPUBackend()).merge(into: output, overwrite: false)
}

/// The failure that a body throws, for looking at its words.
func failure(of body: () throws -> Void) -> Failure? {
  do {
    try body()
    return nil
  } catch {
    return error as? Failure
  }
}
