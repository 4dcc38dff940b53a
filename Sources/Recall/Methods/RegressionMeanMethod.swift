/// RegMean: the linear maps that come nearest to every model's own on that model's own inputs.
///
/// Jin and others 2022, arXiv 2212.09849.
public struct RegressionMeanMethod: MapSolvingMethod {
  /// The name in `--method` and recipes.
  public let name = "regmean"
  /// What it does, in a few words.
  public let summary = "linear maps nearest to each model's on its own samples, the mean of all else"
  /// The keys of a recipe that it uses.
  public let recipeKeys = [
    "models", "base", "samplesFor", "typical", "clusterLayer", "pooling", "maxTokens", "seed", "dtype",
    "allowNonFinite",
  ]

  /// What the maps are solved for.
  public let solution = MapSolution.regressionMean

  /// The method, which has no state.
  public init() {}
}
