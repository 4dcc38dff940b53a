import Diagnostics
import Foundation

/// Two models that are far apart in most layers, so that merging them is likely to hurt.
public struct DistantModels: Sendable, Equatable {
  /// The places of the two in the canonical order.
  public var pair: [Int]
  /// Where they are far apart.
  public var layers: [Layer]
  /// How many layers there are.
  public var layerCount: Int

  /// How much of the distance of unrelated models is far: with relative distances, vectors at 75 degrees or more.
  ///
  /// Experts of one base that merge well came up to 0.70 of it in our measurements; a model whose hidden units are in another
  /// order, and one of random weights, had 0.86 and more everywhere.
  static let farShare = 0.75

  /// Finds the pairs whose similarity is near the floor in more than half of the layers.
  ///
  /// The floor is the similarity of unrelated models under the same σ. Near it is what lies at least `farShare` of the way,
  /// in distances; similarities are exponents of those, so that share is an exponent here.
  ///
  /// - Parameter layers: All layers of the models.
  /// - Returns: The pairs in the order of their models.
  public static func all(in layers: [LayerWeights]) -> [DistantModels] {
    pairs(in: layers, of: layers.count) { layer in layer.unrelated.map { pow($0, farShare) } ?? 0 }
  }

  /// Makes sure that no pair of models is less similar than asked for in more than half of all layers.
  ///
  /// - Parameters:
  ///   - least: The similarity that is asked for.
  ///   - layers: The layers so far, shallow to deep: a merge asks again after each of them.
  ///   - layerCount: How many there will be.
  ///   - models: The paths in canonical order.
  /// - Throws: `Failure` of category `badData` as soon as a pair cannot fulfil it any more.
  static func require(
    _ least: Double?, of layers: [LayerWeights], of layerCount: Int, models: [String]
  ) throws(Failure) {
    guard let least, let pair = pairs(in: layers, of: layerCount, below: { _ in least }).first else { return }
    let low = pair.layers.map(\.name)
    throw Failure(
      .badData, operation: "merge", subject: pair.pair.map { models[$0] }.joined(separator: " and "),
      expected: "a similarity of at least \(least) in half of the \(layerCount) layers (--require-similarity)",
      got: "less in \(low.count) of them, the last \(low[low.count - 1])",
      advice: "Models this far apart are likely to hurt each other; leave one out, or ask for less.")
  }

  private static func pairs(
    in layers: [LayerWeights], of layerCount: Int, below threshold: (LayerWeights) -> Double
  ) -> [DistantModels] {
    let models = layers.first?.similarity.values.count ?? 0
    return (0..<models).flatMap { i in
      (i + 1..<max(models, i + 1)).compactMap { j in
        let far = layers.filter { $0.similarity.values[i][j] < threshold($0) }.map(\.layer)
        guard 2 * far.count > layerCount else { return nil }
        return DistantModels(pair: [i, j], layers: far, layerCount: layerCount)
      }
    }
  }
}

extension [Layer] {
  /// The layers in words, neighbours as a range: `block.2 to block.6, head`.
  var ranges: String {
    let all = self
    var runs: [(first: Layer, last: Layer)] = []
    for layer in all {
      if let run = runs.last, case .block(let before) = run.last, case .block(let number) = layer, number == before + 1
      {
        runs[runs.count - 1].last = layer
      } else {
        runs.append((layer, layer))
      }
    }
    return runs.map { $0.first == $0.last ? $0.first.name : "\($0.first.name) to \($0.last.name)" }
      .joined(separator: ", ")
  }
}
