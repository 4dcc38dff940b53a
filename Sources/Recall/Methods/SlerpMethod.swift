import Compute
import Diagnostics
import Foundation

/// Spherical interpolation of two models, tensor by tensor: with θ the angle between the two tensors as vectors,
/// `sin((1 − t) θ) / sin θ · θ₁ + sin(t θ) / sin θ · θ₂`, as in mergekit; `(1 − t) θ₁ + t θ₂` where |cos θ| > 0.9995.
public struct SlerpMethod: WeightsOnlyMethod {
  /// The name in `--method` and recipes.
  public let name = "slerp"
  /// What it does, in a few words.
  public let summary = "two models, along the arc between them, given with --t"
  /// The options that it uses.
  public let fields: [RecipeField] = [.models, .base, .scale, .t, .elementType, .allowNonFinite]
  /// Models are summed.
  public let weighsChanges = false

  /// The method, which has no state.
  public init() {}

  /// Two models and a t between them.
  public func check(_ recipe: MergeRecipe) throws(Failure) {
    func failure(_ option: String, _ expected: String, _ got: String) -> Failure {
      Failure(.usage, operation: "merge", subject: option, expected: "\(expected) with --method slerp", got: got)
    }
    guard recipe.models.count == 2 else { throw failure("--model", "two models", "\(recipe.models.count)") }
    guard (0...1).contains(recipe.t) else { throw failure("--t", "a number from 0 to 1", "\(recipe.t)") }
  }

  /// `1 − t` and t, which are the weights of models that are nearly parallel.
  public func weights(given: [Double?], recipe: MergeRecipe) throws(Failure) -> [Double] { [1 - recipe.t, recipe.t] }

  /// Coefficients from the angle of each tensor.
  public func rules(
    weights: [Double], recipe: MergeRecipe, plan: FusionPlan
  ) throws(Failure) -> (any FusionRules)? {
    SphericalRules(t: weights[1], plan: plan)
  }

  /// t counts from the first model in canonical order.
  public func recorded(_ recipe: MergeRecipe, weights: [Double]) -> MergeRecipe {
    var recorded = recipe
    recorded.t = weights[1]
    recorded.weights = []
    return recorded
  }
}

/// The coefficients of two tensors from the angle between them.
private struct SphericalRules: FusionRules {
  let t: Double
  let plan: FusionPlan

  let surveys = true
  let scratch = LaneScratch.none

  func rule(for tensor: PlannedTensor, _ survey: TensorSurvey) throws -> ElementRule {
    let moments = try survey.moments(of: tensor, .inputs(0, 1))
    // A vector of next to no length has no direction; mergekit leaves it as it is.
    let norms = [moments.squaresOfX, moments.squaresOfY].map { $0.squareRoot() > 1e-8 ? $0.squareRoot() : 1 }
    let cosine = max(-1, min(1, moments.products / (norms[0] * norms[1])))
    return .sum(plan.coefficients(coefficients(cosine)).map(Float.init))
  }

  private func coefficients(_ cosine: Double) -> [Double] {
    guard cosine.magnitude <= 0.9995 else { return [1 - t, t] }
    let angle = acos(cosine)
    return [sin((1 - t) * angle) / sin(angle), sin(t * angle) / sin(angle)]
  }
}
