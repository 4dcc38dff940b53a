/// Facts about the processor.
enum Processor {
  /// The processor's own name, such as `AMD EPYC 7763`.
  static var name: String {
    let lines = TextFile.lines(of: "/proc/cpuinfo")
    let line = lines.first { $0.hasPrefix("model name") || $0.hasPrefix("Model") }
    guard let line, let colon = line.firstIndex(of: ":") else { return "unknown processor" }
    return String(line[line.index(after: colon)...].drop { $0 == " " })
  }
}
