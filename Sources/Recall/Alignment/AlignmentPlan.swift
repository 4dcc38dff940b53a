import Compute
import Diagnostics

/// What a merge that solves for its linear maps needs beside the models, found before it starts.
public struct AlignmentPlan: Sendable {
  /// What the maps are solved for.
  let solution: MapSolution
  /// How much every part counts.
  let rule: AlignmentRule
  /// The models, with their own samples.
  private let inputs: MergeInputs<Model>

  /// Opens the samples of the models, and makes sure that the maps can be solved for.
  ///
  /// - Parameters:
  ///   - recipe: The recipe.
  ///   - inputs: Its models, which are given their own samples.
  ///   - solution: What the maps are solved for.
  /// - Throws: `Failure` for too many models, for samples of a model that is not merged, and where samples are missing.
  init(_ recipe: MergeRecipe, inputs: inout MergeInputs<Model>, solution: MapSolution) throws(Failure) {
    self.solution = solution
    rule = solution == .aligned ? recipe.alignment : AlignmentRule(share: 1, ridge: RegressionMean.ridge)
    let configuration = inputs.reference.model.configuration
    if let obstacle = configuration.obstacleToAlignment {
      throw Failure(
        .usage, operation: "solve for the linear maps", subject: inputs.reference.model.path,
        expected: "blocks whose halves add what their maps put out", got: "\(obstacle) (\(configuration.modelType))",
        advice: "Merge models of this family by --method recall or another one.")
    }
    let most = WeightedSumLimits.mostInputs - 1 - inputs.read.count + inputs.experts.count
    guard inputs.experts.count <= most else {
      throw Failure(
        .usage, operation: "align the layers", subject: "--model", expected: "at most \(most) models",
        got: "\(inputs.experts.count)", advice: "Merge some of them first and the results after.")
    }
    try inputs.openSamples(recipe)
    self.inputs = inputs
    try requireSamples()
  }

  /// How often the layers are walked before the walk that writes: each half of the samples for every trial of the balance,
  /// which takes two bodies of samples at least.
  var rehearsals: Int {
    guard solution == .aligned, rule.balance == .learned, rule.share > 0 else { return 0 }
    let groups = inputs.experts.compactMap(\.samples).reduce(0) { sum, samples in
      sum + (samples.pool.map { SampleGroup.origins(of: $0.file.samples).count } ?? 1)
    }
    return LayerAlignment.folds.count * SampleBalance.trials(of: groups)
  }

  private func requireSamples() throws(Failure) {
    let missing = inputs.experts.filter { $0.samples == nil }
    guard rule.share > 0, rule.share == 1 ? !missing.isEmpty : missing.count == inputs.experts.count else { return }
    throw Failure(
      .usage, operation: "solve for the linear maps", subject: "--samples-for",
      expected: "samples of \(rule.share == 1 ? "every" : "at least one") model",
      got: rule.share == 1 ? "none for \(missing[0].path)" : "none",
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

  /// The lengths in tokens of the samples that may be used, expert by expert.
  ///
  /// - Parameter shared: The pool that all models are compared on.
  /// - Returns: As many lists as experts.
  func sampleLengths(shared: Pool) -> [[Int]] {
    rule.share > 0 ? inputs.sampleLengths(shared: shared) : inputs.experts.map { _ in [] }
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
  ///   - elementSize: The bytes of the widest element of a tensor.
  ///   - backend: The device.
  /// - Returns: Bytes.
  func byteCount(
    _ configuration: ModelConfiguration, lengths: [[Int]], elementSize: Int, on backend: any ComputeBackend
  ) -> Int {
    let batch = lengths.map { SampleBatches.mostTokens(lengths: $0, on: backend.device.kind) }.max() ?? 0
    let stem = configuration.stem
    let stages = Set(configuration.blocks.flatMap { $0.stages.map { $0.tensors.map(\.shape) } })
    let groups = stages.union(stem.tiesHead ? [] : [[stem.head.shape]])
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
    let block = configuration.blocks.map { $0.tensors.reduce(0) { $0 + $1.elementCount } }.max() ?? 0
    let isMeasured = tries(lengths)
    let heads =
      stem.tiesHead && !isMeasured ? 0 : (inputs.read.count + 1) * stem.head.elementCount
    let tensors = max(block, heads) * elementSize
    return AlignedStates.byteCount(configuration, lengths: lengths, on: backend) + scratch + tensors
      + (fits(lengths) ? fitByteCount(configuration, lengths, batch: batch) : 0)
      + (isMeasured ? HeadScores.byteCount(configuration) : 0)
  }

  private func fitByteCount(_ configuration: ModelConfiguration, _ lengths: [[Int]], batch: Int) -> Int {
    let tokens = lengths.joined().reduce(0, +)
    return configuration.blocks.map { StageFit.byteCount($0, tokens: tokens, batch: batch) }.max() ?? 0
  }

  // MARK: Time

  /// The floating point operations of all walks that solve for maps, rehearsals included: products over samples and changes,
  /// factors and triangular solves, and the samples' passes on their own and on the merged path.
  ///
  /// - Parameters:
  ///   - configuration: The shape of the models.
  ///   - lengths: The lengths of each model's samples.
  /// - Returns: Multiplications and additions.
  func operations(_ configuration: ModelConfiguration, lengths: [[Int]]) -> Double {
    let tokens = Double(lengths.joined().reduce(0, +))
    let models = Double(lengths.count)
    func walk(fittedTokens: Double) -> Double {
      let blocks = configuration.blocks.reduce(0.0) { sum, block in
        let fit = fits(lengths) ? Double(rule.fitSteps) * StageFit.operations(block, tokens: fittedTokens) : 0
        return block.stages.reduce(sum + fit) { sum, stage in
          let width = Double(stage.width)
          let outputs = stage.tensors.reduce(0.0) { $0 + Double($1.shape[0]) }
          return sum + 2 * fittedTokens * width * (width + 3 * outputs)
            + solution(width: width, outputs: outputs, systems: Double(stage.tensors.count), models: models)
        }
      }
      let head =
        configuration.stem.tiesHead
        ? 0
        : solution(
          width: Double(configuration.hiddenSize), outputs: Double(configuration.vocabularySize), systems: 1,
          models: models)
      // Every map's inputs are computed anew: about two passes on each path.
      let passes = lengths.reduce(0.0) { $0 + 4 * Double(configuration.operations(lengths: $1)) }
      return blocks + head + passes
    }
    return walk(fittedTokens: tokens) + Double(rehearsals) * walk(fittedTokens: tokens / 2)
  }

  /// The quadratic forms of all changes with their products, and a factor and triangular solves for each system.
  private func solution(width: Double, outputs: Double, systems: Double, models: Double) -> Double {
    let changes = rule.share < 1 ? 4 * models * outputs * width * width : 0
    return changes + systems * width * width * width / 3 + 2 * outputs * width * width
  }
}
