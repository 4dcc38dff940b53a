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
  /// The models; sums run in their order.
  let inputs: MergeInputs<Model>
  /// Everything that the bytes of the output depend on; places where models are do not count, because parts may run on
  /// machines that have them elsewhere, and digests prove that they are the same.
  let document: JSONValue
  /// The options of a recipe that it has beside those of the report.
  private static let fields: [RecipeField] = [.elementType, .allowNonFinite, .base]

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
    if let obstacle = try MergeMethods.named(report.recipe.method).obstacleToStages {
      throw Failure(
        .badData, operation: "fuse", subject: source, expected: "weights of every layer", got: obstacle,
        advice: "Merge with recall merge --recipe \(source).")
    }
    inputs = try MergeInputs(
      report, from: source, moved: moved, base: recipe.base, reference: recipe.typicalFrom, isShared: isShared)
    try checkOutput(output, isApartFrom: inputs.places + [source])
    elementType = recipe.elementType ?? report.recipe.elementType
    fusion = try FusionPlan(inputs, elementType: elementType)
    weights = try report.weights(blocks: inputs.reference.model.configuration.blockCount, path: source)
    document = [
      "command": "fuse", "weights": .object(report.json),
      "options": recipe.json(of: FuseStage.fields),
    ]
    var report = report
    for expert in inputs.experts {
      report.models[expert.place].path = expert.path
      report.models[expert.place].base?.path = expert.model.checkpoint.directory
    }
    report.record(elementType: elementType, allowsNonFinite: recipe.allowsNonFinite, base: recipe.base)
    self.report = report
    for expert in inputs.experts {
      if let known = try expert.digester.known() { try check(known, of: expert) }
    }
  }

  /// Makes sure that the models are those that were weighed, after reading what nobody has read.
  ///
  /// - Throws: `Failure` of category `badData` that names the model.
  func checkModels() throws(Failure) {
    for expert in inputs.experts { try check(try expert.digester.finish(), of: expert) }
  }

  private func check(_ digest: Digest, of expert: MergeInput<Model>) throws(Failure) {
    let weighed = report.models[expert.place].digest
    guard digest != weighed else { return }
    throw Failure(
      .badData, operation: "fuse", subject: expert.path, expected: "the model that was weighed, digest \(weighed)",
      got: "\(digest)", advice: "The model has changed since; extract and weigh again.")
  }

  /// The report of an output that an earlier run with the same weights finished; `nil` when there is none.
  ///
  /// - Throws: `Failure` of category `cannotCreate` for another output, unless it may be overwritten.
  func finishedReport(at output: String, overwrite: Bool) throws(Failure) -> MergeReport? {
    func document(_ report: MergeReport) -> JSONValue {
      [
        "recipe": report.recipeDocument, "models": .array(report.models.map { .string("\($0.digest)") }),
        "layers": .array(report.layers.map(\.json)),
      ]
    }
    return try MergeReport.finished(at: output, overwrite: overwrite) { found in
      document(report).firstDifference(from: document(found), at: "")
    }
  }
}
