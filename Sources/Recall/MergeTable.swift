extension MergeReport {
  /// Models, samples and the decisions per layer as a table for people.
  public var table: String {
    let anchor = models.firstIndex(where: \.isAnchor)
    let labels = models.indices.map { "[\($0 + 1)]" }
    let names = zip(labels, models).map { label, model in
      "  \(label) \(model.path)\(model.isAnchor ? "  (anchor)" : "")"
    }
    let numbers = typicalSamples.compactMap { $0["index"]?.integer }.map(String.init).joined(separator: " ")
    let head = ["layer"] + labels.map { "S \($0)" } + labels.map { "w \($0)" }
    let rows = layers.map { layer in
      let similarities = layer.similarity.scores(anchor: anchor)
      return [layer.layer.name] + (similarities + layer.weights).map { fixed($0, digits: 4) }
    }
    return """
      models
      \(names.joined(separator: "\n"))
      typical samples (\(typicalSamples.count) of the pool, by number): \(numbers)

      similarity S \(anchor == nil ? "to the other models" : "to the anchor") and weight w of each model, layer by layer
      \(aligned([head] + rows))
      """
  }
}

/// Rows of cells as lines of equal columns: the first to the left, all others to the right.
public func aligned(_ rows: [[String]]) -> String {
  let columns = rows.map(\.count).max() ?? 0
  let widths = (0..<columns).map { column in rows.compactMap { column < $0.count ? $0[column].count : nil }.max() ?? 0 }
  return rows.map { row in
    row.enumerated().map { column, cell in
      let padding = String(repeating: " ", count: widths[column] - cell.count)
      return column == 0 ? cell + padding : padding + cell
    }
    .joined(separator: "  ")
  }
  .joined(separator: "\n")
}
