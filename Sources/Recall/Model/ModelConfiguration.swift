import Compute
import Diagnostics
import JSON

/// What config.json says about a decoder's shape and arithmetic.
public struct ModelConfiguration: Sendable, Equatable {
  /// The family.
  public var architecture: Architecture
  /// d, the width of the residual stream.
  public var hiddenSize: Int
  /// The number of blocks.
  public var blockCount: Int
  /// The number of query heads.
  public var queryHeads: Int
  /// The number of key and value heads.
  public var keyValueHeads: Int
  /// The elements of one head.
  public var headDimension: Int
  /// The width of the feed-forward block.
  public var intermediateSize: Int
  /// The number of token identifiers.
  public var vocabularySize: Int
  /// The longest text that the model was made for, in tokens.
  public var maximumPositions: Int
  /// What RMS norms add to the mean square.
  public var normEpsilon: Float
  /// The feed-forward nonlinearity.
  public var activation: Activation
  /// How positions become rotation angles.
  public var rotary: RotaryEmbedding
  /// The window of each block's attention in tokens, `nil` for all tokens before.
  public var windows: [Int?]
  /// Whether query, key and value projections have a bias.
  public var hasQueryKeyValueBias: Bool
  /// Whether the attention's output projection has a bias.
  public var hasAttentionOutputBias: Bool
  /// Whether the feed-forward projections have a bias.
  public var hasFeedForwardBias: Bool
  /// Whether the output head is the embedding.
  public var tiesHead: Bool

  /// Reads config.json, in the vocabulary of any transformers release: `rope_theta` with `rope_scaling`, or
  /// `rope_parameters`; `head_dim` given or derived.
  ///
  /// - Parameters:
  ///   - json: The document.
  ///   - path: Where it came from, for errors.
  /// - Throws: `Failure` of category `badData` that names the key.
  public init(json: JSONValue, path: String) throws(Failure) {
    let keys = ConfigurationKeys(json: json, path: path)
    architecture = try keys.architecture()
    hiddenSize = try keys.positive("hidden_size")
    blockCount = try keys.positive("num_hidden_layers", atMost: 100_000)
    queryHeads = try keys.positive("num_attention_heads")
    keyValueHeads = try keys.keyValueHeads(architecture: architecture, queryHeads: queryHeads)
    guard queryHeads.isMultiple(of: keyValueHeads) else {
      throw keys.failure("num_key_value_heads", expected: "a divisor of \(queryHeads)", got: "\(keyValueHeads)")
    }
    headDimension = try keys.positive(
      "head_dim", default: architecture.defaultHeadDimension ?? hiddenSize / queryHeads)
    guard headDimension > 0, headDimension.isMultiple(of: 2) else {
      throw keys.failure("head_dim", expected: "an even number", got: "\(headDimension)")
    }
    intermediateSize = try keys.positive("intermediate_size")
    vocabularySize = try keys.positive("vocab_size")
    maximumPositions = try keys.positive("max_position_embeddings")
    normEpsilon = Float(try keys.number("rms_norm_eps", default: 1e-6))
    activation = try keys.activation()
    rotary = try keys.rotary(headDimension: headDimension)
    windows = try keys.windows(architecture: architecture, blocks: blockCount)
    hasQueryKeyValueBias = try keys.bias(architecture.queryKeyValueBias)
    hasAttentionOutputBias = try keys.bias(architecture.attentionOutputBias)
    hasFeedForwardBias = try keys.bias(architecture.feedForwardBias)
    tiesHead = try keys.bool("tie_word_embeddings", default: false)
  }

  /// The shape of every tensor that the forward pass needs, by name, in the order of the pass.
  public var requiredTensors: [(name: String, shape: [Int])] {
    var tensors = [(Architecture.embedding, [vocabularySize, hiddenSize])]
    for block in 0..<blockCount {
      for part in blockParts { tensors.append((Architecture.name(of: part, block: block), shape(of: part))) }
    }
    tensors.append((Architecture.finalNorm, [hiddenSize]))
    if !tiesHead { tensors.append((Architecture.outputHead, [vocabularySize, hiddenSize])) }
    return tensors
  }

  /// The tensors that each block of this model has.
  public var blockParts: [BlockPart] {
    BlockPart.allCases.filter { part in
      switch part {
      case .queryBias, .keyBias, .valueBias: hasQueryKeyValueBias
      case .attentionOutputBias: hasAttentionOutputBias
      case .gateBias, .upBias, .downBias: hasFeedForwardBias
      case .queryNorm, .keyNorm: architecture.hasQueryKeyNorm
      default: true
      }
    }
  }

