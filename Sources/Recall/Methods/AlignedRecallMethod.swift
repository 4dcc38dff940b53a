/// RECALL with linear maps that are solved for: the merged layers compute what each model computes on its samples and on what
/// its training changed.
public struct AlignedRecallMethod: MapSolvingMethod {
  /// The name in `--method` and recipes.
  public let name = "recall-align"
  /// What it does, in a few words.
  public let summary = "recall, with every linear map solved to compute what each model computes (ours)"
  /// The options that it uses.
  public let fields: [RecipeField] =
    RecallMethod().fields + [.samplesFor, .alignShare, .ridge, .fitSteps, .balance]

  /// What the maps are solved for.
  public let solution = MapSolution.aligned

  /// The method, which has no state.
  public init() {}

  /// What was compared, and what was solved for; without samples only the latter.
  public func origin(of report: MergeReport) -> String {
    guard !report.typicalSamples.isEmpty else {
      return """
        Made with Recall: every linear map was solved for, so that it computes what each model below computes in the
        directions that the model's training changed; all else is their mean.
        """
    }
    return """
      \(RecallMethod().origin(of: report))
      Every linear map was then solved for, so that it computes what each model computes, on the model's own samples
      and in the directions that its training changed.
      """
  }

  /// The number of models with a base, so that the changes of embeddings and norms, which nothing is solved for, add up:
  /// most of them are changes of tokens and channels that only one model uses.
  public func standardScale(_ recipe: MergeRecipe) -> Double {
    recipe.base == nil ? 1 : Double(recipe.models.count + (recipe.anchor == nil ? 0 : 1))
  }
}
