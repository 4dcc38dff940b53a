import Diagnostics

/// `θ = Σ_i w_i θ_i`, divided by `Σ_i w_i` unless `normalize` is false, as in mergekit; the default weight is 1/K.
public struct LinearMethod: WeightsOnlyMethod {
  /// The name in `--method` and recipes.
  public let name = "linear"
  /// What it does, in a few words.
  public let summary = "one weight per model, given with --weight (default: the mean)"
  /// The keys of a recipe that it uses.
  public let recipeKeys = ["models", "base", "normalize", "dtype", "allowNonFinite"]

  /// The method, which has no state.
  public init() {}

  /// The weights as given, or 1/K, and divided by their sum.
  public func weights(given: [Double?], recipe: MergeRecipe) throws(Failure) -> [Double] {
    let weights = given.map { $0 ?? 1 / Double(given.count) }
    guard recipe.normalize ?? true else { return weights }
    let sum = weights.reduce(0, +)
    // mergekit divides by whatever the sum is; by next to nothing, the result is noise.
    guard abs(sum) >= 1e-8 else {
      throw Failure(
        .usage, operation: "normalise the weights", subject: "--weight", expected: "weights whose sum is not 0",
        got: "\(sum)", advice: "Give other weights, or --normalize false.")
    }
    return weights.map { $0 / sum }
  }
}
