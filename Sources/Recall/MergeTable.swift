import Diagnostics

extension MergeReport {
  /// Models, samples and the decisions per layer as a table for people.
  public var table: String {
    let anchor = models.firstIndex(where: \.isAnchor)
    let labels = models.indices.map { "[\($0 + 1)]" }
    let names = zip(labels, models).map { label, model in
      "  \(label) \(model.path)\(model.isAnchor ? "  (anchor)" : "")"
        + (model.alignmentWeight.map { "  counts \(fixed($0, digits: 2)) in the alignment" } ?? "")
    }
    let compares = layers.contains { !$0.similarity.values.isEmpty }
    let isSolved = layers.contains { !$0.alignment.isEmpty }
    let head =
      ["layer"] + (compares ? labels.map { "S \($0)" } : []) + labels.map { "w \($0)" }
      + (isSolved ? ["condition", "residual"] : [])
    let rows = layers.map { layer in
      let similarities = compares ? layer.similarity.scores(anchor: anchor) : []
      return [layer.layer.name] + (similarities + layer.weights).map { fixed($0, digits: 4) }
        + (isSolved ? layer.worstAlignment : [])
    }
    guard layers.first?.layer != .whole else {
      let rows = zip(labels, layers.first?.weights ?? []).map { [$0, fixed($1, digits: 4)] }
      return """
        models
        \(names.joined(separator: "\n"))

        weight w of each model, the same for all tensors
        \(aligned(rows))
        """
    }
    return """
      models
      \(names.joined(separator: "\n"))
      \(samplesByModel)

      \(compares ? "similarity S \(anchor == nil ? "to the other models" : "to the anchor") and " : "")weight w of each \
      model, layer by layer\(isSolved ? "; the worst condition and residual of the maps that were solved for" : "")
      \(aligned([head] + rows))
      """
  }

  /// The typical samples: by their numbers where one model selected them, by their count where each model has its own.
  private var samplesByModel: String {
    let selectors = typicalSamples.compactMap { $0["model"]?.string }
    var models: [String] = []
    for model in selectors where !models.contains(model) { models.append(model) }
    if models.count > 1 {
      let counts = models.map { model in "  \(selectors.count { $0 == model }) of \(model)" }
      return "typical samples\n\(counts.joined(separator: "\n"))"
    }
    let numbers = typicalSamples.compactMap { $0["index"]?.integer }.map(String.init).joined(separator: " ")
    return "typical samples (\(typicalSamples.count) of the pool, by number): \(numbers)"
  }
}

extension MergeReport {
  /// The similarity of every pair of models, layer by layer, as a table for people; empty for a single pair and for more
  /// pairs than a line holds.
  public var pairTable: String {
    let pairs = models.indices.flatMap { i in (i + 1..<max(models.count, i + 1)).map { (i, $0) } }
    guard (2...10).contains(pairs.count) else { return "" }
    let head = ["layer"] + pairs.map { "[\($0.0 + 1)] [\($0.1 + 1)]" }
    let rows = layers.map { layer in
      [layer.layer.name] + pairs.map { fixed(layer.similarity.values[$0.0][$0.1], digits: 4) }
    }
    return "similarity S of every pair\n\(aligned([head] + rows))"
  }
}

extension LayerWeights {
  /// The largest condition and the largest residual of the maps that were solved for; blank where there are none.
  fileprivate var worstAlignment: [String] {
    guard let condition = alignment.map(\.condition).max(), let residual = alignment.map(\.residual).max() else {
      return ["", ""]
    }
    return [fixed(condition, digits: 1), scientific(residual)]
  }
}
