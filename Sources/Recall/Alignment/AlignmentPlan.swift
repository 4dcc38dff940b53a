import Checkpoint
import Compute
import Diagnostics
import Foundation

/// What a merge that solves for its linear maps needs beside the models, found before it starts.
public struct AlignmentPlan: Sendable {
  /// What the maps are solved for.
  let solution: MapSolution
  /// How much every part counts.
  let rule: AlignmentRule
  /// The base, where it is not one of the models.
  private let companions: [Model]
  /// Each model's own pool; `nil` for a model without one.
  let pools: [Pool?]
  /// Whether the anchor's own samples are those that all models are compared on.
  let anchorTakesSharedSamples: Bool

  /// Opens the pools.
  ///
  /// - Parameters:
  ///   - recipe: The recipe.
  ///   - inputs: Its models.
  ///   - solution: What the maps are solved for.
  /// - Throws: `Failure` for samples of a model that is not merged, and where the samples that the rule needs are missing.
  init(_ recipe: MergeRecipe, inputs: MergeModels, solution: MapSolution) throws(Failure) {
    self.solution = solution
    rule = solution == .aligned ? recipe.alignment : AlignmentRule(share: 1, ridge: RegressionMean.ridge)
    let models = inputs.models
    companions = inputs.companions
    let most = WeightedSumLimits.mostInputs - 1 - companions.count
    guard models.count <= most else {
      throw Failure(
        .usage, operation: "align the layers", subject: "--model", expected: "at most \(most) models",
        got: "\(models.count)", advice: "Merge some of them first and the results after.")
    }
    if let stranger = recipe.samplesOfModels.keys.sorted().first(where: { path in !models.contains { $0.path == path } }
    ) {
      throw Failure(
        .usage, operation: "read samples", subject: "--samples-for", expected: "a model that is merged",
        got: stranger, advice: "Write --samples-for MODEL=FILE with MODEL as in --model or --anchor.")
    }
    let pools = try models.map { model throws(Failure) -> Pool? in
      guard let file = try AlignmentPlan.samples(of: model, recipe) else { return nil }
      return try Pool(file, recipe: recipe, reference: model, models: models, isTypical: file.isTypical)
    }
    self.pools = pools
    anchorTakesSharedSamples = inputs.anchor.map { pools[$0] == nil } == true && recipe.samples != nil
    try requireSamples(inputs)
  }

  /// The file that a model's own samples come from: the one given, else what the merge that made the model kept.
  private static func samples(of model: Model, _ recipe: MergeRecipe) throws(Failure) -> SampleFile? {
    if let path = recipe.samplesOfModels[model.path] { return try SampleFile(path: path) }
    // What an adapter was trained on is not what its base was merged on.
    let path = "\(model.path)/\(MergeReport.fileName)"
    guard model.directory.adapter == nil, FileManager.default.fileExists(atPath: path) else { return nil }
    return try SampleFile(ofMergeAt: path)
  }

  /// Whether a model brings samples that its maps are fitted to.
  private func hasSamples(_ model: Int, anchor: Int?) -> Bool {
    pools[model] != nil || anchorTakesSharedSamples && model == anchor
  }

  /// How often the layers are walked before the walk that writes: each half of the samples for every trial of the balance,
  /// which takes two bodies of samples at least.
  func rehearsals(anchor: Int?) -> Int {
    guard solution == .aligned, rule.balance == .learned, rule.share > 0 else { return 0 }
    let groups = pools.enumerated().reduce(0) { sum, entry in
      guard hasSamples(entry.offset, anchor: anchor) else { return sum }
      return sum + (entry.element.map { SampleGroup.origins(of: $0.file.samples).count } ?? 1)
    }
    return LayerAlignment.folds.count * SampleBalance.trials(of: groups)
  }

  private func requireSamples(_ inputs: MergeModels) throws(Failure) {
    let missing = inputs.models.indices.filter { !hasSamples($0, anchor: inputs.anchor) }
    guard rule.share > 0, rule.share == 1 ? !missing.isEmpty : missing.count == inputs.models.count else { return }
    throw Failure(
      .usage, operation: "solve for the linear maps", subject: "--samples-for",
      expected: "samples of \(rule.share == 1 ? "every" : "at least one") model",
      got: rule.share == 1 ? "none for \(inputs.models[missing[0]].path)" : "none",
      advice: solution == .aligned
        ? "Give --samples-for MODEL=FILE, or --align-share 0, which needs no samples."
        : "Give --samples-for MODEL=FILE.")
  }

  /// The rule in words.
  var ruleText: String {
    switch solution {
    case .aligned:
      "samples count \(rule.share) against changes of weights, ridge \(rule.ridge), \(rule.fitSteps) steps of fit"
    case .regressionMean: "on each model's own inputs (RegMean)"
    }
  }

  /// The pool that all models are compared on where the recipe names none: everything that models bring, where anything is
  /// compared.
  func sharedPool(of own: [Pool], recipe: MergeRecipe) -> Pool {
    Pool(joining: solution == .aligned ? own : [], recipe: recipe)
  }

