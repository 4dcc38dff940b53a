import Diagnostics

extension Family {
  /// Qwen 1.5 to 2.5: Llama with biases of queries, keys and values.
  static let qwen2 = Family("qwen2", "Qwen2ForCausalLM") { facts throws(Failure) in
    let parts = try LlamaParts(facts)
    let windows = try facts.qwenWindows(blocks: parts.blockCount)
    return try parts.decoder { number, module in
      Block(
        attention: parts.attention(module, window: windows[number], hasInnerBias: true),
        feedForward: parts.feedForward(module))
    }
  }
}

extension Facts {
  /// How far back tokens of every block see, where windows are switched on: by `layer_types`, or in all blocks from
  /// `max_window_layers` on.
  func qwenWindows(blocks: Int) throws(Failure) -> [Int?] {
    let everywhere = [Int?](repeating: nil, count: blocks)
    guard let window = try window(default: 4096, onlyIf: "use_sliding_window") else { return everywhere }
    if let slides = try slides(blocks: blocks) { return slides.map { $0 ? window : nil } }
    let full = try unnoted { facts throws(Failure) in
      try facts.number("max_window_layers", default: 28, allowsZero: true)
    }
    return (0..<blocks).map { $0 >= Int(full) ? window : nil }
  }
}
