import Foundation

extension String {
  /// The text as content or attribute of an HTML element: it cannot end what it stands in, start anything, or hide itself.
  var escaped: String {
    var result = ""
    for scalar in unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      case "\n", "\t": result += " "
      // Control characters are not allowed in HTML, and directional ones would reorder what follows.
      case _ where scalar.properties.generalCategory == .control: result += "\u{FFFD}"
      case "\u{202A}"..."\u{202E}", "\u{2066}"..."\u{2069}": result += "\u{FFFD}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}

/// A number with a fixed count of digits after the point.
func fixed(_ value: Double, digits: Int) -> String { String(format: "%.\(digits)f", value) }

/// A coordinate in a picture, to a tenth of a pixel.
func coordinate(_ value: Double) -> String {
  let tenths = Int((value * 10).rounded())
  return tenths.isMultiple(of: 10) ? "\(tenths / 10)" : fixed(Double(tenths) / 10, digits: 1)
}
