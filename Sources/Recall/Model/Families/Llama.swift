import Compute
import Diagnostics

extension Family {
  /// Llama 1 to 3 and what has its blocks.
  static let llama = Family("llama", "LlamaForCausalLM") { facts throws(Failure) in
    let parts = try LlamaParts(facts, impliesKeyValueHeads: true)
    let (attentionBias, feedForwardBias) = (try facts.flag("attention_bias"), try facts.flag("mlp_bias"))
    return try parts.decoder { _, module in
      Block(
        attention: parts.attention(module, hasInnerBias: attentionBias, hasOutputBias: attentionBias),
        feedForward: parts.feedForward(module, hasBias: feedForwardBias))
    }
  }
}

/// What Llama's models are made of: norms before both halves, rotary embeddings, a gated feed-forward half.
///
/// Other families keep most of it and alter the rest.
struct LlamaParts {
  private let facts: Facts
  private let vocabulary: Int
  private let hiddenUnits: Int
  private let activation: Activation
  /// The number of blocks.
  let blockCount: Int
  /// The width of the residual stream.
  let width: Int
  /// The heads; every token sees all before it.
  let heads: AttentionShape
  /// The ε of all norms.
  let epsilon: Float
  /// What all norms add to their stored gains.
  var normOffset: Float = 0
  /// How all blocks turn queries and keys.
  let rotary: RotaryEmbedding

  /// Reads what the parts need.
  ///
  /// - Parameters:
  ///   - facts: The configuration.
  ///   - headDimension: As for `Facts.heads`.
  ///   - impliesKeyValueHeads: As for `Facts.heads`.
  /// - Throws: `Failure` that names the key.
  init(_ facts: Facts, headDimension: Int? = nil, impliesKeyValueHeads: Bool = false) throws(Failure) {
    self.facts = facts
    width = try facts.size("hidden_size")
    blockCount = try facts.size("num_hidden_layers", atMost: ModelConfiguration.mostBlocks)
    heads = try facts.heads(
      width: width, headDimension: headDimension, impliesKeyValueHeads: impliesKeyValueHeads)
    hiddenUnits = try facts.size("intermediate_size")
    vocabulary = try facts.size("vocab_size")
    activation = try facts.activation("hidden_act")
    epsilon = Float(try facts.number("rms_norm_eps", default: 1e-6))
    rotary = try facts.rotary(dimension: heads.headDimension)
  }

  /// The whole, once the blocks are described by their numbers and modules.
  func decoder(_ block: (_ number: Int, _ module: Module) throws(Failure) -> Block) throws(Failure) -> Decoder {
    let stem = Stem(
      embedding: TensorSpec(name: "model.embed_tokens.weight", shape: [vocabulary, width]),
      finalNorm: norm("norm", of: Module(path: "model")),
      head: TensorSpec(name: "lm_head.weight", shape: [vocabulary, width]),
      tiesHead: try facts.flag("tie_word_embeddings"))
    return Decoder(
      stem: stem,
      blocks: try (0..<blockCount).map { number throws(Failure) in
        try block(number, Module(path: "model.layers.\(number)"))
      },
      maximumPositions: try facts.unnoted { facts throws(Failure) in try facts.size("max_position_embeddings") })
  }

  /// A norm of whole states, or of other widths.
  func norm(_ name: String, of module: Module, width: Int? = nil) -> Norm {
    module.norm(name, width: width ?? self.width, epsilon: epsilon, offset: normOffset)
  }

  /// The attention of a block, every token of which sees as far back as its window, or all before it.
  func attention(
    _ module: Module, window: Int? = nil, hasInnerBias: Bool = false, hasOutputBias: Bool = false
  ) -> AttentionHalf {
    var shape = heads
    shape.window = window
    let queryWidth = heads.queryHeads * heads.headDimension
    let keyValueWidth = heads.keyValueHeads * heads.headDimension
    func map(_ name: String, _ outputs: Int) -> LinearMap {
      module.map("self_attn.\(name)", inputs: width, outputs: outputs, hasBias: hasInnerBias)
    }
    return AttentionHalf(
      input: norm("input_layernorm", of: module), query: map("q_proj", queryWidth), key: map("k_proj", keyValueWidth),
      value: map("v_proj", keyValueWidth), rotary: rotary, shape: shape,
      output: module.map("self_attn.o_proj", inputs: queryWidth, outputs: width, hasBias: hasOutputBias))
  }

  /// The feed-forward half of a block.
  func feedForward(_ module: Module, hasBias: Bool = false) -> FeedForwardHalf {
    func map(_ name: String, _ inputs: Int, _ outputs: Int) -> LinearMap {
      module.map("mlp.\(name)", inputs: inputs, outputs: outputs, hasBias: hasBias)
    }
    return FeedForwardHalf(
      input: norm("post_attention_layernorm", of: module), gate: map("gate_proj", width, hiddenUnits),
      up: map("up_proj", width, hiddenUnits), activation: activation, down: map("down_proj", hiddenUnits, width))
  }
}
