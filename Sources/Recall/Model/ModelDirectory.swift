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
  /// The tensors; for an adapter those of its base.
  public let checkpoint: Checkpoint
  /// What is added to the tensors of the checkpoint, and which of them it replaces; `nil` for a model that is complete.
  public let adapter: LowRankAdapter?

  /// What stands beside the blocks, where the configuration is one that Recall runs.
  private let stem: Stem?

  /// What the output head is called in most families of transformers.
  private static let usualHead = "lm_head.weight"
  /// What embeddings that a head is tied to are called there.
  private static let embeddings = ["embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight"]

  /// Opens a model directory, or an adapter with its base.
  ///
  /// - Parameters:
  ///   - path: The directory of the model or of the adapter.
  ///   - base: The directory of the base; needed for an adapter.
  /// - Throws: `Failure` that names the file at fault; of category `usage` for an adapter without its base.
  public convenience init(_ path: String, base: String? = nil) throws(Failure) {
    guard !LowRankAdapter.isAdapter(path) else {
      try self.init(adapter: path, base: ModelDirectory(ModelDirectory.base(base, of: path)))
      return
    }
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
    // What cannot be run can be merged by its tensors all the same.
    stem = configuration.flatMap { try? ModelConfiguration(json: $0, path: path).stem }
    checkpoint = try Checkpoint(directory: path)
    adapter = nil
  }

  /// Opens an adapter of a base that is open.
  ///
  /// - Throws: `Failure` that names what is wrong with the adapter.
  init(adapter path: String, base: ModelDirectory) throws(Failure) {
    self.path = absolutePath(path)
    configuration = base.configuration
    stem = base.stem
    checkpoint = base.checkpoint
    adapter = try LowRankAdapter(path, base: base)
  }

  /// The base that an adapter needs.
  ///
  /// - Throws: `Failure` of category `usage` when none was given, or the base is an adapter itself.
  static func base(_ base: String?, of adapter: String) throws(Failure) -> String {
    guard let base else {
      throw Failure(
        .usage, operation: "open the adapter", subject: adapter, expected: "--base beside an adapter", got: "none",
        advice: "An adapter is a model only together with the model that it was trained on; name that with --base.")
    }
    guard !LowRankAdapter.isAdapter(base) else {
      throw Failure(
        .usage, operation: "open the adapter", subject: "--base", expected: "a complete model",
        got: "the adapter \(base)")
    }
    return base
  }

  /// The tensor that plays the part of a name; the embedding stands in for a tied head that is not stored.
  public func source(of name: String) -> TensorRecord? {
    if let tensor = tensor(named: name) { return tensor }
    return isTiedHead(name) ? embedding.flatMap { tensor(named: $0.name) } : nil
  }

  /// The tensor of a name, as it is stored: by the adapter where that has one of its own, else by the checkpoint.
  func tensor(named name: String) -> TensorRecord? {
    guard let own = adapter?.replacement(of: name) else { return checkpoint.tensor(named: name) }
    return TensorRecord(name: name, type: own.type, shape: own.shape, byteRange: own.byteRange)
  }

  /// Reads a part of a tensor that `tensor(named:)` gave, as `Checkpoint.read` does.
  ///
  /// - Throws: `Failure` as `Checkpoint.read` does.
  func read(_ tensor: TensorRecord, bytes: Range<Int>, into destination: inout MutableRawSpan) throws(Failure) {
    if let adapter, let own = adapter.replacement(of: tensor.name) {
      try adapter.checkpoint.read(own, bytes: bytes, into: &destination)
    } else {
      try checkpoint.read(tensor, bytes: bytes, into: &destination)
    }
  }

  /// A file of the model: the adapter's own where it has one, else the base's; `nil` when neither has it.
  func file(_ name: String) -> String? {
    [path, checkpoint.directory].map { "\($0)/\(name)" }.first { FileManager.default.fileExists(atPath: $0) }
  }

  /// Whether a name is that of an output head which is the embedding.
  func isTiedHead(_ name: String) -> Bool { name == head && tiesHead }

  /// Whether output head and embedding are one.
  var tiesHead: Bool { stem?.tiesHead ?? (configuration?["tie_word_embeddings"]?.bool == true) }

  /// The name of the output head, stored or not.
  var head: String { stem?.head.name ?? ModelDirectory.usualHead }

  /// The embeddings of the checkpoint; `nil` where no tensor, or more than one, is called as they are.
  var embedding: TensorRecord? {
    if let stem { return checkpoint.tensor(named: stem.embedding.name) }
    let candidates = checkpoint.tensors.filter { tensor in
      ModelDirectory.embeddings.contains { tensor.name == $0 || tensor.name.hasSuffix(".\($0)") }
    }
    return candidates.count == 1 ? candidates[0] : nil
  }

  // MARK: The tokenizer

  /// Says in words why rows of embeddings do not mean the same tokens as in another model; `nil` when they do, or when
  /// one of the models has no tokenizer.json.
  ///
  /// - Throws: `Failure` when a file that says what a tokenizer is cannot be read.
  func tokenizerDifference(from other: ModelDirectory) throws(Failure) -> String? {
    guard let ours = try tokenizerFiles, let theirs = try other.tokenizerFiles, !ours.equal(theirs) else { return nil }
    return try TokenizerComparison(ours.document(), theirs.document()).difference
  }

  private var tokenizerFiles: TokenizerFiles? {
    get throws(Failure) { try file("tokenizer.json").map { path throws(Failure) in try TokenizerFiles(at: path) } }
  }
}