  /// The shape of a block's tensor.
  public func shape(of part: BlockPart) -> [Int] {
    let queryWidth = queryHeads * headDimension
    let keyValueWidth = keyValueHeads * headDimension
    return switch part {
    case .attentionNorm, .feedForwardNorm, .attentionOutputBias, .downBias: [hiddenSize]
    case .query: [queryWidth, hiddenSize]
    case .queryBias: [queryWidth]
    case .key, .value: [keyValueWidth, hiddenSize]
    case .keyBias, .valueBias: [keyValueWidth]
    case .queryNorm, .keyNorm: [headDimension]
    case .attentionOutput: [hiddenSize, queryWidth]
    case .gate, .up: [intermediateSize, hiddenSize]
    case .gateBias, .upBias: [intermediateSize]
    case .down: [hiddenSize, intermediateSize]
    }
  }

  /// The attention of one block.
  public func attention(block: Int) -> AttentionShape {
    AttentionShape(
      queryHeads: queryHeads, keyValueHeads: keyValueHeads, headDimension: headDimension,
      scale: 1 / Float(headDimension).squareRoot(), window: windows[block])
  }

  /// What makes two configurations different models, in words; `nil` when their parameters can be merged.
  ///
  /// Windows and the longest text may differ: they change no parameter, and every model runs with its own.
  public func difference(from other: ModelConfiguration) -> String? {
    let facts: [(String, String, String)] = [
      ("model_type", architecture.modelType, other.architecture.modelType),
      ("hidden_size", "\(hiddenSize)", "\(other.hiddenSize)"),
      ("num_hidden_layers", "\(blockCount)", "\(other.blockCount)"),
      ("num_attention_heads", "\(queryHeads)", "\(other.queryHeads)"),
      ("num_key_value_heads", "\(keyValueHeads)", "\(other.keyValueHeads)"),
      ("head_dim", "\(headDimension)", "\(other.headDimension)"),
      ("intermediate_size", "\(intermediateSize)", "\(other.intermediateSize)"),
      ("vocab_size", "\(vocabularySize)", "\(other.vocabularySize)"),
      ("hidden_act", activation.rawValue, other.activation.rawValue),
      ("rms_norm_eps", "\(normEpsilon)", "\(other.normEpsilon)"),
      ("rotary embedding", "\(rotary)", "\(other.rotary)"),
      ("attention bias", "\(hasQueryKeyValueBias)", "\(other.hasQueryKeyValueBias)"),
      ("attention output bias", "\(hasAttentionOutputBias)", "\(other.hasAttentionOutputBias)"),
      ("mlp_bias", "\(hasFeedForwardBias)", "\(other.hasFeedForwardBias)"),
      ("tie_word_embeddings", "\(tiesHead)", "\(other.tiesHead)"),
    ]
    return facts.first { $0.1 != $0.2 }.map { "\($0.0) \($0.1) against \($0.2)" }
  }
}

/// Typed access to the keys of one config.json.
private struct ConfigurationKeys {
  let json: JSONValue
  let path: String

  func failure(_ key: String, expected: String, got: String, advice: String = "") -> Failure {
    Failure(
      .badData, operation: "read the model configuration", subject: path, expected: "\(key) to be \(expected)",
      got: got, advice: advice)
  }

  func architecture() throws(Failure) -> Architecture {
    let names = Architecture.supported.map(\.modelType).joined(separator: ", ")
    guard let modelType = json["model_type"]?.string else {
      throw failure("model_type", expected: "one of \(names)", got: json["model_type"]?.kind ?? "no such key")
    }
    guard let architecture = Architecture.supported.first(where: { $0.modelType == modelType }) else {
      throw failure("model_type", expected: "one of \(names)", got: "\"\(modelType)\"")
    }
    if let classes = json["architectures"]?.array?.compactMap(\.string), !classes.contains(architecture.className) {
      throw failure("architectures", expected: architecture.className, got: classes.joined(separator: ", "))
    }
    if let quantization = json["quantization_config"], !quantization.isNull {
      throw failure(
        "quantization_config", expected: "absent", got: "a quantised model",
        advice: "Merge the model in its original precision and quantise the result.")
    }
    return architecture
  }

  func value(_ key: String) -> JSONValue? { json[key].flatMap { $0.isNull ? nil : $0 } }

  func positive(_ key: String, default fallback: Int? = nil, atMost limit: Int = 1 << 31) throws(Failure) -> Int {
    guard let value = value(key) else {
      guard let fallback else { throw failure(key, expected: "a positive whole number", got: "no such key") }
      return fallback
    }
    // Sizes beyond the limit overflow products long before they fit any memory.
    guard let number = value.integer, number > 0, number <= limit else {
      throw failure(key, expected: "a positive whole number up to \(limit)", got: value.compact)
    }
    return number
  }

