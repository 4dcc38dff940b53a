import Checkpoint
import Diagnostics
import Foundation
import JSON

/// What adapter_config.json says about a LoRA adapter, by PEFT's rules.
struct AdapterConfiguration: Sendable {
  /// The name of the file.
  static let fileName = "adapter_config.json"

  /// The model that the adapter was trained on, as it was called then.
  let baseName: String?
  /// Whether a head that is tied to the embedding stays so when one of them was trained whole.
  let tiesSavedWeights: Bool

  private let path: String
  private let rank: Int
  private let alpha: Double
  private let takesRootOfRank: Bool
  private let ranks: [(pattern: NSRegularExpression, value: Double)]
  private let alphas: [(pattern: NSRegularExpression, value: Double)]
  private let targets: Targets
  private let exclusions: Targets?
  private let saved: [NSRegularExpression]
  private let blocks: Set<Int>?
  private let blockPatterns: [NSRegularExpression]

  /// A choice of modules: one pattern for the whole name, or names and ends of names.
  private enum Targets {
    case pattern(NSRegularExpression)
    case names([String])
  }

  /// Keys whose presence changes what the tensors mean, in ways that no product of two factors expresses.
  private static let unsupported = [
    ("use_dora", "DoRA"), ("use_qalora", "QA-LoRA"), ("use_bdlora", "block-diagonal LoRA"),
    ("lora_bias", "LoRA biases"),
    ("alora_invocation_tokens", "activated LoRA"), ("target_parameters", "LoRA on bare parameters"),
    ("trainable_token_indices", "trainable tokens"), ("layer_replication", "replicated layers"),
    ("megatron_config", "Megatron layers"), ("arrow_config", "Arrow routing"), ("kasa_config", "KaSA"),
    ("monteclora_config", "MonteCLoRA"), ("velora_config", "VeLoRA"),
  ]
  /// Starts that leave the base as it is; others take something out of it, so that the factors fit no base on disk.
  private static let starts = ["true", "false", "null", "\"gaussian\"", "\"eva\"", "\"orthogonal\""]

  /// Reads the file.
  ///
  /// - Throws: `Failure` of category `badData` that names the key, and the kind of adapter that is not supported.
  init(path: String) throws(Failure) {
    let json = try JSONValue(parsing: readFile(path), from: path, operation: "read the adapter")
    let keys = AdapterKeys(json: json, path: path)
    self.path = path
    guard json["peft_type"]?.string == "LORA" else {
      throw keys.failure("peft_type", expected: "LORA", got: json["peft_type"]?.compact ?? "none")
    }
    for (key, kind) in AdapterConfiguration.unsupported where keys.isSet(key) {
      throw keys.failure(
        key, expected: "absent or false", got: kind,
        advice: "This kind of adapter is not supported; merge it into its base with PEFT and give the result.")
    }
    let start = json["init_lora_weights"]?.compact ?? "true"
    guard AdapterConfiguration.starts.contains(start) else {
      throw keys.failure(
        "init_lora_weights", expected: "a start that leaves the base as it is", got: start,
        advice: "Convert the adapter with PEFT's path_initial_model_for_weight_conversion, or merge it with PEFT.")
    }
    baseName = json["base_model_name_or_path"]?.string.flatMap { $0.isEmpty ? nil : $0 }
    tiesSavedWeights = json["ensure_weight_tying"]?.bool ?? false
    rank = try keys.rank("r")
    alpha = try keys.number("lora_alpha")
    takesRootOfRank = json["use_rslora"]?.bool ?? false
    ranks = try keys.patterns("rank_pattern")
    alphas = try keys.patterns("alpha_pattern")
    guard let chosen = try AdapterConfiguration.targets(keys, "target_modules") else {
      throw keys.failure("target_modules", expected: "names or a pattern", got: "none")
    }
    targets = chosen
    exclusions = try AdapterConfiguration.targets(keys, "exclude_modules")
    saved = try keys.names("modules_to_save").map { name throws(Failure) in
      try keys.expression("(^|.*\\.)\(name)($|\\..*)", key: "modules_to_save")
    }
    let layers = json["layers_to_transform"]
    let numbers = layers?.integer.map { [$0] } ?? layers?.array?.compactMap(\.integer) ?? []
    blocks = numbers.isEmpty ? nil : Set(numbers)
    let patterns = json["layers_pattern"]?.string.map { [$0] } ?? keys.names("layers_pattern")
    blockPatterns = try
      (patterns.filter { !$0.isEmpty }.isEmpty ? [".*?\\.[^.]*"] : patterns.map { "(?:|.*?\\.)\($0)" })
      .map { pattern throws(Failure) in try keys.expression("\(pattern)\\.(\\d+)\\..*", key: "layers_pattern") }
  }

