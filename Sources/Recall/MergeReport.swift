import Checkpoint
import Compute
import Diagnostics
import JSON

/// What a merge decided and did: the content of recall.json.
public struct MergeReport: Sendable {
  /// A model that took part.
  public struct MergedModel: Sendable {
    /// The absolute path.
    public var path: String
    /// Whether the others were compared with it.
    public var isAnchor: Bool
    /// The digest of its tensors; of an adapter with its base, of both.
    public var digest: Digest
    /// The base of an adapter: its absolute path and the digest of its tensors.
    public var base: Base?

    /// How much the model counted where linear maps were solved for; `nil` where none were.
    public var alignmentWeight: Double?

    /// The base of an adapter.
    public struct Base: Sendable {
      /// The absolute path.
      public var path: String
      /// The digest of its tensors.
      public var digest: Digest
    }

    /// Describes a model.
    public init(path: String, isAnchor: Bool, digest: Digest, base: Base? = nil) {
      self.path = path
      self.isAnchor = isAnchor
      self.digest = digest
      self.base = base
    }

    /// Describes a model that was read.
    ///
    /// - Throws: `Failure` when what is missing of its digest cannot be read.
    init(_ model: ModelDirectory, isAnchor: Bool, _ digester: ModelDigester) throws(Failure) {
      path = model.path
      self.isAnchor = isAnchor
      digest = try digester.finish()
      guard model.adapter != nil else { return }
      base = Base(path: model.checkpoint.directory, digest: try digester.checkpointDigest())
    }

    /// Whether a digest is that of the model or of its base.
    func isMadeOf(_ digest: Digest) -> Bool { self.digest == digest || base?.digest == digest }

    /// The entry of the model in a document.
    var json: JSONValue {
      var members: [(String, JSONValue)] = [
        ("path", .string(path)), ("anchor", .bool(isAnchor)), ("digest", .string("\(digest)")),
      ]
      if let base { members.append(("base", ["path": .string(base.path), "digest": .string("\(base.digest)")])) }
      if let alignmentWeight { members.append(("alignmentWeight", .double(alignmentWeight))) }
      return .object(JSONObject(members))
    }

    /// Reads the `models` of a document.
    ///
    /// - Parameters:
    ///   - json: The list.
    ///   - failure: Makes the failure for an entry that is none, or for no entry at all.
    /// - Returns: At least one model.
    /// - Throws: What `failure` makes.
    static func all(_ json: JSONValue?, failure: (JSONValue?) -> Failure) throws(Failure) -> [MergedModel] {
      var models: [MergedModel] = []
      for entry in json?.array ?? [] {
        guard let path = entry["path"]?.string, let digest = entry["digest"]?.string.flatMap({ Digest($0) }) else {
          throw failure(entry)
        }
        let base = try entry["base"].flatMap { base throws(Failure) -> Base? in
          guard !base.isNull else { return nil }
          guard let path = base["path"]?.string, let digest = base["digest"]?.string.flatMap({ Digest($0) }) else {
            throw failure(entry)
          }
          return Base(path: path, digest: digest)
        }
        var model = MergedModel(path: path, isAnchor: entry["anchor"]?.bool ?? false, digest: digest, base: base)
        model.alignmentWeight = entry["alignmentWeight"]?.double
        models.append(model)
      }
      guard !models.isEmpty else { throw failure(json) }
      return models
    }
  }

  /// The value of `format`.
  public static let format = "recall/1"
  /// The name of the file in an output directory.
  public static let fileName = "recall.json"

  /// All options as used.
  public var recipe: MergeRecipe
  /// The models in canonical order.
  public var models: [MergedModel]
  /// The samples that the models were compared on, each with the model that selected it.
  public var typicalSamples: [JSONValue]
  /// Similarities and weights, shallow to deep.
  public var layers: [LayerWeights]
  /// The merges that the models came from.
  public var lineage: Lineage
  /// The digest of the merged tensors; `nil` while nothing is merged.
  public var digest: Digest?
  /// How long the stages took, of a merge that has just ended.
  public var timings: StageTimings?
  /// The document that was read, whose unknown keys are kept.
  private var rest = JSONObject()
  /// What `rest` says of the recipe.
  private var recipeAsRead: MergeRecipe?

  /// Collects a report of a merge whose samples were all selected by one model.
  public init(
    recipe: MergeRecipe, models: [MergedModel], samples: [Sample], selectedBy: String, layers: [LayerWeights],
    lineage: Lineage
  ) {
    self.init(
      recipe: recipe, models: models, samples: [(selectedBy, samples)], layers: layers, lineage: lineage)
  }

