import Checkpoint
import Compute
import Diagnostics

/// What a merge needs its base for, beside the origin of a fused change that is scaled.
enum BaseUse: Sendable {
  /// Nothing else.
  case scaling
  /// To tell what the experts have learned; it takes part in no sum unless their fused change is scaled.
  case learning
  /// As a part of every sum.
  case sums
  /// As a part of every sum, and an input of its own where it is one of the experts as well.
  case sumsApart
}

/// The models of a merge, opened and found to fit together, in canonical order.
///
/// Experts come first, sorted by their absolute paths; behind them the base, where the merge computes with one that is
/// no expert, and a companion, where the reference is neither.
struct MergeInputs<Opened: MergeableModel>: Sendable {
  /// All of them, each at its place.
  private(set) var all: [MergeInput<Opened>] = []
  /// The base among the inputs of every sum; `nil` where it takes no part.
  private(set) var origin: FusionOrigin?
  private var basePlace: Int?
  private var referencePlace = 0

  /// The models that are merged, the anchor among them.
  var experts: [MergeInput<Opened>] { all.filter(\.isMerged) }
  /// The models whose tensors the merge computes with: the experts, and the base where it is none of them.
  var read: [MergeInput<Opened>] { all.filter { $0.role != .companion } }
  /// The inputs of every sum: the experts, and the base where it takes part and is none of them.
  var summed: [MergeInput<Opened>] { origin == nil ? experts : read }
  /// The expert that the others are compared with.
  var anchor: MergeInput<Opened>? { all.first { $0.role == .anchor } }
  /// The base, where the merge computes with one; it may be one of the experts.
  var base: MergeInput<Opened>? { basePlace.map { all[$0] } }
  /// The model that selects typical samples and gives shard layout, element types, configuration and tokenizer.
  var reference: MergeInput<Opened> { all[referencePlace] }

  /// Where the inputs lie: an output has to be apart from these.
  var places: [String] { all.flatMap { [$0.path, $0.model.directory.checkpoint.directory] } }

  /// The experts as a report names them, with the digests of what was read.
  ///
  /// - Throws: `Failure` when reading fails, or when a model is not what its recall.json says.
  func merged() throws(Failure) -> [MergeReport.MergedModel] {
    try experts.map { expert throws(Failure) in try expert.merged() }
  }

  /// The merges that the experts came from.
  var lineage: Lineage {
    var lineage = Lineage()
    for history in experts.compactMap(\.history) { lineage.add(history.lineage) }
    return lineage
  }

  /// Gives an input samples of its own.
  mutating func give(_ samples: OwnSamples, to input: MergeInput<Opened>) { all[input.place].samples = samples }

  // MARK: Opening

  /// A model to be opened.
  private struct Entry {
    let path: String
    let base: String?
    var role = MergeRole.expert
  }

  /// Opens the models of a recipe and compares them with the reference.
  ///
  /// - Parameters:
  ///   - recipe: The recipe.
  ///   - standIn: The reference where the recipe names neither anchor nor base.
  ///   - use: What the merge needs a base for.
  ///   - fewest: How many models have to be merged at least.
  /// - Throws: `Failure` that names the model and what is wrong with it or different about it.
  init(_ recipe: MergeRecipe, reference standIn: String?, base use: BaseUse, atLeast fewest: Int = 2) throws(Failure) {
    guard !recipe.models.isEmpty else {
      throw Failure(
        .usage, operation: "merge", subject: "--model", expected: "at least one model beside the anchor", got: "none")
    }
    var entries = recipe.models.map { Entry(path: absolutePath($0), base: recipe.base) }
    // Of equal paths the anchor comes first, so that the order is one and the same however they were given.
    if let anchor = recipe.anchor {
      entries.insert(Entry(path: absolutePath(anchor), base: recipe.base, role: .anchor), at: 0)
    }
    guard entries.count >= fewest else {
      throw Failure(
        .usage, operation: "merge", subject: "--model", expected: "at least two models", got: "one",
        advice: "Name the newly fine-tuned model with --anchor and the others with --model.")
    }
    guard let reference = recipe.anchor ?? recipe.base ?? standIn else { throw .noSelector }
    try self.init(
      entries.inCanonicalOrder(by: \.path), reference: Entry(path: absolutePath(reference), base: recipe.base),
      base: recipe.base, use, scale: recipe.scale, readsHistory: true)
  }

