import Foundation

/// The similarity of every pair of models at one layer: `S_ij = 1/m Σ_x exp(−D_ij(x) / 2σ²)`.
public struct InterModelSimilarity: Sendable, Equatable {
  /// `[models, models]`, symmetric, 1 on the diagonal.
  public let values: [[Double]]

  /// Applies the RBF kernel and averages over the samples.
  ///
  /// - Parameters:
  ///   - distances: `D_ij(x)` of the layer.
  ///   - squaredSigma: σ²; `nil` when there was no positive distance to take it from.
  public init(_ distances: InterModelDistances, squaredSigma: Double?) {
    values = (0..<distances.models).map { i in
      (0..<distances.models).map { j in
        guard let squaredSigma, i != j, distances.samples > 0 else { return 1 }
        return meanKernel(of: distances.between(i, j), squaredSigma: squaredSigma)
      }
    }
  }

  /// `S_i`, what the weight of each model follows from: its similarity to the anchor, without one the mean over the others.
  public func scores(anchor: Int?) -> [Double] {
    values.enumerated().map { i, row in
      if let anchor { return row[anchor] }
      return row.count == 1 ? 1 : (row.reduce(0, +) - row[i]) / Double(row.count - 1)
    }
  }

  /// Takes similarities that were computed before.
  public init(values: [[Double]]) { self.values = values }
}

/// The mean of `exp(−D / 2σ²)` over some distances, of which there is at least one.
func meanKernel(of distances: some Collection<Double>, squaredSigma: Double) -> Double {
  distances.map { exp(-$0 / (2 * squaredSigma)) }.reduce(0, +) / Double(distances.count)
}
