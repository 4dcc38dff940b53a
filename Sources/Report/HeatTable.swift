/// A heat map that is its own table: layers × models, every cell coloured by its number.
struct HeatTable {
  /// The steps of the colour scale, from 0 to `highest`.
  static let steps = 11

  let caption: String
  let layers: [String]
  /// `[layers, models]`.
  let values: [[Double]]
  /// The value of the last colour.
  let highest: Double

  /// The step of the colour scale that a value has.
  static func step(_ value: Double, of highest: Double) -> Int {
    guard highest > 0, value.isFinite else { return 0 }
    return max(0, min(steps - 1, Int((value / highest * Double(steps - 1)).rounded())))
  }

  var html: String {
    let models = values.first?.count ?? 0
    let head = (0..<models).map { "<th scope=\"col\">\(badge($0))</th>" }.joined()
    let rows = zip(layers, values).map { layer, values in
      let cells = values.map { value in
        "<td class=\"c\(HeatTable.step(value, of: highest))\">\(fixed(value, digits: 3))</td>"
      }
      return "<tr><th scope=\"row\">\(layer.escaped)</th>\(cells.joined())</tr>"
    }
    return """
      <div class="heatmap">
      <div class="scroll"><table class="heat">
      <caption>\(caption.escaped)</caption>
      <thead><tr><th scope="col">layer</th>\(head)</tr></thead>
      <tbody>
      \(rows.joined(separator: "\n"))
      </tbody></table></div>
      \(HeatTable.legend(highest: highest))
      </div>
      """
  }

  /// The colour scale with its ends.
  static func legend(highest: Double) -> String {
    let swatches = (0..<steps).map { "<i class=\"c\($0)\"></i>" }.joined()
    let end = highest == 1 ? "1" : fixed(highest, digits: 3)
    return
      "<p class=\"legend\"><span>0</span><span class=\"scale\" aria-hidden=\"true\">\(swatches)</span><span>\(end)</span></p>"
  }
}
