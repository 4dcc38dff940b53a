import Compute

/// A method that solves for the linear maps in the walk over the layers, and fuses what is none.
public protocol MapSolvingMethod: MergeMethod {
  /// What the maps are solved for.
  var solution: MapSolution { get }
}

extension MapSolvingMethod {
  /// Maps that were solved for are more than weights.
  public var obstacleToStages: String? { "a merge that solved for its linear maps" }

  /// Describes what the merge would do.
  public func plan(
    _ recipe: MergeRecipe, output: String?, memoryBudget: Int?, on backend: any ComputeBackend
  ) throws -> String {
    try MergePlan(recipe, memoryBudget: memoryBudget, output: output, solution: solution, on: backend)
      .text(on: backend)
  }

  /// Merges layer by layer.
  public func merge(
    _ recipe: MergeRecipe, into target: MergeTarget, memoryBudget: Int?, on backend: any ComputeBackend,
    progress: MergeProgress
  ) throws -> MergeOutcome {
    try HierarchicalMerge(recipe, memoryBudget: memoryBudget, solution: solution, on: backend, progress: progress)
      .merge(into: target.output, overwrite: target.overwrite, resume: target.resume, stop: target.stop)
  }
}
