import Compute
import Diagnostics
import JSON

/// Typed reads of one config.json, which keep in mind what was read, defaults included.
///
/// Where a fact has several names, the first that is there counts, and messages speak of the first of all.
final class Facts {
  /// What was read, in words.
  struct Fact: Sendable, Equatable {
    /// The key, or what several keys say together.
    let name: String
    /// What counts.
    let value: String
  }

  /// What was read and decides what a model computes, in the order of the reads.
  private(set) var read: [Fact] = []
  private let json: JSONValue
  private let path: String

  /// Prepares reads.
  ///
  /// - Parameters:
  ///   - json: The document.
  ///   - path: Where it came from, for errors.
  init(json: JSONValue, path: String) {
    self.json = json
    self.path = path
  }

  /// The error that names a key.
  func failure(_ key: String, expected: String, got: String, advice: String = "") -> Failure {
    Failure(
      .badData, operation: "read the model configuration", subject: path, expected: "\(key) to be \(expected)",
      got: got, advice: advice)
  }

  private func note<Value>(_ name: String, _ value: Value) -> Value {
    read.append(Fact(name: name, value: "\(value)"))
    return value
  }

  /// What a key says; `nil` where it is missing or null.
  func value(_ keys: String...) -> JSONValue? { value(keys) }

  private func value(_ keys: [String]) -> JSONValue? {
    for key in keys {
      if let value = json[key], !value.isNull { return value }
    }
    return nil
  }

  /// Whether a key is there and says null.
  func isNull(_ key: String) -> Bool { json[key]?.isNull == true }

  // MARK: Numbers and switches

  /// A positive whole number, such as a width; without a default it has to be there.
  func size(_ keys: String..., default fallback: Int? = nil, atMost limit: Int = 1 << 31) throws(Failure) -> Int {
    guard let value = value(keys) else {
      guard let fallback else { throw failure(keys[0], expected: "a positive whole number", got: "no such key") }
      return note(keys[0], fallback)
    }
    // Sizes beyond the limit overflow products long before they fit any memory.
    guard let number = value.integer, number > 0, number <= limit else {
      throw failure(keys[0], expected: "a positive whole number up to \(limit)", got: value.compact)
    }
    return note(keys[0], number)
  }

  /// A positive number; without a default it has to be there.
  func number(
    _ keys: String..., default fallback: Double? = nil, allowsZero: Bool = false
  ) throws(Failure) -> Double {
    guard let value = value(keys) else {
      guard let fallback else { throw failure(keys[0], expected: "a positive number", got: "no such key") }
      return note(keys[0], fallback)
    }
    guard let number = value.double, number < 1e15, number > 0 || allowsZero && number == 0 else {
      throw failure(keys[0], expected: "a positive number", got: value.compact)
    }
    return note(keys[0], number)
  }

  /// True or false.
  func flag(_ keys: String..., default fallback: Bool = false) throws(Failure) -> Bool {
    guard let value = value(keys) else { return note(keys[0], fallback) }
    guard let flag = value.bool else { throw failure(keys[0], expected: "true or false", got: value.compact) }
    return note(keys[0], flag)
  }

  // MARK: Parts of a block

  /// The feed-forward nonlinearity.
  func activation(_ keys: String..., default fallback: String = "silu") throws(Failure) -> Activation {
    let name = value(keys)?.string ?? fallback
    switch name {
    case "silu", "swish": return note(keys[0], .silu)
    case "gelu": return note(keys[0], .gelu)
    case "gelu_pytorch_tanh", "gelu_new": return note(keys[0], .geluTanh)
    default: throw failure(keys[0], expected: "silu, gelu or gelu_pytorch_tanh", got: "\"\(name)\"")
    }
  }