  private static func targets(_ keys: AdapterKeys, _ key: String) throws(Failure) -> Targets? {
    if let pattern = keys.json[key]?.string {
      guard pattern.lowercased() != "all-linear" else {
        throw keys.failure(
          key, expected: "the modules by name", got: pattern, advice: "Save the adapter again with PEFT.")
      }
      return .pattern(try keys.expression(pattern, key: key))
    }
    let names = keys.names(key)
    return names.isEmpty ? nil : .names(names)
  }

  /// Whether a module, such as `model.layers.0.self_attn.q_proj`, has factors.
  func isTarget(_ module: String) -> Bool {
    if let exclusions, contains(exclusions, module) { return false }
    if saved.contains(where: { $0.matchesWhole(module) }) { return false }
    guard contains(targets, module) else { return false }
    // A pattern says itself which blocks it means.
    guard case .names(let names) = targets, !names.contains(module), let blocks else { return true }
    let number = blockPatterns.lazy.compactMap { $0.firstGroup(ofWhole: module) }.first.flatMap { Int($0) }
    return number.map(blocks.contains) ?? false
  }

  private func contains(_ targets: Targets, _ module: String) -> Bool {
    switch targets {
    case .pattern(let pattern): pattern.matchesWhole(module)
    case .names(let names): names.contains { module == $0 || module.hasSuffix(".\($0)") }
    }
  }

  /// How many columns the factors of a module have.
  func rank(of module: String) -> Int { Int(value(ranks, module) ?? Double(rank)) }

  /// s, what the product of the factors of a module is multiplied by: α / r, or α / √r.
  func scale(of module: String) -> Double {
    let rank = Double(rank(of: module))
    return (value(alphas, module) ?? alpha) / (takesRootOfRank ? rank.squareRoot() : rank)
  }

  private func value(_ patterns: [(pattern: NSRegularExpression, value: Double)], _ module: String) -> Double? {
    patterns.first { $0.pattern.matchesWhole(module) }?.value
  }
}

/// Typed access to the keys of one adapter_config.json.
private struct AdapterKeys {
  let json: JSONValue
  let path: String

  func failure(_ key: String, expected: String, got: String, advice: String = "") -> Failure {
    Failure(
      .badData, operation: "read the adapter", subject: path, expected: "\(key) to be \(expected)", got: got,
      advice: advice)
  }

  /// Whether a key says more than nothing.
  func isSet(_ key: String) -> Bool {
    guard let value = json[key], !value.isNull, value.bool != false else { return false }
    return value.array?.isEmpty != true && value.object?.members.isEmpty != true
  }

  func rank(_ key: String) throws(Failure) -> Int {
    guard let rank = json[key]?.integer, rank > 0 else {
      throw failure(key, expected: "a positive whole number", got: json[key]?.compact ?? "no such key")
    }
    return rank
  }

  func number(_ key: String) throws(Failure) -> Double {
    guard let number = json[key]?.double, number.isFinite else {
      throw failure(key, expected: "a number", got: json[key]?.compact ?? "no such key")
    }
    return number
  }

  func names(_ key: String) -> [String] { json[key]?.array?.compactMap(\.string) ?? [] }

  /// Values by the pattern of the module's name or of its end; the first that matches counts.
  func patterns(_ key: String) throws(Failure) -> [(pattern: NSRegularExpression, value: Double)] {
    try (json[key]?.object?.members ?? []).map { member throws(Failure) in
      guard let value = member.value.double, value.isFinite, key != "rank_pattern" || value >= 1 else {
        throw failure(key, expected: "a number for \(member.key)", got: member.value.compact)
      }
      return (try expression("(.*\\.)?(\(member.key))", key: key), value)
    }
  }

  func expression(_ pattern: String, key: String) throws(Failure) -> NSRegularExpression {
    guard let expression = try? NSRegularExpression(pattern: "^(?:\(pattern))$") else {
      throw failure(key, expected: "a regular expression", got: pattern)
    }
    return expression
  }
}

extension NSRegularExpression {
  fileprivate func matchesWhole(_ text: String) -> Bool {
    firstMatch(in: text, range: NSRange(text.startIndex..., in: text)) != nil
  }

  /// What the first group matches where the expression matches the whole text.
  fileprivate func firstGroup(ofWhole text: String) -> String? {
    let match = firstMatch(in: text, range: NSRange(text.startIndex..., in: text))
    return match.flatMap { Range($0.range(at: 1), in: text) }.map { String(text[$0]) }
  }
}
