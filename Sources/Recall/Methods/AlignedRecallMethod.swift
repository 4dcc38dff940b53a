import Compute

/// RECALL with linear maps that are solved for: the merged layers compute what each model computes on its samples and on what
/// its training changed.
public struct AlignedRecallMethod: MergeMethod {
  /// The name in `--method` and recipes.
  public let name = "recall-align"
  /// What it does, in a few words.
  public let summary = "recall, with every linear map solved to compute what each model computes (ours)"
  /// The keys of a recipe that it uses.
  public let recipeKeys = RecallMethod().recipeKeys + ["samplesFor", "alignShare", "ridge"]

  /// The method, which has no state.
  public init() {}

  /// Describes what the merge would do.
  public func plan(
    _ recipe: MergeRecipe, output: String?, memoryBudget: Int?, on backend: any ComputeBackend
  ) throws -> String {
    try MergePlan(recipe, memoryBudget: memoryBudget, output: output, solution: .aligned, on: backend)
      .text(on: backend)
  }

  /// Merges layer by layer.
  public func merge(
    _ recipe: MergeRecipe, into target: MergeTarget, memoryBudget: Int?, on backend: any ComputeBackend,
    progress: MergeProgress
  ) throws -> MergeOutcome {
    try HierarchicalMerge(recipe, memoryBudget: memoryBudget, solution: .aligned, on: backend, progress: progress)
      .merge(into: target.output, overwrite: target.overwrite, resume: target.resume, stop: target.stop)
  }
}
