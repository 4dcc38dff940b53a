/// RegMean: the linear maps that come nearest to every model's own on that model's own inputs.
///
/// Jin and others 2022, arXiv 2212.09849.
public struct RegressionMeanMethod: MapSolvingMethod {
  /// The name in `--method` and recipes.
  public let name = "regmean"
  /// What it does, in a few words.
  public let summary = "linear maps nearest to each model's on its own samples, the mean of all else"
  /// The options that it uses.
  public let fields: [RecipeField] = [
    .models, .base, .samplesFor, .typical, .clusterLayer, .pooling, .maxTokens, .seed, .elementType, .allowNonFinite,
  ]

  /// What the maps are solved for.
  public let solution = MapSolution.regressionMean

  /// The method, which has no state.
  public init() {}

  /// Whose samples the maps come nearest on.
  public func origin(of report: MergeReport) -> String {
    """
    Made with Recall: every linear map is the one nearest to those of the models below on their own \
    \(report.typicalSamples.count)
    typical samples (RegMean, arXiv 2212.09849); all else is their mean.
    """
  }
}
