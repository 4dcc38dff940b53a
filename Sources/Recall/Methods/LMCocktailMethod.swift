import Compute
import Diagnostics
import Foundation

/// LM-Cocktail (arXiv 2311.13534): one weight per model, `w = softmax(−loss / T)`, with the loss of each model on a few examples.
///
/// The loss is the mean of −log p over all tokens that are scored: those of the answers, or of texts. T is `temperature`.
public struct LMCocktailMethod: MergeMethod {
  /// The name in `--method` and recipes.
  public let name = "lm-cocktail"
  /// What it does, in a few words.
  public let summary = "one weight per model from its loss on --samples, given as tasks: softmax(−loss / T)"
  /// The options that it uses.
  public let fields: [RecipeField] = [.models, .base, .scale, .samples, .temperature, .elementType, .allowNonFinite]

  /// One weight for a whole model is no weight of a layer.
  public var obstacleToStages: String? { "the same for all tensors" }

  /// The method, which has no state.
  public init() {}

  /// Describes what the merge would do; the weights are found by running the models.
  public func plan(
    _ recipe: MergeRecipe, output: String?, memoryBudget: Int?, on backend: any ComputeBackend
  ) throws -> String {
    let examples = try examples(recipe)
    let equal = MixedMethod(weights: recipe.models.map { _ in 1 / Double(recipe.models.count) })
    return """
      examples: \(examples.items.count) of \(examples.path), which every model is run on to find its weight
      \(try WeightsOnlyPlan(recipe, method: equal, output: output, memoryBudget: memoryBudget, on: backend).text)
      """
  }

  /// Runs the models, and merges chunk by chunk.
  public func merge(
    _ recipe: MergeRecipe, into target: MergeTarget, memoryBudget: Int?, on backend: any ComputeBackend,
    progress: MergeProgress
  ) throws -> MergeOutcome {
    let losses = try losses(recipe, memoryBudget: memoryBudget, stop: target.stop, on: backend, progress: progress)
    let mixed = MixedMethod(weights: softmax(losses.map { -$0 }, temperature: recipe.weighing.temperature))
    return try WeightsOnlyMerge(recipe, method: mixed, memoryBudget: memoryBudget, on: backend, progress: progress)
      .merge(into: target)
  }

  private func examples(_ recipe: MergeRecipe) throws(Failure) -> TaskFile {
    guard let path = recipe.samples else {
      throw Failure(
        .usage, operation: "read examples", subject: "--samples", expected: "a file of examples", got: "none",
        advice: "Give JSON lines with \"text\", with \"prompt\" and \"answer\", or with \"choices\" beside them.")
    }
    return try TaskFile(path: path)
  }

  /// The loss of each model.
  private func losses(
    _ recipe: MergeRecipe, memoryBudget: Int?, stop: StopRequest, on backend: any ComputeBackend,
    progress: MergeProgress
  ) throws -> [Double] {
    let examples = try examples(recipe)
    // Everything is checked before a model is run.
    let equal = MixedMethod(weights: recipe.models.map { _ in 1 / Double(recipe.models.count) })
    _ = try WeightsOnlyPlan(recipe, method: equal, output: nil, memoryBudget: memoryBudget, on: backend)
    let models = try recipe.models.map { path throws(Failure) in try Model(directory: path, base: recipe.base) }
    let sequences = try models.map { model throws(Failure) in
      try zip(examples.items, TaskEncoder(model: model).encode(examples)).map { item, sequences in
        // Of several choices the right one is the example.
        if case .choice(_, _, let answer) = item.question { sequences[answer] } else { sequences[0] }
      }
    }
    return try models.indices.map { number in
      try stop.check("weigh", models[number].path)
      let memory = try PassMemory(
        of: models[number], lengths: sequences[number].map(\.input.count),
        beside: HeadScores.byteCount(models[number].configuration), on: backend
      ).stateBudget(within: memoryBudget)
      let scores = try TokenScoring(models[number], stateBudget: memory, on: backend).scores(of: sequences[number]) {
        progress("weigh \(number + 1)/\(models.count)", $0, of: $1, unit: "layers")
      }.joined()
      return -scores.reduce(0) { $0 + $1.logProbability } / Double(scores.count)
    }
  }
}

/// A sum of models with weights that were found for them.
private struct MixedMethod: WeightsOnlyMethod {
  let weights: [Double]

  var name: String { LMCocktailMethod().name }
  var summary: String { LMCocktailMethod().summary }
  var fields: [RecipeField] { LMCocktailMethod().fields }
  var weighsChanges: Bool { false }

  func weights(given: [Double?], recipe: MergeRecipe) throws(Failure) -> [Double] { weights }

  /// The weights follow from the examples, and are no part of the recipe.
  func recorded(_ recipe: MergeRecipe, weights: [Double]) -> MergeRecipe {
    var recorded = recipe
    recorded.weights = []
    return recorded
  }
}
