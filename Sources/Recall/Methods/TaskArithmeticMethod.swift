/// Task arithmetic (arXiv 2212.04089): `θ = θ₀ + S Σ_i w_i (θ_i − θ₀)`, as in mergekit; the default weight is 1, and weights are
/// divided by their sum only where `normalize` is true.
public struct TaskArithmeticMethod: WeightsOnlyMethod {
  /// The name in `--method` and recipes.
  public let name = "task-arithmetic"
  /// What it does, in a few words.
  public let summary = "the base plus the sum of all changes from it, times --scale"
  /// The options that it uses.
  public let fields: [RecipeField] = [.models, .weights, .base, .scale, .normalize, .elementType, .allowNonFinite]
  /// Changes are summed.
  public let weighsChanges = true

  /// The method, which has no state.
  public init() {}
}
