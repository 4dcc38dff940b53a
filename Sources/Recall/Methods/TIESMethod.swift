import Compute
import Diagnostics

/// TIES (arXiv 2306.01708) as mergekit has it: of every change from the base the k = max(1, ⌊density · n⌋) largest elements of each
/// tensor are kept; the sign of their weighted sum is elected, a sum of 0 counting as positive; those that agree are added,
/// `θ = θ₀ + S Σ w_i δ_i / Σ w_i`, divided by the sum of their weights unless `normalize` is false.
///
/// Of equally large elements the first ones are kept.
public struct TIESMethod: WeightsOnlyMethod {
  /// The name in `--method` and recipes.
  public let name = "ties"
  /// What it does, in a few words.
  public let summary = "the base plus the mean of the largest changes (--density) that agree on the sign"
  /// The options that it uses.
  public let fields: [RecipeField] = [
    .models, .weights, .base, .scale, .density, .normalize, .elementType, .allowNonFinite,
  ]
  /// Changes are summed.
  public let weighsChanges = true
  /// A mean of those that agree.
  public let normalizesByDefault = true
  /// Changes are formed of every element.
  public let takesBaseApart = true

  /// The method, which has no state.
  public init() {}

  /// The largest changes, and votes.
  public func rules(
    weights: [Double], recipe: MergeRecipe, plan: FusionPlan
  ) throws(Failure) -> (any FusionRules)? {
    LargestChangeRules(
      density: recipe.density, factors: weights.map(Float.init),
      agreement: agreementFactors(weights, scale: recipe.scale, normalizes: recipe.normalize ?? normalizesByDefault))
  }
}

/// The largest elements of every change.
private struct LargestChangeRules: FusionRules {
  let density: Double
  let factors: [Float]
  let agreement: [Float]

  var surveys: Bool { density < 1 }

  /// Every change in a row of its own; while digits are counted one change, and the counts of every model.
  var scratch: LaneScratch {
    LaneScratch(bytesPerElement: 4 * factors.count, fixed: surveys ? factors.count << 18 : 0)
  }

  func rule(for tensor: PlannedTensor, _ survey: TensorSurvey) throws -> ElementRule {
    let elements = tensor.sources[0].elementCount
    let count = density < 1 ? max(1, Int(density * Double(elements))) : elements
    let selections = try MagnitudeSelection.largest(count, of: tensor, models: factors.count, survey)
    return .changes(ChangeRule(selections: selections, factors: factors, agreement: agreement, scale: 1))
  }
}

/// What the sum of every set of models that agree is multiplied by, by the sets' bits.
///
/// - Parameters:
///   - weights: The weight of each model.
///   - scale: What all is multiplied by.
///   - normalizes: Whether a sum is divided by the weights of those that agree; weights whose sum is 0 divide by nothing.
/// - Returns: A factor for each of the 2^K sets.
func agreementFactors(_ weights: [Double], scale: Double, normalizes: Bool) -> [Float] {
  (0..<1 << weights.count).map { set in
    let sum = weights.indices.reduce(0) { set >> $1 & 1 == 1 ? $0 + weights[$1] : $0 }
    return Float(normalizes && sum != 0 ? scale / sum : scale)
  }
}
