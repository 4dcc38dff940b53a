/// A name from an untrusted file as it may stand in a message: short, and without characters that steer a terminal.
func excerpt(_ text: String, longest: Int = 200) -> String {
  var shown = String.UnicodeScalarView()
  for scalar in text.unicodeScalars.prefix(longest) {
    shown.append(scalar.properties.generalCategory == .control ? "\u{FFFD}" : scalar)
  }
  return String(shown) + (text.unicodeScalars.dropFirst(longest).isEmpty ? "" : "…")
}
