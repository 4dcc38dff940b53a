/// RECALL with linear maps that are solved for: the merged layers compute what each model computes on its samples and on what
/// its training changed.
public struct AlignedRecallMethod: MapSolvingMethod {
  /// The name in `--method` and recipes.
  public let name = "recall-align"
  /// What it does, in a few words.
  public let summary = "recall, with every linear map solved to compute what each model computes (ours)"
  /// The keys of a recipe that it uses.
  public let recipeKeys = RecallMethod().recipeKeys + ["samplesFor", "alignShare", "ridge"]

  /// What the maps are solved for.
  public let solution = MapSolution.aligned

  /// The method, which has no state.
  public init() {}
}
