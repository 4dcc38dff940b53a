/// `θ = Σ_i w_i θ_i`, divided by `Σ_i w_i` unless `normalize` is false, as in mergekit; the default weight is 1/K.
///
/// With a base and a scale S: `θ₀ + S (Σ_i w_i θ_i − θ₀)`.
public struct LinearMethod: WeightsOnlyMethod {
  /// The name in `--method` and recipes.
  public let name = "linear"
  /// What it does, in a few words.
  public let summary = "one weight per model, given with --weight (default: the mean)"
  /// The options that it uses.
  public let fields: [RecipeField] = [.models, .weights, .base, .scale, .normalize, .elementType, .allowNonFinite]
  /// Models are summed.
  public let weighsChanges = false
  /// A mean, unless that is switched off.
  public let normalizesByDefault = true

  /// The method, which has no state.
  public init() {}
}
