import Compute
import Diagnostics

/// The samples of a merge, encoded for its models, with the options that their header may fix.
struct Pool {
  /// The file they came from.
  let file: SampleFile
  /// The samples as token identifiers.
  let samples: [EncodedSample]
  /// How states become vectors.
  let pooling: Pooling
  /// Where texts were cut, in tokens.
  let maxTokens: Int
  /// The lengths, in tokens, of the longest samples that may be typical: which ones will be is not known before the selection.
  let typicalLengths: [Int]
  /// Whether all samples are typical, so that none has to be selected.
  let isTypical: Bool

  /// Reads and encodes the samples of a recipe.
  ///
  /// - Throws: `Failure` when the file or a line is wrong, or an option contradicts the header of selected samples.
  init(recipe: MergeRecipe, reference: Model, models: [Model]) throws(Failure) {
    guard let path = recipe.samples else {
      throw Failure(
        .usage, operation: "read samples", subject: "--samples", expected: "a file of texts", got: "none",
        advice: "Give JSON lines with \"text\" or \"input_ids\", or plain text with one sample a line.")
    }
    let file = try SampleFile(path: path)
    try self.init(file, recipe: recipe, reference: reference, models: models, isTypical: file.selection != nil)
  }

  /// The samples of all models together, for models to be compared on; none where there are none.
  init(joining pools: [Pool], recipe: MergeRecipe) {
    file = SampleFile(path: "the samples of the models", samples: pools.flatMap(\.file.samples))
    samples = pools.flatMap(\.samples)
    pooling = recipe.poolingOrDefault
    maxTokens = recipe.maxTokensOrDefault
    typicalLengths = pools.flatMap(\.typicalLengths)
    isTypical = true
  }

  /// Encodes samples.
  ///
  /// - Parameters:
  ///   - file: The samples.
  ///   - recipe: How they are encoded.
  ///   - reference: The model whose tokenizer encodes them.
  ///   - models: The models that will run them.
  ///   - isTypical: Whether they are all typical; a pool with no more samples than are wanted is so anyway where it is one
  ///     model's own.
  /// - Throws: `Failure` when a line is wrong, or an option contradicts the header of selected samples.
  init(
    _ file: SampleFile, recipe: MergeRecipe, reference: Model, models: [Model], isTypical: Bool
  ) throws(Failure) {
    self.file = file
    self.isTypical = isTypical
    let path = file.path
    if let header = file.selection {
      try Pool.agree("--pooling", recipe.pooling?.rawValue, header.pooling.rawValue, path: path)
      try Pool.agree("--max-tokens", recipe.maxTokens.map(String.init), "\(header.maxTokens)", path: path)
      // What is left at its default was not asked for.
      let plain = MergeRecipe()
      let used = recipe.asUsed(with: header, samples: file.samples.count)
      if recipe.seed != plain.seed { try Pool.agree("--seed", "\(recipe.seed)", "\(used.seed)", path: path) }
      if recipe.typical != plain.typical {
        try Pool.agree("--typical", "\(recipe.typical)", "\(used.typical)", path: path)
      }
      if recipe.clusterLayer != plain.clusterLayer {
        try Pool.agree("--cluster-layer", recipe.clusterLayer.name, used.clusterLayer.name, path: path)
      }
    }
    pooling = file.selection?.pooling ?? recipe.poolingOrDefault
    maxTokens = file.selection?.maxTokens ?? recipe.maxTokensOrDefault
    let encoder = SampleEncoder(
      tokenizer: reference.tokenizer, configuration: reference.configuration, maxTokens: maxTokens,
      model: reference.path)
    samples = try encoder.encode(file)
    let lengths = samples.map(\.tokens.count)
    typicalLengths = isTypical ? lengths : Array(lengths.sorted(by: >).prefix(recipe.typical))
    for model in models {
      guard let long = samples.first(where: { $0.tokens.count > model.configuration.maximumPositions }) else {
        continue
      }
      throw Failure(
        .badData, operation: "encode samples", subject: "\(path), line \(long.sample.line)",
        expected: "at most the \(model.configuration.maximumPositions) positions of \(model.path)",
        got: "\(long.tokens.count) tokens",
        advice: "Cut texts with --max-tokens \(model.configuration.maximumPositions).")
    }
  }

  /// The same pool with its typical samples only.
  func keeping(_ typical: [EncodedSample]) -> Pool {
    Pool(file: file, samples: typical, pooling: pooling, maxTokens: maxTokens)
  }

  private init(file: SampleFile, samples: [EncodedSample], pooling: Pooling, maxTokens: Int) {
    (self.file, self.samples, self.pooling, self.maxTokens) = (file, samples, pooling, maxTokens)
    typicalLengths = samples.map(\.tokens.count)
    isTypical = true
  }

  /// Makes sure that typical samples can be selected from the pool.
  ///
  /// - Throws: `Failure` for a pool that is too small or a cluster layer that the model lacks.
  func checkSelection(_ recipe: MergeRecipe, model: Model) throws(Failure) {
    guard file.selection == nil else { return }
    if case .block(let number) = recipe.clusterLayer, number >= model.configuration.blockCount {
      throw Failure(
        .usage, operation: "select typical samples", subject: "--cluster-layer",
        expected: "last or a block below \(model.configuration.blockCount)", got: "\(number)")
    }
    guard samples.count >= recipe.typical else {
      throw Failure(
        .badData, operation: "select typical samples", subject: file.path,
        expected: "at least \(recipe.typical) samples", got: "\(samples.count)",
        advice: "Give more samples or a smaller --typical.")
    }
  }

  private static func agree(_ option: String, _ given: String?, _ selected: String, path: String) throws(Failure) {
    guard let given, given != selected else { return }
    throw Failure(
      .usage, operation: "read samples", subject: option, expected: "\(selected), as \(path) was selected with",
      got: given, advice: "Leave the option out or select again.")
  }
}
