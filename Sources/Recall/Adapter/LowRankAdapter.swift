import Checkpoint
import Compute
import Diagnostics
import Foundation
import JSON

/// A LoRA adapter as PEFT saves it: what it adds to the tensors of its base, and which of them it replaces.
///
/// For the tensor W of an adapted map the model has `W + s · B · A`. No product is formed here and no element is read.
public final class LowRankAdapter: Sendable {
  /// What is added to a tensor: `scale · left · rightᵀ`.
  struct Change: Sendable {
    /// The factor with a row for each row of the tensor.
    let left: Factor
    /// The factor with a row for each column of the tensor.
    let right: Factor
    /// s.
    let scale: Double
  }

  /// One of the two factors.
  struct Factor: Sendable {
    /// The stored tensor.
    let tensor: TensorRecord
    /// Whether it is stored as `[rank, rows]` instead of `[rows, rank]`.
    let isTransposed: Bool
  }

  /// The absolute path of the directory.
  public let path: String
  /// The adapter's own tensors.
  let checkpoint: Checkpoint
  private let changes: [ExactString: Change]
  private let replacements: [ExactString: TensorRecord]

  /// Whether a directory holds an adapter.
  public static func isAdapter(_ directory: String) -> Bool {
    FileManager.default.fileExists(atPath: "\(absolutePath(directory))/\(AdapterConfiguration.fileName)")
  }

  /// Opens an adapter for a base.
  ///
  /// - Parameters:
  ///   - path: The directory of adapter_config.json and adapter_model.safetensors.
  ///   - base: The base, opened.
  /// - Throws: `Failure` that names what is not supported, missing, of another shape, or made for another base.
  init(_ path: String, base: ModelDirectory) throws(Failure) {
    self.path = absolutePath(path)
    let configuration = try AdapterConfiguration(path: "\(self.path)/\(AdapterConfiguration.fileName)")
    try LowRankAdapter.check(configuration, of: self.path, against: base)
    checkpoint = try Checkpoint(directory: path)
    let parts = try AdapterParts(checkpoint)
    var changes = try parts.changes(of: base.checkpoint, configuration: configuration)
    var replacements = try parts.replacements(of: base)
    if base.tiesHead, let embedding = base.embedding?.name {
      try parts.checkTie(of: base.head, to: embedding, configuration)
      // Where a tied head is stored all the same, it stays what the embedding is.
      let (head, embedding) = (ExactString(base.head), ExactString(embedding))
      changes[head] = changes[embedding]
      replacements[head] = replacements[embedding]
    }
    self.changes = changes
    self.replacements = replacements
  }

  /// What the adapter adds to a tensor; `nil` when nothing.
  func change(of tensor: String) -> Change? { changes[ExactString(tensor)] }

  /// The bytes of all factors.
  var factorByteCount: Int {
    changes.values.reduce(0) { $0 + $1.left.tensor.byteRange.count + $1.right.tensor.byteRange.count }
  }

  /// Everything that it adds.
  var allChanges: [Change] { Array(changes.values) }

  /// The adapter's own tensor that stands for one of the base; `nil` where the base's counts.
  func replacement(of tensor: String) -> TensorRecord? { replacements[ExactString(tensor)] }

  /// The digest of everything that the adapter does to its base.
  ///
  /// - Throws: `Failure` when reading fails.
  func digest() throws(Failure) -> Digest {
    let scales = changes.map { "\($0.key.string) \($0.value.scale)" }
      .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    return Digest(of: (["\(try checkpoint.digest())"] + scales).joined(separator: "\n"))
  }

  /// Makes sure that the name an adapter calls its base by is one of the base's names.
  ///
  /// Those are the directories on its path, and what its configuration calls it. An adapter that names no base has to fit by
  /// its shapes alone.
  private static func check(
    _ configuration: AdapterConfiguration, of path: String, against base: ModelDirectory
  ) throws(Failure) {
    func last(_ path: String) -> String? { path.split(separator: "/").last?.lowercased() }
    guard let stated = configuration.baseName, let name = last(stated) else { return }
    // A cache of the hub has a directory such as models--Qwen--Qwen2-7B on the way.
    let directories = base.path.lowercased().split(separator: "/").map(String.init)
    let known = directories + directories.compactMap { $0.components(separatedBy: "--").last }
    let own = base.configuration?["_name_or_path"]?.string.flatMap(last)
    guard !known.contains(name), own != name else { return }
    throw Failure(
      .badData, operation: "open the adapter", subject: path, expected: "an adapter of \(base.path) (--base)",
      got: "one of \(stated) (base_model_name_or_path)",
      advice: "Give its own base. If this is it under another name, link to it under that name, or set the key to null."
    )
  }
}