  /// Opens models in their order.
  ///
  /// - Parameters:
  ///   - entries: The experts.
  ///   - reference: The reference.
  ///   - base: The base, where one is named.
  ///   - use: What the base is needed for.
  ///   - scale: λ, what the fused change from the base is multiplied by.
  ///   - readsHistory: Whether it matters how the experts came about.
  ///   - isShared: Whether other processes merge them into the same output.
  /// - Throws: `Failure` for a model that cannot be opened or is different, and for too many.
  private init(
    _ entries: [Entry], reference: Entry, base: String?, _ use: BaseUse, scale: Double, readsHistory: Bool = false,
    isShared: Bool = false
  ) throws(Failure) {
    func append(_ model: Opened, _ role: MergeRole, _ history: ModelHistory? = nil) {
      all.append(MergeInput(model, role: role, place: all.count, history: history, isShared: isShared))
    }
    func place(of path: String) -> Int? { all.first { $0.path == path }?.place }

    try checkCount(entries.count, besideBase: false)
    for entry in entries {
      let model = try Opened.open(entry.path, base: entry.base)
      append(model, entry.role, try readsHistory ? ModelHistory(of: model.directory) : nil)
    }
    let isScaled = scale != 1
    if let base = base.map(absolutePath), isScaled || use != .scaling {
      let expert = place(of: base)
      basePlace = use == .sumsApart ? nil : expert
      if basePlace == nil {
        try checkCount(entries.count, besideBase: true)
        basePlace = all.count
        let model = if let expert { all[expert].model } else { try Opened.open(base, base: base) }
        append(model, .base)
      }
      origin = isScaled || use != .learning ? basePlace.map { FusionOrigin(input: $0, scale: scale) } : nil
    }
    referencePlace = all.first { $0.role == .anchor }?.place ?? place(of: reference.path) ?? all.count
    if referencePlace == all.count { append(try Opened.open(reference.path, base: reference.base), .companion) }
    let chosen = all[referencePlace].model
    for input in all where input.model !== chosen { try input.model.check(fits: chosen) }
  }
}

/// Makes sure that sums can take so many experts.
private func checkCount(_ experts: Int, besideBase: Bool) throws(Failure) {
  let most = WeightedSumLimits.mostInputs - (besideBase ? 1 : 0)
  guard experts > most else { return }
  throw Failure(
    .usage, operation: "merge", subject: "--model",
    expected: "at most \(most) models\(besideBase ? " beside a base" : "")", got: "\(experts)",
    advice: "Merge some of them first and the results after.")
}

extension Failure {
  /// For samples without a model that selects them.
  static var noSelector: Failure {
    Failure(
      .usage, operation: "merge", subject: "--anchor", expected: "a model that selects the typical samples",
      got: "none",
      advice: "Name the newly fine-tuned model with --anchor, or without an anchor give --base or --typical-from.")
  }
}

extension MergeInputs<Model> {
  /// How many layers are compared: the embedding, the blocks and the head.
  var layerCount: Int { reference.model.configuration.blockCount + 2 }
}

extension FusionPlan {
  /// Plans the fusion of the inputs of a merge.
  ///
  /// - Parameters:
  ///   - inputs: The inputs.
  ///   - assignment: The layers of the tensors, where they have weights of their own; `nil` for the same weights for all.
  ///   - elementType: The type of every fused tensor; `nil` for that of the reference, tensor by tensor.
  /// - Throws: `Failure` of category `badData` that names a tensor which cannot be fused.
  init(
    _ inputs: MergeInputs<ModelDirectory>, assignment: LayerAssignment?, elementType: ElementType?
  ) throws(Failure) {
    try self.init(
      models: inputs.summed.map(\.model), origin: inputs.origin, reference: inputs.reference.model,
      assignment: assignment, elementType: elementType)
  }

  /// Plans the fusion of the inputs of a merge, with weights for every layer.
  init(_ inputs: MergeInputs<Model>, elementType: ElementType?) throws(Failure) {
    try self.init(
      models: inputs.summed.map(\.model), origin: inputs.origin, reference: inputs.reference.model,
      elementType: elementType)
  }
}

// MARK: Models that were weighed before

extension MergeInputs {
  /// Opens the models of a report in its order.
  ///
  /// - Parameters:
  ///   - report: The weights, and where the models were.
  ///   - path: The report's file, for errors.
  ///   - moved: Where models are now; matched by path, else by directory name. Empty when none has moved.
  ///   - base: Where the base is now; `nil` when it has not moved.
  ///   - standIn: The reference where there is neither anchor nor base; `nil` for that of the report.
  ///   - isShared: Whether other processes merge them into the same output.
  /// - Throws: `Failure` for a model that cannot be found or opened or is different, and for a place that is no model of
  ///   the report.
  init(
    _ report: MergeReport, from path: String, moved: [String], base: String?, reference standIn: String?,
    isShared: Bool
  ) throws(Failure) {
    let places = try report.models.map { model throws(Failure) in
      try relocated(model.path, candidates: moved, report: path)
    }
    if let stranger = moved.first(where: { !places.contains(absolutePath($0)) }) {
      throw Failure(
        .usage, operation: "fuse", subject: "--model", expected: "only models of \(path)", got: stranger)
    }
    let entries = zip(places, report.models).map { place, model in
      Entry(path: place, base: base ?? model.base?.path, role: model.isAnchor ? .anchor : .expert)
    }
    let recordedBase = report.recipe.base
    let scale = report.recipe.scale
    guard scale == 1 || base ?? recordedBase != nil else {
      throw Failure(
        .badData, operation: "read the weights", subject: path, expected: "a base beside the scale \(scale)",
        got: "none", advice: "Name the base with --base.")
    }
    let reference = base ?? standIn ?? recordedBase ?? report.recipe.typicalFrom ?? places[0]
    try self.init(
      entries, reference: Entry(path: absolutePath(reference), base: base), base: base ?? recordedBase, .scaling,
      scale: scale, isShared: isShared)
  }
}

/// The place of a model that was at a path, among places where models may be now.
private func relocated(_ path: String, candidates: [String], report: String) throws(Failure) -> String {
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
