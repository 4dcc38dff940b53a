import Diagnostics

extension Family {
  /// Mistral 7B: Llama without biases, whose tokens see only so far back.
  static let mistral = Family("mistral", "MistralForCausalLM") { facts throws(Failure) in
    let parts = try LlamaParts(facts)
    let window = try facts.window(default: 4096)
    return try parts.decoder { _, module in
      Block(attention: parts.attention(module, window: window), feedForward: parts.feedForward(module))
    }
  }
}
