import Foundation
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
///     A = α/a Σ v_i X_iᵀX_i + (1−α)/c Σ v_i δ_iᵀδ_i + ρ I
///     A (W − P)ᵀ = α/a Σ v_i X_iᵀ(Y_i − X_i Pᵀ) + (1−α)/c Σ v_i δ_iᵀδ_i (W_i − P)ᵀ
///
/// a and c are the mean diagonals of the two sums. So the merged layer computes what each expert computes, on what reaches it
/// and on the directions that the expert's training changed; where neither says anything, W is P.
///
/// A map whose outputs are added to the residual stream (attention's output, down) has one more thing to make up for: Y_i
/// takes in what the merged stream lacks of the expert's at that place, so that errors do not pile up with depth. The head is
/// solved for from the changes alone: at most tokens of a sample no expert was ever trained to predict what comes next.
///
/// What queries and keys, or gates and ups, put out matters only by what comes of both. These are fitted together from where they
/// were solved for (MapPairFit): queries and keys to the attention patterns of the experts (PatternFit), gates and ups to their
/// gated activations (GateFit).
///
/// v_i is what SampleBalance finds, by merges that nothing is written of: each is fitted to one half of the samples and asked
/// about the other half, how much it has lost of the tokens that the models have learned to say (LearnedTokens). A model that was
/// merged before brings the samples of several; those of each are weighed by themselves, and its change counts their mean.
public struct AlignmentRule: Sendable, Equatable {
  /// α, how much the samples count against the changes of weights, from 0 (no data at all) to 1 (samples only).
  public var share = 0.9
  /// ρ, how firmly W is held at P, in units of the mean diagonal of what is fitted.
  public var ridge = 0.005
  /// How often maps whose outputs meet are tried together, the first time as they were solved for: 0 and 1 leave them so.
  public var fitSteps = 24
  /// How every body of samples comes to count what it does.
  public var balance = Balance.learned

  /// How every body of samples comes to count what it does.
  public enum Balance: String, Sendable, CaseIterable {
    /// So that as little as possible is lost of what the models have learned: found by trying, before anything is written.
    case learned
    /// All the same.
    case equal
  }

  /// Whether maps whose outputs meet are fitted together.
  var fits: Bool { fitSteps > 1 }

  /// The rule with its defaults.
  public init() {}

  /// A rule from its parts.
  init(share: Double, ridge: Double) { (self.share, self.ridge) = (share, ridge) }
}

/// How well a linear map could be solved for.
public struct MapAlignment: Sendable, Equatable {
  /// The name of the tensor.
  public var tensor: String
  /// About the condition of A: its largest eigenvalue over its smallest, from a few steps towards each, so at least so much.
  public var condition: Double
  /// ‖R − Z A‖ / ‖R‖ of the system Z A = R that was solved, estimated with random vectors; 0 where R is 0.
  public var residual: Double
  /// Where the map was fitted together with another: how far both were off, before and after.
  public var fit: Fit?

  /// How far two maps are off that are fitted together, 0 where they do all that they are to do: by `PatternFit` queries and
  /// keys, by `GateFit` gates and what they let up.
  public struct Fit: Sendable, Equatable {
    /// As they were solved for.
    public var before: Double
    /// As they were fitted.
    public var after: Double
  }

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
    if let before = json["fit"]?["before"]?.double, let after = json["fit"]?["after"]?.double {
      fit = Fit(before: before, after: after)
    }
  }

  /// The entry in recall.json.
  var json: JSONValue {
    let fit = fit.map { ["before": .double($0.before), "after": .double($0.after)] as JSONValue }
    return [
      "tensor": .string(tensor), "condition": .double(condition), "residual": .double(residual), "fit": fit ?? .null,
    ]
  }
}
