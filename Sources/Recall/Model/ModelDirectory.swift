import Checkpoint
import Diagnostics
import Foundation
import JSON
import Tokenization

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

  // MARK: The tokenizer

  /// Says in words how the tokenizer differs from that of another model; `nil` when both give the same tokens, or when one
  /// of the models has no tokenizer.json.
  ///
  /// Tokenizers of kinds that Recall does not run are compared by their vocabularies, as documents.
  ///
  /// - Throws: `Failure` when a tokenizer.json cannot be read.
  func tokenizerDifference(from other: ModelDirectory) throws(Failure) -> String? {
    guard let ours = try tokenizerText, let theirs = try other.tokenizerText, ours != theirs else { return nil }
    let (left, right) = (try tokenizerJSON(ours), try other.tokenizerJSON(theirs))
    let known = [(left, path), (right, other.path)].compactMap { try? Tokenizer(json: $0, subject: $1) }
    if known.count == 2 { return known[0].difference(from: known[1]) }
    for key in ["model", "added_tokens"] where left[key]?.compact != right[key]?.compact {
      return "another \"\(key)\" in tokenizer.json"
    }
    return nil
  }

  private var tokenizerPath: String { "\(path)/tokenizer.json" }

  private var tokenizerText: [UInt8]? {
    get throws(Failure) {
      FileManager.default.fileExists(atPath: tokenizerPath) ? try readFile(tokenizerPath) : nil
    }
  }

  private func tokenizerJSON(_ text: [UInt8]) throws(Failure) -> JSONValue {
    try JSONValue(parsing: text, from: tokenizerPath, operation: "read the tokenizer")
  }
}