  /// The lengths in tokens of the samples that may be used, model by model.
  ///
  /// - Parameters:
  ///   - shared: The pool that all models are compared on.
  ///   - anchor: The anchor among the models.
  /// - Returns: As many lists as models.
  func sampleLengths(shared: Pool, anchor: Int?) -> [[Int]] {
    guard rule.share > 0 else { return pools.map { _ in [] } }
    return pools.enumerated().map { model, pool in
      pool?.typicalLengths ?? (anchorTakesSharedSamples && model == anchor ? shared.typicalLengths : [])
    }
  }

  // MARK: Memory

  /// Whether the balance is found by trials.
  func tries(_ lengths: [[Int]]) -> Bool {
    solution == .aligned && rule.balance == .learned && !lengths.joined().isEmpty
  }

  /// Whether maps whose outputs meet are fitted together.
  private func fits(_ lengths: [[Int]]) -> Bool {
    solution == .aligned && rule.fits && !lengths.joined().isEmpty
  }

  /// The memory that streams, systems and merged weights take at most, beside the layers of the walk.
  ///
  /// - Parameters:
  ///   - configuration: The shape of the models.
  ///   - lengths: The lengths of each model's samples.
  ///   - models: How many models are merged.
  ///   - elementSize: The bytes of the widest element of a tensor.
  ///   - backend: The device.
  /// - Returns: Bytes.
  func byteCount(
    _ configuration: ModelConfiguration, lengths: [[Int]], models: Int, elementSize: Int, on backend: any ComputeBackend
  ) -> Int {
    let batch = lengths.map { SampleBatches.mostTokens(lengths: $0, on: backend.device.kind) }.max() ?? 0
    let headShape = [configuration.vocabularySize, configuration.hiddenSize]
    let groups =
      LayerAlignment.groups.map { $0.map(configuration.shape(of:)) } + (configuration.tiesHead ? [] : [[headShape]])
    // Scratch is kept by purpose, so the largest of every purpose adds up, whichever map needs it.
    func most(_ size: (_ group: [[Int]]) -> Int) -> Int { groups.map(size).max() ?? 0 }
    let width = most { $0[0][1] }
    let rights = (0..<3).map { number in most { $0.count > number ? $0[number][0] * $0[number][1] : 0 } }
    let rows = most { group in
      group.map { AlignmentWorkspace.rows(of: $0[0], inputs: $0[1]) * $0[1] }.max() ?? 0
    }
    let outputs = most { group in group.map { AlignmentWorkspace.rows(of: $0[0], inputs: $0[1]) }.max() ?? 0 }
    let squares = (lengths.joined().isEmpty ? 2 : 3) * width * width
    let perToken = outputs + width + configuration.hiddenSize
    let scratch = 4 * (squares + rights.reduce(0, +) + 2 * rows + batch * perToken)
    let block = configuration.blockParts.map { configuration.shape(of: $0).reduce(1, *) }.reduce(0, +) * elementSize
    let isMeasured = tries(lengths)
    let heads =
      configuration.tiesHead && !isMeasured
      ? 0 : (models + companions.count + 1) * headShape[0] * headShape[1] * elementSize
    return AlignedStates.byteCount(configuration, lengths: lengths, on: backend) + scratch + max(block, heads)
      + (fits(lengths) ? StageFit.byteCount(configuration, tokens: lengths.joined().reduce(0, +), batch: batch) : 0)
      + (isMeasured ? HeadScores.byteCount(configuration) : 0)
  }

  // MARK: Time

  /// The floating point operations of all walks that solve for maps, rehearsals included: products over samples and changes,
  /// factors and triangular solves, and the samples' passes on their own and on the merged path.
  ///
  /// - Parameters:
  ///   - configuration: The shape of the models.
  ///   - lengths: The lengths of each model's samples.
  ///   - anchor: The anchor among the models.
  /// - Returns: Multiplications and additions.
  func operations(_ configuration: ModelConfiguration, lengths: [[Int]], anchor: Int?) -> Double {
    let tokens = Double(lengths.joined().reduce(0, +))
    let models = Double(lengths.count)
    func walk(fittedTokens: Double) -> Double {
      let block = LayerAlignment.groups.reduce(0.0) { sum, parts in
        let width = Double(configuration.shape(of: parts[0])[1])
        let outputs = parts.reduce(0.0) { $0 + Double(configuration.shape(of: $1)[0]) }
        return sum + 2 * fittedTokens * width * (width + 3 * outputs)
          + solution(width: width, outputs: outputs, systems: Double(parts.count), models: models)
      }
      let head =
        configuration.tiesHead
        ? 0
        : solution(
          width: Double(configuration.hiddenSize), outputs: Double(configuration.vocabularySize), systems: 1,
          models: models)
      // Every map's inputs are computed anew: about two passes on each path.
      let passes = lengths.reduce(0.0) { $0 + 4 * Double(configuration.flops(lengths: $1)) }
      let fits =
        fits(lengths) ? Double(rule.fitSteps) * StageFit.operations(configuration, tokens: fittedTokens) : 0
      return Double(configuration.blockCount) * (block + fits) + head + passes
    }
    return walk(fittedTokens: tokens) + Double(rehearsals(anchor: anchor)) * walk(fittedTokens: tokens / 2)
  }

  /// The quadratic forms of all changes with their products, and a factor and triangular solves for each system.
  private func solution(width: Double, outputs: Double, systems: Double, models: Double) -> Double {
    let changes = rule.share < 1 ? 4 * models * outputs * width * width : 0
    return changes + systems * width * width * width / 3 + 2 * outputs * width * width
  }
}
