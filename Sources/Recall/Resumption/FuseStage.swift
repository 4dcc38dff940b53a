import Checkpoint
import Compute
import Diagnostics
import JSON

/// The inputs of a fusion with known weights, opened and found to fit together.
struct FuseStage {
  /// The weights, and the models where they were found.
  let report: MergeReport
  /// What every tensor of the output is made of.
  let fusion: FusionPlan
  /// The weights of every layer.
  let weights: [Layer: [Double]]
  /// The element type of every fused tensor; `nil` for that of the reference, tensor by tensor.
  let elementType: ElementType?
  /// What finds the digest of each model while it is read.
  let digests: [ModelDigester]
  /// Everything that the bytes of the output depend on; places where models are do not count, because parts may run on
  /// machines that have them elsewhere, and digests prove that they are the same.
  let document: JSONValue

  /// Opens the models of a report.
  ///
  /// - Parameters:
  ///   - report: The weights.
  ///   - source: The file they came from, for errors.
  ///   - moved: Where models are now, when they are not where the report says.
  ///   - recipe: Element type, base and what is done about values that are not finite.
  ///   - output: Where the output will be.
  ///   - isShared: Whether other processes write parts of the same output. Then the digests of all tensors are noted with
  ///     them, whatever the cache of this machine knows.
  /// - Throws: `Failure` that names what is wrong.
  init(
    _ report: MergeReport, from source: String, moved: [String], recipe: MergeRecipe, output: String, isShared: Bool
  ) throws(Failure) {
    guard report.layers.allSatisfy(\.alignment.isEmpty) else {
      throw Failure(
        .usage, operation: "fuse", subject: source, expected: "weights that all tensors are fused with",
        got: "a merge that solved for its linear maps", advice: "Merge with recall merge --recipe \(source).")
    }
    guard report.layers.first?.layer != .whole else {
      throw Failure(
        .badData, operation: "fuse", subject: source, expected: "weights of every layer",
        got: "the same for all tensors", advice: "Merge with recall merge --recipe \(source).")
    }
    let models = try MergeModels.open(report, from: source, moved: moved, base: recipe.base)
    let reference = try MergeModels.reference(of: report, models: models, named: recipe.base ?? recipe.typicalFrom)
    for model in models where model !== reference { try MergeModels.compare(model, with: reference) }
    let scale = report.recipe["scale"]?.double ?? 1
    let path = scale == 1 ? nil : recipe.base ?? report.recipe["base"]?.string
    guard scale == 1 || path != nil else {
      throw Failure(
        .badData, operation: "read the weights", subject: source, expected: "a base beside the scale \(scale)",
        got: "none", advice: "Name the base with --base.")
    }
    let (companions, base) = try MergeModels.companions(path, of: models, comparedWith: reference)
    let origin = base.map { FusionOrigin(input: $0, scale: scale) }
    let inputs = (models + companions + [reference]).flatMap { [$0.path, $0.checkpoint.directory] }
    try MergeModels.checkOutput(output, isApartFrom: inputs + [source])
    let recorded = report.recipe["dtype"]?.string.flatMap(ElementType.init(rawValue:))
    elementType = recipe.elementType ?? recorded
    fusion = try FusionPlan(
      models: models + companions, origin: origin, reference: reference, elementType: elementType)
    weights = try report.weights(blocks: reference.configuration.blockCount, path: source)
    digests = (models + companions).map { ModelDigester($0.directory, usesCache: !isShared) }
    document = [
      "command": "fuse", "weights": .object(report.json),
      "options": [
        "dtype": recipe.elementType.map { .string($0.rawValue) } ?? .null,
        "allowNonFinite": .bool(recipe.allowsNonFinite), "base": recipe.base.map(JSONValue.string) ?? .null,
      ],
    ]
    var report = report
    for (index, model) in models.enumerated() {
      report.models[index].path = model.path
      report.models[index].base?.path = model.checkpoint.directory
    }
    report.record(elementType: elementType, allowsNonFinite: recipe.allowsNonFinite, base: recipe.base)
    self.report = report
    for (index, digest) in digests.prefix(report.models.count).enumerated() {
      if let known = try digest.known() { try check(known, model: index) }
    }
  }

  /// Makes sure that the models are those that were weighed, after reading what nobody has read.
  ///
  /// - Throws: `Failure` of category `badData` that names the model.
  func checkModels() throws(Failure) {
    for (index, digest) in digests.prefix(report.models.count).enumerated() {
      try check(try digest.finish(), model: index)
    }
  }

  private func check(_ digest: Digest, model index: Int) throws(Failure) {
    guard digest != report.models[index].digest else { return }
    throw Failure(
      .badData, operation: "fuse", subject: report.models[index].path,
      expected: "the model that was weighed, digest \(report.models[index].digest)", got: "\(digest)",
      advice: "The model has changed since; extract and weigh again.")
  }

  /// The report of an output that an earlier run with the same weights finished; `nil` when there is none.
  ///
  /// - Throws: `Failure` of category `cannotCreate` for another output, unless it may be overwritten.
  func finishedReport(at output: String, overwrite: Bool) throws(Failure) -> MergeReport? {
    func document(_ report: MergeReport) -> JSONValue {
      [
        "recipe": report.recipe, "models": .array(report.models.map { .string("\($0.digest)") }),
        "layers": .array(report.layers.map(\.json)),
      ]
    }
    return try MergeReport.finished(at: output, overwrite: overwrite) { found in
      document(report).firstDifference(from: document(found), at: "")
    }
  }
}
