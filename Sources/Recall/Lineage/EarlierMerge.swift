import Checkpoint
import Diagnostics
import JSON

/// A merge that a model came from: what a later merge keeps of its recall.json.
///
/// Recipe, models and typical samples are kept whole, so that later merges need no old data; of the figures only the weights
/// are kept. Similarities, files and timings are not, so that a long chain stays small.
public struct EarlierMerge: Sendable {
  /// Where its result was when it was merged further.
  public var path: String
  /// The digest of the tensors of its result, by which later merges name it.
  public var digest: Digest
  /// Its models in canonical order.
  public var models: [MergeReport.MergedModel]
  /// The weights of its layers, shallow to deep, one per model.
  public var layers: [(name: String, weights: [Double])]
  /// All of it, sealed.
  let document: JSONObject

  /// The texts that its models were compared on.
  public var typicalSamples: [JSONValue] { document["typicalSamples"]?.array ?? [] }

  /// The mean of each model's weight over the layers.
  public var meanWeights: [Double] {
    models.indices.map { model in layers.reduce(0) { $0 + $1.weights[model] } / Double(max(layers.count, 1)) }
  }

  /// Takes from the report of a merge what its successors keep.
  ///
  /// - Parameters:
  ///   - report: A recall.json that a merge wrote.
  ///   - path: Where the model is now.
  ///   - digest: The digest of the model's tensors.
  ///   - source: The file of the report, for errors.
  /// - Throws: `Failure` of category `badData` when the report makes no sense.
  init(_ report: JSONObject, path: String, digest: Digest, source: String) throws(Failure) {
    let layers = (report["layers"]?.array ?? []).map { layer -> JSONValue in
      ["name": layer["name"] ?? .null, "weights": layer["weights"] ?? .null]
    }
    let document = JSONObject([
      ("path", .string(path)), ("digest", .string("\(digest)")), ("recipe", report["recipe"] ?? .null),
      ("models", report["models"] ?? .null), ("typicalSamples", report["typicalSamples"] ?? []),
      ("layers", .array(layers)),
    ])
    try self.init(sealed: .object(Seal.sealing(document)), source: source)
  }

  /// Reads an entry of a lineage.
  ///
  /// - Parameters:
  ///   - json: The entry.
  ///   - source: The file that it is in, for errors.
  /// - Throws: `Failure` of category `badData` when it was edited or makes no sense.
  init(sealed json: JSONValue, source: String) throws(Failure) {
    let operation = "read the lineage"
    func failure(_ expected: String, _ got: JSONValue?) -> Failure {
      Failure(
        .badData, operation: operation, subject: source, expected: expected,
        got: got.map { String($0.compact.prefix(80)) } ?? "no such key", advice: "The file was damaged or edited.")
    }
    guard let object = json.object, let path = json["path"]?.string,
      let digest = json["digest"]?.string.flatMap({ Digest($0) })
    else { throw failure("merges with path and digest", json) }
    try Seal.check(object, subject: "\(source), lineage of \(path)", operation: operation)
    models = try MergeReport.MergedModel.all(json["models"]) { entry in failure("models with path and digest", entry) }
    let count = models.count
    layers = try (json["layers"]?.array ?? []).map { entry throws(Failure) in
      let weights = entry["weights"]?.array?.compactMap(\.double) ?? []
      guard let name = entry["name"]?.string, weights.count == count else {
        throw failure("layers with a name and \(count) weights", entry)
      }
      guard weightsAreSound(weights, ofLayerNamed: name) else {
        throw failure("weights of layer \(name) that sum to 1", entry["weights"])
      }
      return (name, weights)
    }
    self.path = path
    self.digest = digest
    document = object
  }
}

/// Whether the weights of a layer can be: what follows from similarities are shares of a whole, what a user gives for all
/// layers is anything.
func weightsAreSound(_ weights: [Double], ofLayerNamed name: String) -> Bool {
  name == Layer.whole.name || weights.allSatisfy { $0 >= 0 } && abs(weights.reduce(0, +) - 1) < 1e-6
}
