import Checkpoint
import Compute
import Diagnostics
import Foundation
import JSON

/// The models of a merge, opened and found to fit together.
public struct MergeModels: Sendable {
  /// The models in the canonical order, which is that of their absolute paths; sums run in this order.
  public let models: [Model]
  /// Which of them is the anchor.
  public let anchor: Int?
  /// The model that selects the typical samples and gives shard layout, element types, configuration and tokenizer: the
  /// anchor, else the base, else the one named for the purpose.
  public let reference: Model
  /// What finds the digest of each model while it is read.
  public let digests: [ModelDigester]
  /// The base, where the merge computes with it and it is not one of the models: read like them; it only runs to tell what was
  /// learned since.
  let companions: [Model]
  /// What the bytes read of it add to.
  let companionDigests: [ModelDigester]
  /// The base's place among models and companions; `nil` where the merge does not compute with a base.
  let base: Int?
  /// How each model came about, where it is the result of an earlier merge.
  let histories: [ModelHistory?]

  /// Opens all models of a recipe and compares them with the reference.
  ///
  /// - Parameters:
  ///   - recipe: The recipe.
  ///   - selects: Whether a model has to be named that selects the typical samples; else the first one given stands in.
  ///   - usesBase: Whether the merge computes with the base where one is given, whatever the scale.
  /// - Throws: `Failure` that names the model and what is wrong with it or different about it.
  public init(_ recipe: MergeRecipe, selects: Bool = true, usesBase: Bool = false) throws(Failure) {
    guard !recipe.models.isEmpty else {
      throw Failure(
        .usage, operation: "merge", subject: "--model", expected: "at least one model beside the anchor", got: "none")
    }
    var opened: [(model: Model, isAnchor: Bool)] = []
    if let anchor = recipe.anchor { opened.append((try Model(directory: anchor, base: recipe.base), true)) }
    for path in recipe.models { opened.append((try Model(directory: path, base: recipe.base), false)) }
    guard opened.count > 1 else {
      throw Failure(
        .usage, operation: "merge", subject: "--model", expected: "at least two models", got: "one",
        advice: "Name the newly fine-tuned model with --anchor and the others with --model.")
    }
    guard opened.count <= WeightedSumLimits.mostInputs else {
      throw Failure(
        .usage, operation: "merge", subject: "--model", expected: "at most \(WeightedSumLimits.mostInputs) models",
        got: "\(opened.count)", advice: "Merge some of them first and the results after.")
    }
    // Of equal paths the anchor comes first, so that the order is one and the same however they were given.
    opened.sort { left, right in
      if left.model.path == right.model.path { return left.isAnchor && !right.isAnchor }
      return left.model.path.utf8.lexicographicallyPrecedes(right.model.path.utf8)
    }
    models = opened.map(\.model)
    anchor = opened.firstIndex(where: \.isAnchor)
    if let anchor {
      reference = models[anchor]
    } else if let path = recipe.base ?? recipe.typicalFrom ?? (selects ? nil : recipe.models.first) {
      let reference = try Model(directory: path, base: recipe.base)
      self.reference = models.first { $0.path == reference.path } ?? reference
    } else {
      throw MergeModels.noSelector()
    }
    digests = models.map { ModelDigester($0.directory) }
    let base = usesBase || recipe.scale != 1 ? recipe.base : nil
    (companions, self.base) = try MergeModels.companions(base, of: models, comparedWith: reference)
    companionDigests = companions.map { ModelDigester($0.directory) }
    for model in models where model !== reference { try MergeModels.compare(model, with: reference) }
    histories = try models.map { model throws(Failure) in try ModelHistory(of: model.directory) }
  }

  /// Opens the base beside models.
  ///
  /// - Parameters:
  ///   - path: The base; `nil` where the merge does not compute with one.
  ///   - models: The models that are merged.
  ///   - reference: The model that it has to fit.
  /// - Returns: The base, unless it is one of the models, and its place among models and companions.
  /// - Throws: `Failure` for a base that is another kind of model, and for too many models.
  static func companions(
    _ path: String?, of models: [Model], comparedWith reference: Model
  ) throws(Failure) -> (companions: [Model], base: Int?) {
    guard let path else { return ([], nil) }
    if let known = models.firstIndex(where: { $0.path == absolutePath(path) }) { return ([], known) }
    let most = WeightedSumLimits.mostInputs - 1
    guard models.count <= most else {
      throw Failure(
        .usage, operation: "merge", subject: "--model", expected: "at most \(most) models beside a base",
        got: "\(models.count)", advice: "Merge some of them first and the results after.")
    }
    let base = try Model(directory: path)
    try compare(base, with: reference)
    return ([base], models.count)
  }

  /// The base among the inputs of the fusion, where the fused change from it is scaled.
  func origin(scale: Double) -> FusionOrigin? {
    scale == 1 ? nil : base.map { FusionOrigin(input: $0, scale: scale) }
  }

  /// The failure for samples without a model that selects them.
  static func noSelector() -> Failure {
    Failure(
      .usage, operation: "merge", subject: "--anchor", expected: "a model that selects the typical samples",
      got: "none",
      advice: "Name the newly fine-tuned model with --anchor, or without an anchor give --base or --typical-from.")
  }

  /// How many layers are compared: the embedding, the blocks and the head.
  var layerCount: Int { reference.configuration.blockCount + 2 }

