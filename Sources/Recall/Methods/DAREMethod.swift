import Checkpoint
import Compute
import Diagnostics

/// What becomes of the elements of a change that are kept, so that they stand for those that are dropped.
public enum ChangeRescale: String, Sendable, CaseIterable {
  /// Divided by the share that is kept, as in the paper of DARE.
  case density
  /// Multiplied by what gives them the L1 norm of the whole change, tensor by tensor, as in mergekit.
  case norm
  /// Left as they are.
  case none
}

/// DARE (arXiv 2311.03099): random elements of every change from the base, multiplied to make up for those that are dropped.
///
/// Each is kept with probability `density`. Then changes are added as in task arithmetic (`dare-linear`), or those whose sign is
/// elected as in TIES (`dare-ties`). Weights and divisions are mergekit's.
///
/// Which elements are kept follows from the seed, the name of the tensor, the model's place in canonical order and the element's
/// number, and from nothing else.
public struct DAREMethod: WeightsOnlyMethod {
  /// The name in `--method` and recipes.
  public let name: String
  /// Whether signs are elected.
  private let votes: Bool
  /// The options that it uses.
  public let fields: [RecipeField] = [
    .models, .weights, .base, .scale, .density, .rescale, .seed, .normalize, .elementType, .allowNonFinite,
  ]
  /// Changes are summed.
  public let weighsChanges = true
  /// Changes are formed of every element.
  public let takesBaseApart = true

  /// A method of this kind.
  ///
  /// - Parameters:
  ///   - name: Its name.
  ///   - votes: Whether signs are elected.
  init(name: String, votes: Bool) {
    (self.name, self.votes) = (name, votes)
  }

  /// What it does, in a few words.
  public var summary: String {
    votes
      ? "ties with random elements of every change (--density, --seed) in place of the largest"
      : "task-arithmetic with random elements of every change (--density, --seed)"
  }

  /// Random changes.
  public func rules(
    weights: [Double], recipe: MergeRecipe, plan: FusionPlan
  ) throws(Failure) -> (any FusionRules)? {
    let normalizes = recipe.normalize ?? normalizesByDefault
    let sum = weights.reduce(0, +)
    return RandomChangeRules(
      density: recipe.density, rescale: recipe.density < 1 ? recipe.rescale : .none, seed: recipe.seed,
      weights: weights,
      agreement: votes ? agreementFactors(weights, scale: recipe.scale, normalizes: normalizes) : nil,
      // mergekit divides by 1 where the sum is next to nothing.
      scale: normalizes && abs(sum) >= 1e-8 ? recipe.scale / sum : recipe.scale)
  }
}

/// Random elements of every change.
private struct RandomChangeRules: FusionRules {
  let density: Double
  let rescale: ChangeRescale
  let seed: Int
  let weights: [Double]
  let agreement: [Float]?
  let scale: Double

  var surveys: Bool { rescale == .norm }

  /// Every change in a row of its own; while norms are taken a whole change and what is kept of it.
  var scratch: LaneScratch { LaneScratch(bytesPerElement: 4 * max(2, weights.count), fixed: 0) }

  func rule(for tensor: PlannedTensor, _ survey: TensorSurvey) throws -> ElementRule {
    let selections = weights.indices.map { selection(of: tensor, model: $0) }
    let factors = try zip(weights, selections).enumerated().map { model, pair in
      Float(pair.0 * (try factor(of: tensor, model: model, pair.1, survey)))
    }
    return .changes(
      ChangeRule(selections: selections, factors: factors, agreement: agreement, scale: Float(scale)))
  }

  private func selection(of tensor: PlannedTensor, model: Int) -> ElementSelection {
    guard density < 1 else { return .all }
    let key = Digest(of: "\(seed) \(model) \(tensor.layout.name)").low
    return .random(key: key, threshold: UInt32(density * 0x1p32))
  }

  private func factor(
    of tensor: PlannedTensor, model: Int, _ selection: ElementSelection, _ survey: TensorSurvey
  ) throws -> Double {
    switch rescale {
    case .density: return 1 / density
    case .none: return 1
    case .norm:
      let moments = try survey.moments(of: tensor, .kept(model: model, selection))
      // Norms next to nothing are left alone, as in mergekit.
      guard moments.magnitudesOfX >= 1e-7, moments.magnitudesOfY >= 1e-7 else { return 1 }
      return moments.magnitudesOfX / moments.magnitudesOfY
    }
  }
}
