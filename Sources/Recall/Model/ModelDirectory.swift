import Checkpoint
import Diagnostics
import Foundation
import JSON

/// A model directory that has been opened and not understood: tensors by name, and a configuration that is only copied.
///
/// Enough for merges whose weights are given, of whatever architecture.
public final class ModelDirectory: Sendable {
  /// The absolute path.
  public let path: String
  /// config.json as it is; `nil` when there is none.
  public let configuration: JSONValue?
  /// The tensors.
  public let checkpoint: Checkpoint

  /// The name of the output head that may be tied to the embedding.
  private static let outputHead = Architecture.outputHead
  /// What embeddings that a head is tied to are called in the families of transformers.
  private static let embeddings = ["embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight"]

  /// Opens a model directory.
  ///
  /// - Throws: `Failure` that names the file at fault.
  public convenience init(_ path: String) throws(Failure) {
    let configuration = "\(absolutePath(path))/config.json"
    let isThere = FileManager.default.fileExists(atPath: configuration)
    try self.init(
      path, configuration: isThere ? try JSONValue(parsing: readFile(configuration), from: configuration) : nil)
  }

  /// Opens a model directory whose configuration was read already.
  ///
  /// - Throws: `Failure` that names the file at fault.
  init(_ path: String, configuration: JSONValue?) throws(Failure) {
    self.path = absolutePath(path)
    self.configuration = configuration
    checkpoint = try Checkpoint(directory: path)
  }

  /// The tensor that plays the part of a name; the embedding stands in for a tied head that is not stored.
  public func source(of name: String) -> TensorRecord? {
    if let tensor = checkpoint.tensor(named: name) { return tensor }
    return isTiedHead(name) ? embedding : nil
  }

  /// Whether a name is that of an output head which is the embedding.
  func isTiedHead(_ name: String) -> Bool {
    name == ModelDirectory.outputHead && configuration?["tie_word_embeddings"]?.bool == true
  }

  private var embedding: TensorRecord? {
    let candidates = checkpoint.tensors.filter { tensor in
      ModelDirectory.embeddings.contains { tensor.name == $0 || tensor.name.hasSuffix(".\($0)") }
    }
    return candidates.count == 1 ? candidates[0] : nil
  }
}
