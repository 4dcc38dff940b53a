/// Curves over depth: one per model, told apart by colour, mark and number.
///
/// The picture comes twice, drawn for a wide and for a narrow window, because text in a scaled picture would not stay
/// readable; the style sheet shows one of them.
struct DepthChart {
  /// How many colours and marks there are; more models share them, with dashed curves.
  static let colours = 8

  let id: String
  let title: String
  let layers: [String]
  /// `[models, layers]`.
  let series: [[Double]]
  /// The largest value to be shown.
  let highest: Double
  /// A curve to compare the others with, and what it is.
  let reference: (values: [Double], name: String)?

  var html: String {
    """
    <figure class="chart">
    \(picture(Frame(width: 620, height: 400), isWide: true))
    \(picture(Frame(width: 358, height: 300), isWide: false))
    <figcaption>\(title.escaped)</figcaption>
    </figure>
    """
  }

  /// Where the curves go in a picture.
  private struct Frame {
    let width: Double
    let height: Double
    let left = 40.0
    let right = 34.0
    let top = 12.0
    let bottom = 34.0

    func x(_ layer: Int, of count: Int) -> Double {
      left + (width - left - right) * (count > 1 ? Double(layer) / Double(count - 1) : 0.5)
    }

    func y(_ value: Double, of highest: Double) -> Double {
      height - bottom - (height - top - bottom) * max(0, min(1, value / highest))
    }
  }

  /// The end of the vertical axis: the next round number above the largest value.
  private var limit: Double {
    let steps = [0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 5, 10]
    return steps.first { $0 >= highest } ?? highest
  }

  private func picture(_ frame: Frame, isWide: Bool) -> String {
    let name = "\(id)-\(isWide ? "wide" : "narrow")"
    return """
      <svg class="\(isWide ? "wide" : "narrow")" viewBox="0 0 \(coordinate(frame.width)) \(coordinate(frame.height))" \
      role="img" aria-labelledby="\(name)-title \(name)-text">
      <title id="\(name)-title">\(title.escaped)</title>
      <desc id="\(name)-text">\(description.escaped)</desc>
      \(axes(frame))
      \(reference.map { curve($0.values, frame, style: "reference") } ?? "")
      \(series.indices.map { model($0, frame) }.joined(separator: "\n"))
      \(labels(frame))
      \(isWide ? probes(frame) : "")
      </svg>
      """
  }

  /// What the picture shows, for those who do not see it; the table beside it has the numbers.
  private var description: String {
    let curves = series.enumerated().compactMap { model, values in
      values.first.map { "model \(model + 1) from \(fixed($0, digits: 3)) to \(fixed(values.last ?? 0, digits: 3))" }
    }
    return
      "From \(layers.first ?? "") to \(layers.last ?? ""): \(curves.joined(separator: ", ")). The table has all numbers."
  }

  private func axes(_ frame: Frame) -> String {
    let values = (0...4).map { limit * Double($0) / 4 }
    let rules = values.map { value in
      let y = coordinate(frame.y(value, of: limit))
      return """
        <path class="rule" d="M\(coordinate(frame.left)) \(y)H\(coordinate(frame.width - frame.right))"/>\
        <text class="axis" x="\(coordinate(frame.left - 6))" y="\(y)" dy=".35em" text-anchor="end">\
        \(fixed(value, digits: 2))</text>
        """
    }
    let ticks = tickLayers(frame).map { layer in
      """
      <text class="axis" x="\(coordinate(frame.x(layer, of: layers.count)))" y="\(coordinate(frame.height - 14))" \
      text-anchor="\(layer == 0 ? "start" : layer == layers.count - 1 ? "end" : "middle")">\
      \(tickName(layers[layer]).escaped)</text>
      """
    }
    return (rules + ticks).joined(separator: "\n")
  }

  /// The first and the last layer, and at most six between them at equal distances.
  private func tickLayers(_ frame: Frame) -> [Int] {
    let last = layers.count - 1
    guard last > 1 else { return Array(layers.indices) }
    let step = [1, 2, 5, 10, 20, 50, 100].first { (last - 1) / $0 <= 6 } ?? last
    // What would run into the names of the ends is left out.
    let room = frame.x(0, of: layers.count) + 76...frame.x(last, of: layers.count) - 40
    // Block b is layer b + 1.
    let between = stride(from: step, to: last - 1, by: step).map { $0 + 1 }
    return [0] + between.filter { room.contains(frame.x($0, of: layers.count)) } + [last]
  }

  private func tickName(_ layer: String) -> String {
    layer.hasPrefix("block.") ? String(layer.dropFirst("block.".count)) : layer
  }