  /// The heads of attention, with products scaled by one over the root of a head's elements.
  ///
  /// - Parameters:
  ///   - width: The width of the residual stream.
  ///   - headDimension: The elements of a head where no key says it; `nil` for those of the width divided by the heads.
  ///   - impliesKeyValueHeads: Whether without the key every query head has a key and value head of its own; in other
  ///     families the default changed from release to release, so that the key has to be there, if only with null.
  /// - Returns: The attention of a block whose tokens see all before them.
  /// - Throws: `Failure` that names the key.
  func heads(
    width: Int, headDimension: Int? = nil, impliesKeyValueHeads: Bool = false
  ) throws(Failure) -> AttentionShape {
    let queryHeads = try size("num_attention_heads")
    let isImplied = impliesKeyValueHeads || isNull("num_key_value_heads")
    let keyValueHeads = try size("num_key_value_heads", default: isImplied ? queryHeads : nil)
    guard queryHeads.isMultiple(of: keyValueHeads) else {
      throw failure("num_key_value_heads", expected: "a divisor of \(queryHeads)", got: "\(keyValueHeads)")
    }
    let dimension = try size("head_dim", default: headDimension ?? width / queryHeads)
    guard dimension > 0, dimension.isMultiple(of: 2) else {
      throw failure("head_dim", expected: "an even number", got: "\(dimension)")
    }
    return AttentionShape(
      queryHeads: queryHeads, keyValueHeads: keyValueHeads, headDimension: dimension,
      scale: 1 / Float(dimension).squareRoot())
  }

  /// How positions become angles, in the vocabulary of any transformers release: `rope_theta` with `rope_scaling`, or
  /// `rope_parameters`.
  ///
  /// - Parameter dimension: The elements of a head that are turned.
  /// - Returns: The rotary embedding of all blocks.
  /// - Throws: `Failure` that names the key, for kinds that are not supported too.
  func rotary(dimension: Int) throws(Failure) -> RotaryEmbedding {
    // The newer vocabulary holds base and scaling in one object, the older one apart.
    let document = value("rope_scaling", "rope_parameters") ?? .object(JSONObject())
    guard let object = document.object, !object.members.contains(where: { $0.value.object != nil }) else {
      throw failure("rope_parameters", expected: "one set of parameters for all layers", got: document.compact)
    }
    // What is read here is one fact together.
    let (own, parameters) = (Facts(json: json, path: path), Facts(json: document, path: path))
    for facts in [own, parameters] where try facts.number("partial_rotary_factor", default: 1) != 1 {
      throw failure("partial_rotary_factor", expected: "1", got: facts.value("partial_rotary_factor")?.compact ?? "")
    }
    let base = try parameters.number("rope_theta", default: own.number("rope_theta", default: 10_000))
    let embedding = RotaryEmbedding(
      dimension: dimension, base: base, scaling: try parameters.rotaryScaling(positions: own))
    return note("rotary embedding", embedding)
  }

  private func rotaryScaling(positions: Facts) throws(Failure) -> RotaryEmbedding.Scaling {
    let spelled = value("rope_type", "type") ?? "default"
    let kind = spelled.string ?? spelled.compact
    switch kind {
    case "default": return .none
    case "linear": return .linear(factor: try number("factor"))
    case "llama3":
      return .llama3(
        factor: try number("factor"), lowFrequencyFactor: try number("low_freq_factor"),
        highFrequencyFactor: try number("high_freq_factor"),
        originalPositions: try number(
          "original_max_position_embeddings", default: positions.number("max_position_embeddings", default: 0)))
    default: throw failure("rope_type", expected: "default, linear or llama3", got: "\"\(kind)\"")
    }
  }

  // MARK: What may differ between models that are merged

  /// Reads what changes no parameter, so that it is nothing to tell models apart by.
  func unnoted<Value>(_ read: (Facts) throws(Failure) -> Value) throws(Failure) -> Value {
    try read(Facts(json: json, path: path))
  }

  /// How far back tokens of blocks with a window see; `nil` where no block has one.
  ///
  /// - Parameters:
  ///   - fallback: What counts where no key says it.
  ///   - key: The key that has to be true for windows to count; `nil` where they always count.
  /// - Returns: Tokens, itself included.
  /// - Throws: `Failure` that names the key.
  func window(default fallback: Int, onlyIf key: String? = nil) throws(Failure) -> Int? {
    try unnoted { facts throws(Failure) in
      if facts.isNull("sliding_window") { return nil }
      if let key, try !facts.flag(key) { return nil }
      return try facts.size("sliding_window", default: fallback)
    }
  }

  /// Which blocks have a window, by `layer_types`; `nil` without that key.
  func slides(blocks: Int) throws(Failure) -> [Bool]? {
    guard let types = value("layer_types")?.array else { return nil }
    guard types.count == blocks else {
      throw failure("layer_types", expected: "\(blocks) entries", got: "\(types.count)")
    }
    return try types.map { type throws(Failure) in
      switch type.string {
      case "sliding_attention": true
      case "full_attention": false
      default: throw failure("layer_types", expected: "sliding_attention or full_attention", got: type.compact)
      }
    }
  }
}
