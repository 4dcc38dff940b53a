/// How σ of the RBF kernel is found.
public enum BandwidthRule: Sendable, Equatable {
  /// σ² is the median distance between the anchor's own typical samples over all layers: the median heuristic.
  case anchorMedian
  /// σ² is the median distance between models over all layers, pairs and samples; needs every model's states first.
  case globalMedian
  /// σ² is the median distance between models, layer by layer.
  case layerMedian
  /// σ² is half the width of the residual stream; for absolute distances only.
  case dimension
  /// σ itself.
  case sigma(Double)

  /// The spelling on the command line and in recipes.
  public var name: String {
    switch self {
    case .anchorMedian: "anchor-median"
    case .globalMedian: "global-median"
    case .layerMedian: "layer-median"
    case .dimension: "dimension"
    case .sigma(let sigma): "\(sigma)"
    }
  }

  /// The rule of a spelling; `nil` when it is neither a rule nor a positive number.
  public init?(name: String) {
    let rules: [BandwidthRule] = [.anchorMedian, .globalMedian, .layerMedian, .dimension]
    if let rule = rules.first(where: { $0.name == name }) {
      self = rule
    } else if let sigma = Double(name), sigma > 0, (sigma * sigma).isNormal {
      self = .sigma(sigma)
    } else {
      return nil
    }
  }
}

/// The median of the positive distances, the mean of the two middle values for an even number.
///
/// - Returns: σ² by a median rule; `nil` when no distance is positive, so that every similarity is 1.
public func medianBandwidth(of distances: some Sequence<Double>) -> Double? {
  let positive = distances.filter { $0 > 0 }.sorted()
  guard !positive.isEmpty else { return nil }
  let middle = positive.count / 2
  return positive.count.isMultiple(of: 2) ? (positive[middle - 1] + positive[middle]) / 2 : positive[middle]
}
