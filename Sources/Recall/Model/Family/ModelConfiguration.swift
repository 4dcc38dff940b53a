import Compute
import Diagnostics
import JSON

/// What config.json says about a decoder: the values that its family makes of it.
public struct ModelConfiguration: Sendable, Equatable {
  /// The name of the family.
  public let modelType: String
  /// The longest text that the model was made for, in tokens.
  public let maximumPositions: Int
  /// What stands before and behind the blocks.
  package let stem: Stem
  /// The blocks, shallow to deep.
  package let blocks: [Block]
  /// What was read to find them, in words.
  private let facts: [Facts.Fact]

  /// d, the width of the residual stream.
  public var hiddenSize: Int { stem.width }
  /// The number of token identifiers.
  public var vocabularySize: Int { stem.vocabulary }
  /// The number of blocks.
  public var blockCount: Int { blocks.count }

  /// The most blocks that a model may have: each is described by itself.
  static let mostBlocks = 100_000

  /// Reads config.json, in the vocabulary of any transformers release.
  ///
  /// - Parameters:
  ///   - json: The document.
  ///   - path: Where it came from, for errors.
  /// - Throws: `Failure` of category `badData` that names the key.
  public init(json: JSONValue, path: String) throws(Failure) {
    let facts = Facts(json: json, path: path)
    let family = try facts.family()
    let decoder = try family.decoder(facts)
    (modelType, stem, blocks) = (family.modelType, decoder.stem, decoder.blocks)
    maximumPositions = decoder.maximumPositions
    self.facts = facts.read
  }

  /// Every tensor that the forward pass needs, in its order.
  var requiredTensors: [TensorSpec] {
    [stem.embedding] + blocks.flatMap(\.tensors) + stem.finalNorm.tensors + (stem.tiesHead ? [] : [stem.head])
  }

  /// What makes two configurations different models, in words; `nil` when their parameters can be merged.
  ///
  /// Windows and the longest text may differ: they change no parameter, and every model runs with its own.
  func difference(from other: ModelConfiguration) -> String? {
    guard modelType == other.modelType else { return "model_type \(modelType) against \(other.modelType)" }
    guard stem != other.stem || blocks.map(\.withoutWindow) != other.blocks.map(\.withoutWindow) else { return nil }
    let differing = zip(facts, other.facts).first { $0 != $1 }
    return differing.map { "\($0.name) \($0.value) against \($1.value)" } ?? "blocks of another kind"
  }

  /// The floating point operations of a pass of packed texts through all blocks.
  func operations(lengths: [Int]) -> Int { blocks.reduce(0) { $0 + $1.operations(lengths: lengths) } }
}

extension Facts {
  /// The family that `model_type` names, once the model is known to be of a kind that it runs.
  fileprivate func family() throws(Failure) -> Family {
    let names = Family.all.map(\.modelType).joined(separator: ", ")
    guard let modelType = value("model_type")?.string else {
      throw failure("model_type", expected: "one of \(names)", got: value("model_type")?.kind ?? "no such key")
    }
    guard let family = Family.named(modelType) else {
      throw failure("model_type", expected: "one of \(names)", got: "\"\(modelType)\"")
    }
    if let classes = value("architectures")?.array?.compactMap(\.string), !classes.contains(family.className) {
      throw failure("architectures", expected: family.className, got: classes.joined(separator: ", "))
    }
    guard value("quantization_config") == nil else {
      throw failure(
        "quantization_config", expected: "absent", got: "a quantised model",
        advice: "Merge the model in its original precision and quantise the result.")
    }
    return family
  }
}
