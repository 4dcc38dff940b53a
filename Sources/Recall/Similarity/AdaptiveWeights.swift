import Foundation

/// The weight of every model at one layer: `w_i = softmax_i(S_i / T)`.
///
/// - Parameters:
///   - similarity: `S_ij` of the layer.
///   - anchor: The index of the anchor, so that `S_i = S_i,anchor`; `nil` without one: `S_i` is the mean over `j ≠ i`.
///   - temperature: T, positive.
/// - Returns: One positive weight per model; they sum to 1.
public func adaptiveWeights(_ similarity: InterModelSimilarity, anchor: Int?, temperature: Double) -> [Double] {
  softmax(similarity.scores(anchor: anchor), temperature: temperature)
}

/// `exp(x_i / T) / Σ_j exp(x_j / T)`.
func softmax(_ scores: [Double], temperature: Double) -> [Double] {
  // The largest exponent is made zero so that a low temperature cannot overflow.
  let highest = scores.max() ?? 0
  let exponentials = scores.map { exp(($0 - highest) / temperature) }
  let sum = exponentials.reduce(0, +)
  return exponentials.map { $0 / sum }
}