/// The tensors of an adapter by what they are for.
private struct AdapterParts {
  private struct Factors {
    var left: LowRankAdapter.Factor?
    var right: LowRankAdapter.Factor?
    var isEmbedding = false
  }

  /// What every name starts with.
  private static let prefix = "base_model.model."

  private let path: String
  private let checkpoint: Checkpoint
  private var factors: [String: Factors] = [:]
  /// Whole tensors, by the name of the tensor of the base that they stand for.
  private var whole: [(name: String, tensor: TensorRecord)] = []
  /// Those of them that were trained, and not only saved beside their factors.
  private var trained: Set<String> = []

  /// Sorts the tensors by their names.
  init(_ checkpoint: Checkpoint) throws(Failure) {
    self.checkpoint = checkpoint
    path = checkpoint.directory
    for tensor in checkpoint.tensors {
      guard tensor.name.hasPrefix(AdapterParts.prefix) else {
        throw failure(tensor.name, expected: "a name that starts with \(AdapterParts.prefix)", got: "another one")
      }
      guard ElementType(tensor.type) != nil else {
        throw failure(tensor.name, expected: "F64, F32, F16 or BF16", got: tensor.type.rawValue)
      }
      try sort(tensor, name: String(tensor.name.dropFirst(AdapterParts.prefix.count)))
    }
  }

  private mutating func sort(_ tensor: TensorRecord, name: String) throws(Failure) {
    func module(_ suffix: String) -> String? { name.hasSuffix(suffix) ? String(name.dropLast(suffix.count)) : nil }
    // An embedding is indexed by its rows, so its change is the transpose of B · A.
    if let module = module(".lora_A.weight") {
      factors[module, default: Factors()].right = .init(tensor: tensor, isTransposed: true)
    } else if let module = module(".lora_B.weight") {
      factors[module, default: Factors()].left = .init(tensor: tensor, isTransposed: false)
    } else if let module = module(".lora_embedding_A") {
      factors[module, default: Factors()].left = .init(tensor: tensor, isTransposed: true)
      factors[module]?.isEmbedding = true
    } else if let module = module(".lora_embedding_B") {
      factors[module, default: Factors()].right = .init(tensor: tensor, isTransposed: false)
      factors[module]?.isEmbedding = true
    } else if name.contains("lora_") {
      throw failure(
        tensor.name, expected: "lora_A.weight, lora_B.weight, lora_embedding_A or lora_embedding_B",
        got: "another factor",
        advice: "This kind of adapter is not supported; merge it into its base with PEFT and give the result.")
    } else {
      let isBeside = name.contains(".base_layer.")
      let target = name.replacingOccurrences(of: ".base_layer.", with: ".")
        .replacingOccurrences(of: ".modules_to_save.", with: ".")
      whole.append((target, tensor))
      if !isBeside { trained.insert(target) }
    }
  }

  /// The changes by the tensors of the base, every pair of factors complete, of its rank, and of the base's shape.
  func changes(
    of base: Checkpoint, configuration: AdapterConfiguration
  ) throws(Failure) -> [ExactString: LowRankAdapter.Change] {
    var changes: [ExactString: LowRankAdapter.Change] = [:]
    for (module, factors) in factors.sorted(by: { $0.key < $1.key }) {
      let names = factors.isEmbedding ? ("lora_embedding_A", "lora_embedding_B") : ("lora_B.weight", "lora_A.weight")
      guard let left = factors.left else { throw missing(names.0, of: module) }
      guard let right = factors.right else { throw missing(names.1, of: module) }
      guard let target = base.tensor(named: "\(module).weight"), target.shape.count == 2 else {
        throw failure(
          module, expected: "factors of a map of \(base.directory)", got: "those of a map that it lacks",
          advice: "The adapter was made for another base.")
      }
      guard configuration.isTarget(module) else {
        throw failure(
          module, expected: "only factors of modules that adapter_config.json names (target_modules)", got: "others",
          advice: "Tensors and configuration are of different adapters.")
      }
      let rank = configuration.rank(of: module)
      for (factor, rows) in [(left, target.shape[0]), (right, target.shape[1])] {
        try check(factor, rows: rows, rank: rank, of: target, base: base)
      }
      changes[ExactString(target.name)] = .init(left: left, right: right, scale: configuration.scale(of: module))
    }
    for tensor in base.tensors where tensor.shape.count == 2 && tensor.name.hasSuffix(".weight") {
      let module = String(tensor.name.dropLast(".weight".count))
      guard configuration.isTarget(module), changes[ExactString(tensor.name)] == nil else { continue }
      throw missing("factors", of: module)
    }
    guard !changes.isEmpty || !whole.isEmpty else {
      throw failure(nil, expected: "at least one change of the base", got: "none")
    }
    return changes
  }

