import JSON

/// What the linear maps of a merge are solved for.
public enum MapSolution: Sendable {
  /// To compute in the merged model what each expert computes: `AlignmentRule`.
  case aligned
  /// To compute on each expert's own inputs what the expert computes: RegMean.
  case regressionMean
}

/// How the linear maps of a merge are solved for, and how much each part of the fit counts.
///
/// Of a map W `[out, in]`, with P the RECALL fusion of the experts' W_i, δ_i what W_i is apart from the base (without one,
/// from the experts' mean), X_i the inputs that reach the map in the *merged* model on expert i's samples, and Y_i what
/// expert i's own map makes of the inputs on its own path:
///
///     A = α/a Σ v_i X_iᵀX_i + (1−α)/c Σ g_i δ_iᵀδ_i + ρ I
///     A (W − P)ᵀ = α/a Σ v_i X_iᵀ(Y_i − X_i Pᵀ) + (1−α)/c Σ g_i δ_iᵀδ_i (W_i − P)ᵀ
///
/// a and c are the mean diagonals of the two sums. So the merged layer computes what each expert computes, on what reaches it
/// and on the directions that the expert's training changed; where neither says anything, W is P.
public struct AlignmentRule: Sendable, Equatable {
  /// α, how much the samples count against the changes of weights, from 0 (no data at all) to 1 (samples only).
  public var share = 0.2
  /// ρ, how firmly W is held at P, in units of the mean diagonal of what is fitted.
  public var ridge = 0.1

  /// The rule with its defaults.
  public init() {}

  /// A rule from its parts.
  init(share: Double, ridge: Double) { (self.share, self.ridge) = (share, ridge) }

  /// v_i: every token counts once, so that an expert with longer samples counts more.
  func sampleWeight(tokens: Int) -> Double { 1 }

  /// g_i: every expert's change counts as much, however far its training went.
  func changeWeight(squaredNorm: Double) -> Double { 1 / squaredNorm }
}

/// How well a linear map could be solved for.
public struct MapAlignment: Sendable, Equatable {
  /// The name of the tensor.
  public var tensor: String
  /// About the condition of A: its largest eigenvalue over its smallest, from a few steps towards each, so at least so much.
  public var condition: Double
  /// ‖R − Z A‖ / ‖R‖ of the system Z A = R that was solved, estimated with random vectors; 0 where R is 0.
  public var residual: Double

  /// Describes a solution.
  init(tensor: String, condition: Double, residual: Double) {
    (self.tensor, self.condition, self.residual) = (tensor, condition, residual)
  }

  /// Reads an entry of recall.json; `nil` when it is none.
  init?(json: JSONValue) {
    guard let tensor = json["tensor"]?.string, let condition = json["condition"]?.double,
      let residual = json["residual"]?.double
    else { return nil }
    self.init(tensor: tensor, condition: condition, residual: residual)
  }

  /// The entry in recall.json.
  var json: JSONValue {
    ["tensor": .string(tensor), "condition": .double(condition), "residual": .double(residual)]
  }
}