  private func model(_ model: Int, _ frame: Frame) -> String {
    let isDashed = model >= DepthChart.colours
    let style = "m\(model % DepthChart.colours)"
    return curve(series[model], frame, style: "\(style)\(isDashed ? " dashed" : "")")
      + "<path class=\"mark \(style)\" d=\"\(marks(model, frame))\"/>"
  }

  private func curve(_ values: [Double], _ frame: Frame, style: String) -> String {
    let points = values.enumerated().map { layer, value in
      "\(coordinate(frame.x(layer, of: layers.count))) \(coordinate(frame.y(value, of: limit)))"
    }
    return "<path class=\"curve \(style)\" d=\"M\(points.joined(separator: "L"))\"/>"
  }

  /// At most nine marks on a curve, at other layers than its neighbours' where there are enough.
  private func marks(_ model: Int, _ frame: Frame) -> String {
    let step = max(1, layers.count / 8)
    return stride(from: model % step, to: layers.count, by: step).map { layer in
      mark(model % DepthChart.colours, x: frame.x(layer, of: layers.count), y: frame.y(series[model][layer], of: limit))
    }.joined()
  }

  /// The outline of a mark: disc, square, diamond, triangles, cross, bar and star-like plus, four pixels around a point.
  private func mark(_ shape: Int, x: Double, y: Double) -> String {
    let r = 4.0
    func polygon(_ points: [(Double, Double)]) -> String {
      "M" + points.map { "\(coordinate(x + $0.0)) \(coordinate(y + $0.1))" }.joined(separator: "L") + "z"
    }
    switch shape {
    case 0:
      let start = "M\(coordinate(x - r)) \(coordinate(y))"
      return start + "a4 4 0 1 0 8 0a4 4 0 1 0-8 0z"
    case 1: return polygon([(-r, -r), (r, -r), (r, r), (-r, r)])
    case 2: return polygon([(0, -r - 1.5), (r + 1.5, 0), (0, r + 1.5), (-r - 1.5, 0)])
    case 3: return polygon([(0, -r - 1), (r + 1, r), (-r - 1, r)])
    case 4: return polygon([(0, r + 1), (r + 1, -r), (-r - 1, -r)])
    case 5: return polygon([(-r, -1.5), (r, -1.5), (r, 1.5), (-r, 1.5)])
    case 6: return polygon([(-1.5, -r), (1.5, -r), (1.5, r), (-1.5, r)])
    default:
      return polygon([
        (-1.5, -r), (1.5, -r), (1.5, -1.5), (r, -1.5), (r, 1.5), (1.5, 1.5), (1.5, r), (-1.5, r), (-1.5, 1.5),
        (-r, 1.5), (-r, -1.5), (-1.5, -1.5),
      ])
    }
  }

  /// The number of each model at the end of its curve, moved apart where curves end together.
  private func labels(_ frame: Frame) -> String {
    let room = 13.0
    var ends = series.enumerated().map { model, values in
      (model: model, end: frame.y(values.last ?? 0, of: limit), place: 0.0)
    }
    ends.sort { $0.end < $1.end }
    var next = frame.top
    for index in ends.indices {
      ends[index].place = max(ends[index].end, next)
      next = ends[index].place + room
    }
    var lowest = frame.height - frame.bottom + 6
    for index in ends.indices.reversed() {
      ends[index].place = min(ends[index].place, lowest)
      lowest = ends[index].place - room
    }
    let x = frame.width - frame.right
    return ends.map { label in
      let style = "m\(label.model % DepthChart.colours)"
      return """
        <path class="leader \(style)" d="M\(coordinate(x + 2)) \(coordinate(label.end))\
        L\(coordinate(x + 12)) \(coordinate(label.place))"/>\
        <text class="label \(style)" x="\(coordinate(x + 15))" y="\(coordinate(label.place))" dy=".35em">\
        \(label.model + 1)</text>
        """
    }.joined(separator: "\n")
  }

  /// A strip per layer that shows a rule and all numbers of the layer under the pointer.
  private func probes(_ frame: Frame) -> String {
    let width = (frame.width - frame.left - frame.right) / Double(max(layers.count - 1, 1))
    return layers.indices.map { layer in
      let x = frame.x(layer, of: layers.count)
      let numbers = series.enumerated().map { "[\($0.offset + 1)] \(fixed($0.element[layer], digits: 3))" }
      return """
        <g class="probe"><rect x="\(coordinate(x - width / 2))" y="\(coordinate(frame.top))" \
        width="\(coordinate(width))" height="\(coordinate(frame.height - frame.top - frame.bottom))"/>\
        <path d="M\(coordinate(x)) \(coordinate(frame.top))V\(coordinate(frame.height - frame.bottom))"/>\
        <title>\(layers[layer].escaped): \(numbers.joined(separator: "  "))</title></g>
        """
    }.joined(separator: "\n")
  }
}