  /// The models as a report names them, with the digests of what was read.
  ///
  /// - Throws: `Failure` when reading fails, or when a model is not what its recall.json says.
  func merged() throws(Failure) -> [MergeReport.MergedModel] {
    var merged: [MergeReport.MergedModel] = []
    for (index, model) in models.enumerated() {
      try histories[index]?.check(digests[index].checkpointDigest())
      merged.append(try .init(model.directory, isAnchor: index == anchor, digests[index]))
    }
    return merged
  }

  /// The merges that the models came from.
  var lineage: Lineage {
    var lineage = Lineage()
    for history in histories.compactMap({ $0 }) { lineage.add(history.lineage) }
    return lineage
  }

  /// The digest collector of the reference, which may stand outside of the merge.
  public var referenceDigest: ModelDigester {
    models.firstIndex { $0 === reference }.map { digests[$0] } ?? ModelDigester(reference.directory)
  }

  /// Makes sure that an output would be neither one of its inputs, nor hold one, nor lie in one.
  ///
  /// - Throws: `Failure` of category `usage` that names the input.
  public static func checkOutput(_ output: String, isApartFrom inputs: [String]) throws(Failure) {
    func place(_ path: String) -> String { URL(fileURLWithPath: absolutePath(path)).resolvingSymlinksInPath().path }
    // Links lead to nothing that is not there yet, so of a new output those of its directory count.
    let name = URL(fileURLWithPath: absolutePath(output)).lastPathComponent
    let beside = URL(fileURLWithPath: place(parentDirectory(of: output))).appendingPathComponent(name)
    let targets = [place(output), beside.path]
    let overlaps = { (input: String) in
      targets.contains { $0 == input || input.hasPrefix($0 + "/") || $0.hasPrefix(input + "/") }
    }
    guard let input = inputs.first(where: { overlaps(place($0)) }) else { return }
    throw Failure(
      .usage, operation: "write the output", subject: "--output", expected: "a place apart from the inputs",
      got: "\(output), which is, holds or lies in \(input)", advice: "Inputs are never touched; choose another place.")
  }

  /// Compares what has to agree for two models to be merged: shape, arithmetic and tokenizer.
  ///
  /// - Throws: `Failure` of category `badData` that names the model and the difference.
  static func compare(_ model: Model, with reference: Model) throws(Failure) {
    func failure(_ what: String, _ difference: String, _ advice: String) -> Failure {
      Failure(
        .badData, operation: "merge", subject: model.path, expected: "the same \(what) as \(reference.path)",
        got: difference, advice: advice)
    }
    if let difference = model.configuration.difference(from: reference.configuration) {
      throw failure(
        "architecture", difference, "Only fine-tunes of one base model can be merged; shapes and arithmetic must agree."
      )
    }
    switch (model.tokenizer, reference.tokenizer) {
    case (let tokenizer?, let other?):
      guard let difference = tokenizer.difference(from: other) else { return }
      throw failure(
        "tokenizer", difference, "Rows of the embeddings would mean different tokens; use the base's tokenizer.")
    case (nil, nil): return
    case (nil, _?): throw failure("tokenizer", "no tokenizer.json", "Copy the tokenizer.json it was trained with.")
    case (_?, nil):
      throw failure("tokenizer", "a tokenizer.json there only", "Copy it to \(reference.path) if it is the same.")
    }
  }
}

// MARK: Models that were weighed before

extension MergeModels {
  /// Opens the models of a report in its order.
  ///
  /// - Parameters:
  ///   - report: The weights, and where the models were.
  ///   - path: The report's file, for errors.
  ///   - moved: Where models are now; matched by path, else by directory name. Empty when none has moved.
  ///   - base: Where the base of adapters is now; `nil` when it has not moved.
  /// - Returns: The models.
  /// - Throws: `Failure` for a model that cannot be found or opened, and for a place that is no model of the report.
  static func open(
    _ report: MergeReport, from path: String, moved: [String], base: String?
  ) throws(Failure) -> [Model] {
    let places = try report.models.map { model throws(Failure) in
      try relocated(model.path, candidates: moved, report: path)
    }
    if let stranger = moved.first(where: { !places.contains(absolutePath($0)) }) {
      throw Failure(
        .usage, operation: "fuse", subject: "--model", expected: "only models of \(path)", got: stranger)
    }
    var opened: [Model] = []
    for (place, model) in zip(places, report.models) {
      opened.append(try Model(directory: place, base: base ?? model.base?.path))
    }
    return opened
  }

  private static func relocated(_ path: String, candidates: [String], report: String) throws(Failure) -> String {
    guard !candidates.isEmpty else { return path }
    let absolute = candidates.map(absolutePath)
    let name = path.split(separator: "/").last
    let matches = absolute.contains(path) ? [path] : absolute.filter { $0.split(separator: "/").last == name }
    guard let match = matches.first, Set(matches).count == 1 else {
      throw Failure(
        .usage, operation: "fuse", subject: "--model", expected: "one that is \(path) of \(report)",
        got: matches.isEmpty ? "none of that name" : matches.joined(separator: ", "),
        advice: "Name every model of the weights by --anchor or --model, or none when they have not moved.")
    }
    return match
  }

  /// The model that gives layout and configuration: the anchor, else the base, else the first model.
  ///
  /// - Throws: `Failure` when the base cannot be opened.
  static func reference(of report: MergeReport, models: [Model], named name: String?) throws(Failure) -> Model {
    if let anchor = report.models.firstIndex(where: \.isAnchor) { return models[anchor] }
    guard
      let path = name ?? report.recipe["base"]?.string
        ?? report.recipe["typicalFrom"]?.string
    else { return models[0] }
    let base = try Model(directory: path)
    return models.first { $0.path == base.path } ?? base
  }
}
