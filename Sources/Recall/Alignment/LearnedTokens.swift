import Compute
import Foundation

/// What models have learned to say, and so what a merge can lose.
///
/// It is found in their own samples, without labels: the tokens that a model gives more probability than its base does. So what
/// a model answers is told from what it was only asked.
///
/// A token of probability p_i by the model and p_0 by the base counts `max(p_i − p_0, 0)`. Without a base, p_0 is the mean of
/// the other models'.
struct LearnedTokens {
  /// One text: of every token but the first, the model's probability and how much it counts.
  private struct Text {
    let probabilities: [Double]
    let weights: [Double]
  }

  private let groups: [[Text]]

  /// Scores every text by its own model and by the base.
  ///
  /// - Parameters:
  ///   - groups: The samples.
  ///   - inputs: The models.
  ///   - stateBudget: How many bytes a residual stream may take.
  ///   - backend: The device.
  ///   - progress: Told the layers done, of how many; what it throws ends the scoring.
  /// - Throws: `Failure` for a model that gives NaN or infinity; `DeviceError`.
  init(
    _ groups: [SampleGroup], inputs: MergeInputs<Model>, stateBudget: Int, on backend: any ComputeBackend,
    progress: (Int, Int) throws -> Void
  ) throws {
    let read = inputs.read
    // [model][group][text][token], empty for groups that a model is not asked about.
    let probabilities = try read.map { input in
      let asked = groups.map { $0.model == input.place || inputs.base.map { $0.place == input.place } ?? true }
      let texts = zip(groups, asked).flatMap { group, asked in asked ? group.texts.filter { $0.count > 1 } : [] }
      var scores = try TokenScoring(input.model, stateBudget: stateBudget, on: backend).scores(
        of: texts.map { ScoredSequence(tokens: $0, scoredFrom: 1) }
      ) { try progress(input.place * $1 + $0, read.count * $1) }[...]
      return zip(groups, asked).map { group, asked -> [[Double]] in
        guard asked else { return [] }
        return group.texts.map { $0.count > 1 ? (scores.popFirst() ?? []).map { exp($0.logProbability) } : [] }
      }
    }
    self.groups = groups.enumerated().map { number, group in
      let origins = inputs.base.map { [$0.place] } ?? read.indices.filter { $0 != group.model }
      return probabilities[group.model][number].enumerated().map { text, own in
        let weights = own.enumerated().map { place, probability in
          let before = origins.reduce(0) { $0 + probabilities[$1][number][text][place] }
          return max(probability - before / Double(max(origins.count, 1)), 0)
        }
        return Text(probabilities: own, weights: weights)
      }
    }
  }

  /// The groups in which anything was learned; what is lost of the others cannot be told.
  var measurable: [Int] {
    groups.indices.filter { group in groups[group].contains { $0.weights.contains { $0 > 0 } } }
  }

  /// How much of what was learned a text loses: Σ weight · max(p_i − p, 0), so 1 for each token that is fully forgotten.
  ///
  /// - Parameters:
  ///   - group: The group.
  ///   - text: The text in the group.
  ///   - probabilities: p, the merged model's, of every token but the first.
  /// - Returns: The tokens lost.
  func lost(of group: Int, text: Int, probabilities: [Double]) -> Double {
    let learned = groups[group][text]
    return learned.weights.indices.reduce(0) { sum, place in
      sum + learned.weights[place] * max(learned.probabilities[place] - probabilities[place], 0)
    }
  }
}