  /// Collects a report.
  ///
  /// - Parameters:
  ///   - recipe: All options as used.
  ///   - models: The models in canonical order.
  ///   - samples: The typical samples, by the model that brings them; one that was merged brings those of its own models.
  ///   - layers: What was decided at every layer.
  ///   - lineage: The merges that the models came from.
  init(
    recipe: MergeRecipe, models: [MergedModel], samples: [(model: String, samples: [Sample])], layers: [LayerWeights],
    lineage: Lineage
  ) {
    self.recipe = recipe
    self.models = models
    typicalSamples = samples.flatMap { model, samples in
      samples.map { .object(JSONObject($0.members + [("model", .string($0.origin ?? model))])) }
    }
    self.layers = layers
    self.lineage = lineage
  }

  /// Reads a report that `weigh` or a merge wrote.
  ///
  /// - Throws: `Failure` that names the file and the key at fault.
  public init(path: String) throws(Failure) {
    try self.init(json: JSONValue(parsing: readFile(path), from: path), path: path)
  }

  /// Reads the document of a report.
  ///
  /// - Throws: `Failure` that names the key at fault.
  init(json: JSONValue, path: String) throws(Failure) {
    func failure(_ expected: String, _ got: JSONValue?) -> Failure {
      Failure(
        .badData, operation: "read the weights", subject: path, expected: expected,
        got: got.map { String($0.compact.prefix(80)) } ?? "no such key",
        advice: "Write the file again with recall weigh.")
    }
    guard let object = json.object, json["format"]?.string == MergeReport.format else {
      throw failure("format \"\(MergeReport.format)\"", json["format"])
    }
    rest = object
    guard let kept = (json["recipe"] ?? [:]).object else { throw failure("an object as recipe", json["recipe"]) }
    recipe = try MergeRecipe(kept: kept, failure: failure)
    recipeAsRead = recipe
    typicalSamples = json["typicalSamples"]?.array ?? []
    models = try MergedModel.all(json["models"]) { entry in failure("models with path and digest", entry) }
    let count = models.count
    layers = try (json["layers"]?.array ?? []).map { entry throws(Failure) in
      guard let layer = LayerWeights(json: entry, models: count) else {
        throw failure("layers with a name, \(count) weights and similarities", entry)
      }
      guard weightsAreSound(layer.weights, ofLayerNamed: layer.layer.name) else {
        throw failure("weights of layer \(layer.layer.name) that sum to 1", entry["weights"])
      }
      return layer
    }
    lineage = try Lineage(json: json["lineage"], leadingTo: models, source: path)
    digest = json["digest"]?.string.flatMap { Digest($0) }
  }

  /// Reads the recall.json that a merge left in its output, and makes sure that it is as the merge wrote it.
  ///
  /// - Throws: `Failure` of category `badData` that names the file and what was changed.
  public init(mergeAt path: String) throws(Failure) {
    try self.init(path: path)
    let operation = "read the history of the model"
    guard rest["lineage"]?.array != nil else {
      throw Failure(
        .badData, operation: operation, subject: path, expected: "\"lineage\", a list of earlier merges",
        got: rest["lineage"]?.kind ?? "no such key", advice: "The file was damaged or edited.")
    }
    try Seal.check(rest, subject: path, operation: operation)
  }

  /// The document, without what is known only once the output is written.
  public var json: JSONObject {
    var json = rest
    json["format"] = .string(MergeReport.format)
    json["recipe"] = recipeDocument
    json["models"] = .array(models.map(\.json))
    json["typicalSamples"] = .array(typicalSamples)
    json["layers"] = .array(layers.map(\.json))
    json["lineage"] = lineage.json
    return json
  }

  /// The recipe as the document has it; of one that was read, all is kept that was not changed since.
  var recipeDocument: JSONValue {
    guard let before = recipeAsRead?.json else { return recipe.json }
    var document = rest["recipe"]?.object ?? JSONObject()
    for member in recipe.json.object?.members ?? [] where before[member.key]?.compact != member.value.compact {
      document[member.key] = member.value
    }
    return .object(document)
  }

  /// Notes the options that fusion was done with, where they were given to it.
  mutating func record(elementType: ElementType?, allowsNonFinite: Bool, base: String?) {
    if let elementType { recipe.elementType = elementType }
    if allowsNonFinite { recipe.allowsNonFinite = true }
    if let base { recipe.base = base }
  }

  /// The weights of every layer.
  ///
  /// - Throws: `Failure` when a layer of the model is missing.
  public func weights(blocks: Int, path: String) throws(Failure) -> [Layer: [Double]] {
    let weights = layers.byLayer
    let wanted = Layer.all(blocks: blocks)
    guard let missing = wanted.first(where: { weights[$0] == nil }) else {
      guard weights.count == wanted.count, layers.count == wanted.count else {
        throw Failure(
          .badData, operation: "read the weights", subject: path, expected: "the \(wanted.count) layers of the models",
          got: "\(layers.count) layers", advice: "These are the weights of other models.")
      }
      return weights
    }
    throw Failure(
      .badData, operation: "read the weights", subject: path, expected: "weights of layer \(missing.name)", got: "none",
      advice: "These are the weights of other models, or the file was cut.")
  }
}
