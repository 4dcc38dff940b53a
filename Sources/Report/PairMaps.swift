/// Heat maps of models × models: a small one for every layer, and the one that is picked with its numbers.
struct PairMaps {
  let layers: [String]
  /// `[layers, models, models]`.
  let similarity: [[[Double]]]

  private var models: Int { similarity.first?.count ?? 0 }
  /// The last block, where fine-tunes differ most; the head follows it.
  private var shown: Int { max(0, layers.count - 2) }

  var html: String {
    let head = (0..<models).map { "<th scope=\"col\">\(badge($0))</th>" }.joined()
    let rows = (0..<models).map { i in
      let cells = (0..<models).map { j in cell(i, j, value: similarity[shown][i][j]) }
      return "<tr><th scope=\"row\">\(badge(i))</th>\(cells.joined())</tr>"
    }
    return """
      <section aria-labelledby="pairs-title">
      <h2 id="pairs-title">Every pair of models</h2>
      <p>Each square is a layer, each of its fields the similarity of two models; pick a square to read its numbers.</p>
      <div class="pair">
      <div class="picked">
      <p class="picker" hidden><label for="layer">Layer</label>
      <input type="range" id="layer" min="0" max="\(layers.count - 1)" value="\(shown)"></p>
      <div class="scroll"><table class="heat" id="pairs">
      <caption>Similarity of each pair at <output id="layer-name" for="layer">\(layers[shown].escaped)</output></caption>
      <thead><tr><th></th>\(head)</tr></thead>
      <tbody>
      \(rows.joined(separator: "\n"))
      </tbody></table></div>
      \(HeatTable.legend(highest: 1))
      </div>
      <div class="tiles">
      \(layers.indices.map(tile).joined(separator: "\n"))
      </div>
      </div>
      <script type="application/json" id="pair-data">\(data)</script>
      </section>
      """
  }

  private func cell(_ i: Int, _ j: Int, value: Double) -> String {
    let place = i == j ? "" : " data-i=\"\(min(i, j))\" data-j=\"\(max(i, j))\""
    return "<td class=\"c\(HeatTable.step(value, of: 1))\"\(place)>\(fixed(value, digits: 3))</td>"
  }

  /// A small map: one path for all fields of one colour.
  private func tile(_ layer: Int) -> String {
    var fields = [String](repeating: "", count: HeatTable.steps)
    for i in 0..<models {
      for j in 0..<models { fields[HeatTable.step(similarity[layer][i][j], of: 1)] += "M\(j) \(i)h1v1h-1z" }
    }
    let paths = fields.enumerated().filter { !$0.element.isEmpty }.map { step, path in
      "<path class=\"c\(step)\" d=\"\(path)\"/>"
    }
    return """
      <button type="button" class="tile" data-layer="\(layer)" disabled\(layer == shown ? " aria-pressed=\"true\"" : "")>\
      <svg viewBox="0 0 \(models) \(models)" aria-hidden="true">\(paths.joined())</svg>\(layers[layer].escaped)</button>
      """
  }

  /// The numbers for the script: for each layer the rows above the diagonal.
  private var data: String {
    let rows = similarity.map { matrix in
      let values = (0..<models).map { i in
        "[\((i + 1..<max(models, i + 1)).map { fixed(matrix[i][$0], digits: 3) }.joined(separator: ","))]"
      }
      return "[\(values.joined(separator: ","))]"
    }
    return "[\(rows.joined(separator: ","))]"
  }
}
