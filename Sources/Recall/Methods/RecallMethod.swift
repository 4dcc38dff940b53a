import Compute

/// The method of the paper: weights that follow, layer by layer, from hidden states over typical samples.
public struct RecallMethod: MergeMethod {
  /// The name in `--method` and recipes.
  public let name = "recall"
  /// What it does, in a few words.
  public let summary = "weights of every layer from hidden states over typical samples (the paper's)"
  /// The options that it uses.
  public let fields: [RecipeField] = [
    .anchor, .models, .base, .scale, .typicalFrom, .samples, .typical, .clusterLayer, .pooling, .maxTokens, .distance,
    .bandwidth, .temperature, .seed, .requireSimilarity, .elementType, .allowNonFinite,
  ]

  /// Nothing: its stages give the bytes of the merge.
  public let obstacleToStages: String? = nil

  /// The method, which has no state.
  public init() {}

  /// What was compared.
  public func origin(of report: MergeReport) -> String {
    """
    Made with Recall: layer by layer, the models below were compared on \(report.typicalSamples.count) typical samples
    with an RBF kernel, and their parameters fused with the weights that follow from it (RECALL, arXiv 2510.20479).
    """
  }

  /// Describes what the merge would do.
  public func plan(
    _ recipe: MergeRecipe, output: String?, memoryBudget: Int?, on backend: any ComputeBackend
  ) throws -> String {
    try MergePlan(recipe, memoryBudget: memoryBudget, output: output, on: backend).text(on: backend)
  }

  /// Merges layer by layer.
  public func merge(
    _ recipe: MergeRecipe, into target: MergeTarget, memoryBudget: Int?, on backend: any ComputeBackend,
    progress: MergeProgress
  ) throws -> MergeOutcome {
    try HierarchicalMerge(recipe, memoryBudget: memoryBudget, on: backend, progress: progress)
      .merge(into: target.output, overwrite: target.overwrite, resume: target.resume, stop: target.stop)
  }
}
