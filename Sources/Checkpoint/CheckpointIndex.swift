import Diagnostics
import JSON

/// The table of a sharded checkpoint: which file holds which tensor.
struct CheckpointIndex {
  static let fileName = "model.safetensors.index.json"

  /// Tensor and file, in the order of the table.
  let entries: [(tensor: String, file: String)]

  /// The files, each once, in the order in which Transformers loads them.
  var files: [String] {
    Set(entries.map { ExactString($0.file) }).map(\.string).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
  }

  /// Reads the table and proves that every file it names lies in its own directory.
  init(reading path: String) throws(Failure) {
    let operation = "read the checkpoint index"
    let document = try JSONValue(parsing: readFile(path), from: path, operation: operation)
    guard let members = document["weight_map"]?.object?.members else {
      throw Failure(
        .badData, operation: operation, subject: path, expected: "an object \"weight_map\" of tensor to file",
        got: document["weight_map"]?.kind ?? "none")
    }
    var entries: [(tensor: String, file: String)] = []
    for member in members {
      guard let file = member.value.string else {
        throw Failure(
          .badData, operation: operation, subject: "\(path), tensor \(excerpt(member.key))", expected: "a file name",
          got: member.value.kind)
      }
      guard isPlainFileName(file) else {
        throw Failure(
          .badData, operation: operation, subject: "\(path), tensor \(excerpt(member.key))",
          expected: "a file in the same directory", got: "the path \"\(excerpt(file))\"",
          advice: "Do not trust this checkpoint: its index reaches for files outside of it.")
      }
      entries.append((member.key, file))
    }
    self.entries = entries
  }

  /// The table of files about to be written, as JSON text.
  static func text(shards: [(fileName: String, header: SafetensorsHeader)]) -> String {
    let tensors = shards.flatMap { shard in shard.header.tensors.map { ($0, shard.fileName) } }
    let totalByteCount = tensors.reduce(0) { $0 + $1.0.byteRange.count }
    let weightMap = JSONObject(tensors.map { ($0.name, .string($1)) })
    let document: JSONValue = [
      "metadata": ["total_size": .integer(totalByteCount)], "weight_map": .object(weightMap),
    ]
    return document.formatted + "\n"
  }
}
