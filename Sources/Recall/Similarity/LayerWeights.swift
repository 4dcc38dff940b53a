import Compute
import Diagnostics
import JSON

/// What was decided at one layer.
public struct LayerWeights: Sendable, Equatable {
  /// The layer.
  public var layer: Layer
  /// `S_ij`, models in canonical order; empty for methods that compare nothing.
  public var similarity: InterModelSimilarity
  /// `w_i`, in the same order; those that follow from similarities sum to 1.
  public var weights: [Double]
  /// The similarity of models whose representations had nothing in common, under the same σ; `nil` where no σ was found.
  public var unrelated: Double?
  /// How well each linear map of the layer was solved for; empty where they were fused.
  public var alignment: [MapAlignment] = []

  /// What was decided, from its parts.
  init(layer: Layer, similarity: InterModelSimilarity, weights: [Double], unrelated: Double?) {
    self.layer = layer
    self.similarity = similarity
    self.weights = weights
    self.unrelated = unrelated
  }

  /// The same weight for each of so many models that nothing was compared of.
  init(equal count: Int, at layer: Layer) {
    self.init(
      layer: layer, similarity: .init(values: []), weights: [Double](repeating: 1 / Double(count), count: count),
      unrelated: nil)
  }

  /// Reads the entry of recall.json; `nil` when it lacks a name or is not of this number of models.
  ///
  /// - Parameters:
  ///   - json: The entry.
  ///   - count: The number of models.
  public init?(json: JSONValue, models count: Int) {
    let weights = json["weights"]?.array?.compactMap(\.double) ?? []
    let similarity = json["similarity"]?.array?.map { $0.array?.compactMap(\.double) ?? [] } ?? []
    guard let layer = json["name"]?.string.flatMap({ Layer(name: $0) }), weights.count == count,
      similarity.allSatisfy({ $0.count == count }), similarity.isEmpty || similarity.count == count
    else { return nil }
    self.init(
      layer: layer, similarity: InterModelSimilarity(values: similarity), weights: weights,
      unrelated: json["unrelated"]?.double)
    alignment = (json["alignment"]?.array ?? []).compactMap { MapAlignment(json: $0) }
  }

  /// The entry in recall.json.
  public var json: JSONValue {
    var members: [(String, JSONValue)] = [
      ("name", .string(layer.name)),
      ("similarity", .array(similarity.values.map { .array($0.map(JSONValue.double)) })),
      ("weights", .array(weights.map(JSONValue.double))),
    ]
    if let unrelated { members.append(("unrelated", .double(unrelated))) }
    if !alignment.isEmpty { members.append(("alignment", .array(alignment.map(\.json)))) }
    return .object(JSONObject(members))
  }
}

extension [LayerWeights] {
  /// The weights by layer.
  var byLayer: [Layer: [Double]] { Dictionary(map { ($0.layer, $0.weights) }, uniquingKeysWith: { first, _ in first }) }
}

/// How representations become weights: distance, bandwidth and temperature.
public struct WeighingRule: Sendable, Equatable {
  /// How far two representations are from each other.
  public var distance: DistanceMeasure
  /// How σ is found.
  public var bandwidth: BandwidthRule
  /// T of the softmax.
  public var temperature: Double

  /// A rule from its parts.
  public init(distance: DistanceMeasure, bandwidth: BandwidthRule, temperature: Double) {
    self.distance = distance
    self.bandwidth = bandwidth
    self.temperature = temperature
  }

  /// Whether σ is known before the distances of all layers are, so that a merge needs one pass.
  public var isKnownLayerByLayer: Bool { bandwidth != .globalMedian }

  /// Weighs the models at one layer.
  ///
  /// - Parameters:
  ///   - layer: The layer.
  ///   - distances: The distances between the models there.
  ///   - width: d.
  ///   - anchor: The anchor among the models, if there is one.
  ///   - anchorMedian: σ² of `anchorMedian`; `nil` when no distance was positive.
  ///   - globalMedian: σ² of `globalMedian`; `nil` when no distance was positive.
  /// - Returns: Similarities and weights.
  public func weigh(
    _ layer: Layer, distances: InterModelDistances, width: Int, anchor: Int?, anchorMedian: Double?,
    globalMedian: Double? = nil
  ) -> LayerWeights {
    let squaredSigma: Double? =
      switch bandwidth {
      case .anchorMedian: anchorMedian
      case .globalMedian: globalMedian
      case .layerMedian: medianBandwidth(of: distances.all)
      case .dimension: Double(width) / 2
      case .sigma(let sigma): sigma * sigma
      }
    let similarity = InterModelSimilarity(distances, squaredSigma: squaredSigma)
    let weights = adaptiveWeights(similarity, anchor: anchor, temperature: temperature)
    let unrelated = squaredSigma.flatMap { squaredSigma in
      distances.unrelated.isEmpty ? nil : meanKernel(of: distances.unrelated, squaredSigma: squaredSigma)
    }
    return LayerWeights(layer: layer, similarity: similarity, weights: weights, unrelated: unrelated)
  }
}
