/// RECALL with linear maps that are solved for: the merged layers compute what each model computes on its samples and on what
/// its training changed.
public struct AlignedRecallMethod: MapSolvingMethod {
  /// The name in `--method` and recipes.
  public let name = "recall-align"
  /// What it does, in a few words.
  public let summary = "recall, with every linear map solved to compute what each model computes (ours)"
  /// The keys of a recipe that it uses.
  public let recipeKeys = RecallMethod().recipeKeys + ["samplesFor", "alignShare", "ridge", "fitSteps", "balance"]

  /// What the maps are solved for.
  public let solution = MapSolution.aligned

  /// The method, which has no state.
  public init() {}

  /// The number of models with a base, so that the changes of embeddings and norms, which nothing is solved for, add up:
  /// most of them are changes of tokens and channels that only one model uses.
  public func standardScale(_ recipe: MergeRecipe) -> Double {
    recipe.base == nil ? 1 : Double(recipe.models.count + (recipe.anchor == nil ? 0 : 1))
  }
}
