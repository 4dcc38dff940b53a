import Compute

/// RegMean: the linear maps that come nearest to every model's own on that model's own inputs.
///
/// Jin and others 2022, arXiv 2212.09849.
public struct RegressionMeanMethod: MergeMethod {
  /// The name in `--method` and recipes.
  public let name = "regmean"
  /// What it does, in a few words.
  public let summary = "linear maps nearest to each model's on its own samples, the mean of all else"
  /// The keys of a recipe that it uses.
  public let recipeKeys = [
    "models", "base", "samplesFor", "typical", "clusterLayer", "pooling", "maxTokens", "seed", "dtype",
    "allowNonFinite",
  ]

  /// The method, which has no state.
  public init() {}

  /// Describes what the merge would do.
  public func plan(
    _ recipe: MergeRecipe, output: String?, memoryBudget: Int?, on backend: any ComputeBackend
  ) throws -> String {
    try MergePlan(recipe, memoryBudget: memoryBudget, output: output, solution: .regressionMean, on: backend)
      .text(on: backend)
  }

  /// Merges layer by layer.
  public func merge(
    _ recipe: MergeRecipe, into target: MergeTarget, memoryBudget: Int?, on backend: any ComputeBackend,
    progress: MergeProgress
  ) throws -> MergeOutcome {
    try HierarchicalMerge(
      recipe, memoryBudget: memoryBudget, solution: .regressionMean, on: backend, progress: progress
    ).merge(into: target.output, overwrite: target.overwrite, resume: target.resume, stop: target.stop)
  }
}
