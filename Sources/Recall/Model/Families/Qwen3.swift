import Diagnostics

extension Family {
  /// Qwen 3: Llama whose queries and keys are normed head by head.
  static let qwen3 = Family("qwen3", "Qwen3ForCausalLM") { facts throws(Failure) in
    let parts = try LlamaParts(facts, headDimension: 128)
    let windows = try facts.qwenWindows(blocks: parts.blockCount)
    let hasBias = try facts.flag("attention_bias")
    return try parts.decoder { number, module in
      var attention = parts.attention(
        module, window: windows[number], hasInnerBias: hasBias, hasOutputBias: hasBias)
      attention.queryNorm = parts.norm("self_attn.q_norm", of: module, width: parts.heads.headDimension)
      attention.keyNorm = parts.norm("self_attn.k_norm", of: module, width: parts.heads.headDimension)
      return Block(attention: attention, feedForward: parts.feedForward(module))
    }
  }
}