  private func check(
    _ factor: LowRankAdapter.Factor, rows: Int, rank: Int, of target: TensorRecord, base: Checkpoint
  ) throws(Failure) {
    let shape = factor.tensor.shape
    let rankAxis = factor.isTransposed ? 0 : 1
    guard shape.count == 2, shape[rankAxis] == rank else {
      throw failure(
        factor.tensor.name, expected: "rank \(rank), as adapter_config.json says", got: "shape \(shape)",
        advice: "Tensors and configuration are of different adapters.")
    }
    guard shape[1 - rankAxis] == rows else {
      throw failure(
        factor.tensor.name,
        expected: "\(rows) beside the rank, as \(target.name) of \(base.directory) is \(target.shape)",
        got: "shape \(shape)", advice: "The adapter was made for another base.")
    }
  }

  /// The whole tensors by those of the base that they stand for.
  func replacements(of base: ModelDirectory) throws(Failure) -> [ExactString: TensorRecord] {
    var replacements: [ExactString: TensorRecord] = [:]
    for (name, tensor) in whole {
      guard let target = base.checkpoint.tensor(named: name) ?? unstoredHead(name, of: base) else {
        throw failure(
          tensor.name, expected: "a tensor that \(base.path) has", got: "one that it lacks",
          advice: "The adapter was made for another base, or is of a kind that is not supported.")
      }
      guard target.shape == tensor.shape else {
        throw failure(
          tensor.name, expected: "shape \(target.shape) of \(base.path)", got: "\(tensor.shape)",
          advice: "The adapter was made for another base, or its vocabulary was extended.")
      }
      replacements[ExactString(name)] = tensor
    }
    return replacements
  }

  /// A head that is not stored has the shape of the embedding.
  private func unstoredHead(_ name: String, of base: ModelDirectory) -> TensorRecord? {
    name == base.head ? base.embedding : nil
  }

  /// Where head and embedding are one tensor, they have to stay one.
  func checkTie(
    of headName: String, to embeddingName: String, _ configuration: AdapterConfiguration
  ) throws(Failure) {
    func tensor(_ name: String) -> TensorRecord? { whole.first { $0.name == name && trained.contains(name) }?.tensor }
    let (head, embedding) = (tensor(headName), tensor(embeddingName))
    let adaptsHead = factors[String(headName.dropLast(".weight".count))] != nil
    let isOne: Bool
    switch (head, embedding) {
    case (nil, nil): isOne = true
    case (let head?, let embedding?): isOne = try checkpoint.digest(of: head) == checkpoint.digest(of: embedding)
    case (nil, _?): isOne = configuration.tiesSavedWeights
    case (_?, nil): isOne = false
    }
    guard !isOne || adaptsHead else { return }
    throw failure(
      nil, expected: "one change of head and embedding, which the base ties together",
      got: "a change of one of them, or two that differ",
      advice: "Untie the base (tie_word_embeddings false, with an lm_head.weight of its own) and name it as --base.")
  }

  private func missing(_ what: String, of module: String) -> Failure {
    failure(
      module, expected: "\(what) in adapter_model.safetensors", got: "none",
      advice: "The adapter was saved in part, or its target_modules are those of another.")
  }

  private func failure(_ tensor: String?, expected: String, got: String, advice: String = "") -> Failure {
    Failure(
      .badData, operation: "open the adapter", subject: tensor.map { "\(path), \($0)" } ?? path, expected: expected,
      got: got, advice: advice)
  }
}