  /// Without the key only Llama has a head of keys and values per query head; others differ from release to release.
  func keyValueHeads(architecture: Architecture, queryHeads: Int) throws(Failure) -> Int {
    let isImplied = architecture.modelType == "llama" || json["num_key_value_heads"]?.isNull == true
    return try positive("num_key_value_heads", default: isImplied ? queryHeads : nil)
  }

  func number(_ key: String, default fallback: Double, allowsZero: Bool = false) throws(Failure) -> Double {
    guard let value = value(key) else { return fallback }
    guard let number = value.double, number < 1e15, number > 0 || allowsZero && number == 0 else {
      throw failure(key, expected: "a positive number", got: value.compact)
    }
    return number
  }

  func bool(_ key: String, default fallback: Bool) throws(Failure) -> Bool {
    guard let value = value(key) else { return fallback }
    guard let bool = value.bool else { throw failure(key, expected: "true or false", got: value.compact) }
    return bool
  }

  func bias(_ bias: Architecture.Bias) throws(Failure) -> Bool {
    switch bias {
    case .never: false
    case .always: true
    case .configured(let key): try bool(key, default: false)
    }
  }

  func activation() throws(Failure) -> Activation {
    let name = value("hidden_act")?.string ?? "silu"
    switch name {
    case "silu", "swish": return .silu
    case "gelu": return .gelu
    case "gelu_pytorch_tanh", "gelu_new": return .geluTanh
    default: throw failure("hidden_act", expected: "silu, gelu or gelu_pytorch_tanh", got: "\"\(name)\"")
    }
  }

  func rotary(headDimension: Int) throws(Failure) -> RotaryEmbedding {
    // The newer vocabulary holds base and scaling in one object, the older one apart.
    let document = value("rope_scaling") ?? value("rope_parameters") ?? .object(JSONObject())
    guard let object = document.object, !object.members.contains(where: { $0.value.object != nil }) else {
      throw failure("rope_parameters", expected: "one set of parameters for all layers", got: document.compact)
    }
    let parameters = ConfigurationKeys(json: document, path: path)
    for keys in [self, parameters] where try keys.number("partial_rotary_factor", default: 1) != 1 {
      throw failure("partial_rotary_factor", expected: "1", got: keys.value("partial_rotary_factor")?.compact ?? "")
    }
    let base = try parameters.number("rope_theta", default: number("rope_theta", default: 10_000))
    let spelled = parameters.value("rope_type") ?? parameters.value("type") ?? "default"
    let kind = spelled.string ?? spelled.compact
    let scaling: RotaryEmbedding.Scaling
    switch kind {
    case "default": scaling = .none
    case "linear": scaling = .linear(factor: try parameters.required("factor"))
    case "llama3":
      scaling = .llama3(
        factor: try parameters.required("factor"), lowFrequencyFactor: try parameters.required("low_freq_factor"),
        highFrequencyFactor: try parameters.required("high_freq_factor"),
        originalPositions: try parameters.number(
          "original_max_position_embeddings", default: number("max_position_embeddings", default: 0)))
    default: throw failure("rope_type", expected: "default, linear or llama3", got: "\"\(kind)\"")
    }
    return RotaryEmbedding(headDimension: headDimension, base: base, scaling: scaling)
  }

  func required(_ key: String) throws(Failure) -> Double {
    guard value(key) != nil else { throw failure(key, expected: "a positive number", got: "no such key") }
    return try number(key, default: 0)
  }

  func windows(architecture: Architecture, blocks: Int) throws(Failure) -> [Int?] {
    let everywhere = [Int?](repeating: nil, count: blocks)
    guard architecture.hasSlidingWindow, json["sliding_window"]?.isNull != true else { return everywhere }
    if let key = architecture.slidingWindowSwitch, try !bool(key, default: false) { return everywhere }
    let window = try positive("sliding_window", default: Architecture.defaultSlidingWindow)
    if architecture.slidingWindowSwitch != nil, let types = value("layer_types")?.array {
      guard types.count == blocks else {
        throw failure("layer_types", expected: "\(blocks) entries", got: "\(types.count)")
      }
      return try types.map { type throws(Failure) in
        switch type.string {
        case "sliding_attention": window
        case "full_attention": nil
        default: throw failure("layer_types", expected: "sliding_attention or full_attention", got: type.compact)
        }
      }
    }
    // Where only deeper blocks slide, the count of full ones before them is this key.
    let full =
      architecture.slidingWindowSwitch == nil
      ? 0 : Int(try number("max_window_layers", default: Double(Architecture.defaultFullLayers), allowsZero: true))
    return (0..<blocks).map { $0 >= full ? window : nil }
  }
}
