/// A family of decoder models, described as data: what its tensors are called and which optional parts its blocks have.
///
/// All families supported here are pre-norm decoders with rotary embeddings, grouped-query attention and a gated
/// feed-forward block; they differ in the parts listed below.
public struct Architecture: Sendable, Equatable {
  /// Where a projection's bias comes from.
  public enum Bias: Sendable, Equatable {
    /// The family has no such bias.
    case never
    /// The family always has it.
    case always
    /// A key of config.json says so.
    case configured(String)
  }

  /// `model_type` in config.json.
  public let modelType: String
  /// The class that `architectures` in config.json has to name.
  public let className: String
  /// The bias of the query, key and value projections.
  public let queryKeyValueBias: Bias
  /// The bias of the attention's output projection.
  public let attentionOutputBias: Bias
  /// The bias of the three feed-forward projections.
  public let feedForwardBias: Bias
  /// Whether queries and keys are normalised head by head before rotation.
  public let hasQueryKeyNorm: Bool
  /// Which key of config.json has to be true for `sliding_window` to count; `nil` where it always counts.
  public let slidingWindowSwitch: String?
  /// Whether the family knows `sliding_window` at all.
  public let hasSlidingWindow: Bool

  /// The elements of a head where neither config.json nor the width says it.
  public var defaultHeadDimension: Int? { modelType == "qwen3" ? 128 : nil }
  /// The window of families that have one, where config.json names none.
  public static let defaultSlidingWindow = 4096
  /// How many blocks see everything before the first with a window, where config.json does not say.
  public static let defaultFullLayers = 28

  /// The families that Recall runs, one entry each.
  public static let supported: [Architecture] = [
    Architecture(
      modelType: "llama", className: "LlamaForCausalLM", queryKeyValueBias: .configured("attention_bias"),
      attentionOutputBias: .configured("attention_bias"), feedForwardBias: .configured("mlp_bias"),
      hasQueryKeyNorm: false, slidingWindowSwitch: nil, hasSlidingWindow: false),
    Architecture(
      modelType: "mistral", className: "MistralForCausalLM", queryKeyValueBias: .never, attentionOutputBias: .never,
      feedForwardBias: .never, hasQueryKeyNorm: false, slidingWindowSwitch: nil, hasSlidingWindow: true),
    Architecture(
      modelType: "qwen2", className: "Qwen2ForCausalLM", queryKeyValueBias: .always, attentionOutputBias: .never,
      feedForwardBias: .never, hasQueryKeyNorm: false, slidingWindowSwitch: "use_sliding_window",
      hasSlidingWindow: true),
    Architecture(
      modelType: "qwen3", className: "Qwen3ForCausalLM", queryKeyValueBias: .configured("attention_bias"),
      attentionOutputBias: .configured("attention_bias"), feedForwardBias: .never, hasQueryKeyNorm: true,
      slidingWindowSwitch: "use_sliding_window", hasSlidingWindow: true),
  ]

  /// The tensor of token embeddings, `[vocabulary, d]`.
  public static let embedding = "model.embed_tokens.weight"
  /// The gain of the final norm, `[d]`.
  public static let finalNorm = "model.norm.weight"
  /// The output head, `[vocabulary, d]`; absent where it is tied to the embedding.
  public static let outputHead = "lm_head.weight"

  /// The full name of a tensor of a block.
  public static func name(of part: BlockPart, block: Int) -> String { "model.layers.\(block).\(part.rawValue)" }
}

/// The tensors of one block, by their names inside it.
public enum BlockPart: String, Sendable, CaseIterable {
  /// Gain of the norm before attention, `[d]`.
  case attentionNorm = "input_layernorm.weight"
  /// Query projection, `[queryHeads · headDimension, d]`.
  case query = "self_attn.q_proj.weight"
  /// Its bias.
  case queryBias = "self_attn.q_proj.bias"
  /// Key projection, `[keyValueHeads · headDimension, d]`.
  case key = "self_attn.k_proj.weight"
  /// Its bias.
  case keyBias = "self_attn.k_proj.bias"
  /// Value projection, `[keyValueHeads · headDimension, d]`.
  case value = "self_attn.v_proj.weight"
  /// Its bias.
  case valueBias = "self_attn.v_proj.bias"
  /// Gain of the norm of each query head, `[headDimension]`.
  case queryNorm = "self_attn.q_norm.weight"
  /// Gain of the norm of each key head, `[headDimension]`.
  case keyNorm = "self_attn.k_norm.weight"
  /// Output projection of attention, `[d, queryHeads · headDimension]`.
  case attentionOutput = "self_attn.o_proj.weight"
  /// Its bias.
  case attentionOutputBias = "self_attn.o_proj.bias"
  /// Gain of the norm before the feed-forward block, `[d]`.
  case feedForwardNorm = "post_attention_layernorm.weight"
  /// Gate projection, `[intermediate, d]`.
  case gate = "mlp.gate_proj.weight"
  /// Its bias.
  case gateBias = "mlp.gate_proj.bias"
  /// Up projection, `[intermediate, d]`.
  case up = "mlp.up_proj.weight"
  /// Its bias.
  case upBias = "mlp.up_proj.bias"
  /// Down projection, `[d, intermediate]`.
  case down = "mlp.down_proj.weight"
  /// Its bias.
  case downBias = "mlp.down_proj.bias"
}
