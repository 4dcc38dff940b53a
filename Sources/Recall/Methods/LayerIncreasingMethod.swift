import Diagnostics

/// LiNeS, layer-increasing network scaling (arXiv 2410.17146): task arithmetic whose changes are scaled linearly with depth,
/// `λ_l = α + β (l − 1) / (L − 1)` for block l of L, so that shallow layers stay near the base and deep ones keep what they learned.
///
/// α is `shallowScale`, by default 1/K: the mean of the changes. α + β is `deepScale`, by default 1: every change in full. What
/// lies before the first block takes λ₁, what lies behind the last one λ_L.
public struct LayerIncreasingMethod: WeightsOnlyMethod {
  /// The name in `--method` and recipes.
  public let name = "lines"
  /// What it does, in a few words.
  public let summary = "task-arithmetic, scaled with depth from --shallow-scale to --deep-scale"
  /// The options that it uses.
  public let fields: [RecipeField] = [
    .models, .weights, .base, .scale, .shallowScale, .deepScale, .normalize, .elementType, .allowNonFinite,
  ]
  /// Changes are summed.
  public let weighsChanges = true

  /// The method, which has no state.
  public init() {}

  /// λ of every layer.
  public func depthScales(_ recipe: MergeRecipe, blocks: Int) -> [Layer: Double]? {
    let shallow = recipe.shallowScale ?? 1 / Double(recipe.models.count)
    // A model of one block is as deep as it gets.
    let slope = blocks > 1 ? (recipe.deepScale - shallow) / Double(blocks - 1) : 0
    let scales = Layer.all(blocks: blocks).map { layer -> (Layer, Double) in
      switch layer {
      case .block(let number): (layer, blocks > 1 ? shallow + slope * Double(number) : recipe.deepScale)
      case .head: (layer, recipe.deepScale)
      case .embedding, .whole: (layer, shallow)
      }
    }
    return Dictionary(scales, uniquingKeysWith: { first, _ in first })
  }
}
