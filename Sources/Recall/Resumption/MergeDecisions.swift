import Checkpoint
import Diagnostics
import JSON
import Synchronization

/// What a merge decides on its way, kept beside the finished tensors: a run that takes the merge up decides the same, even on
/// another device, and need not repeat the selection.
final class MergeDecisions: Sendable {
  private let writer: CheckpointWriter
  private let notes: [JSONValue]
  private let decided: Mutex<[Layer: LayerWeights]>
  private let aligned: Mutex<[String: MapAlignment]>

  /// Reads what earlier runs decided.
  ///
  /// - Parameters:
  ///   - writer: The output, which keeps the decisions.
  ///   - models: The number of models.
  init(_ writer: CheckpointWriter, models: Int) {
    self.writer = writer
    notes = writer.notes
    let layers = notes.compactMap { $0["layer"].flatMap { LayerWeights(json: $0, models: models) } }
    decided = Mutex(Dictionary(layers.map { ($0.layer, $0) }, uniquingKeysWith: { first, _ in first }))
    let maps = notes.compactMap { $0["aligned"].flatMap { MapAlignment(json: $0) } }
    // The last of several: the one before did not get as far as its tensor.
    aligned = Mutex(Dictionary(maps.map { ($0.tensor, $0) }, uniquingKeysWith: { _, last in last }))
  }

  /// What was decided at a layer.
  subscript(layer: Layer) -> LayerWeights? { decided.withLock { $0[layer] } }

  /// What was decided at all layers of a model, shallow to deep; `nil` when some are not decided.
  func layers(of model: Model) -> [LayerWeights]? {
    let all = Layer.all(blocks: model.configuration.blockCount)
    let known = all.compactMap { self[$0] }
    return known.count == all.count ? known : nil
  }

  /// Keeps the decision at a layer, unless it is known.
  func keep(_ layer: LayerWeights) throws(Failure) {
    guard decided.withLock({ $0.updateValue(layer, forKey: layer.layer) }) == nil else { return }
    try writer.note(["layer": layer.json])
  }

  // MARK: Samples

  /// The typical samples that an earlier run found in a pool.
  ///
  /// - Parameters:
  ///   - pool: The samples that were selected from.
  ///   - owner: The model whose own they are; `nil` for those that all models are compared on.
  /// - Returns: The samples; `nil` when none were found yet.
  func typicalSamples(of pool: Pool, owner: String? = nil) -> TypicalSamples? {
    notes.lazy.filter { $0["owner"]?.string == owner }.compactMap { TypicalSamples(note: $0, pool: pool) }.first
  }

  /// Keeps the typical samples.
  ///
  /// - Parameters:
  ///   - typical: The samples.
  ///   - owner: The model whose own they are; `nil` for those that all models are compared on.
  /// - Throws: `Failure` of category `inputOutput` when the disk does not take it.
  func keep(_ typical: TypicalSamples, owner: String? = nil) throws(Failure) {
    let samples = typical.samples.map { sample -> JSONValue in
      [
        "index": .integer(sample.sample.index), "cluster": sample.sample.cluster.map(JSONValue.integer) ?? .null,
        "clusterSize": sample.sample.clusterSize.map(JSONValue.integer) ?? .null,
      ]
    }
    try writer.note([
      "typical": typical.header.json, "samples": .array(samples), "owner": owner.map(JSONValue.string) ?? .null,
    ])
  }

  // MARK: Solutions

  /// What was lost of every group of samples in a trial of what they count; `nil` for a trial that was not made yet.
  func lost(counting weights: [Double]) -> [Double]? {
    notes.lazy.filter { $0["trial"]?.array?.compactMap(\.double) == weights }
      .compactMap { $0["lost"]?.array?.compactMap(\.double) }.first { $0.count == weights.count }
  }

  /// Keeps what was lost in a trial.
  func keep(lost: [Double], counting weights: [Double]) throws(Failure) {
    try writer.note(["trial": .array(weights.map(JSONValue.double)), "lost": .array(lost.map(JSONValue.double))])
  }

  /// How much every group of samples was found to count.
  func balance(of groups: Int) -> [Double]? {
    notes.lazy.compactMap { $0["balance"]?.array?.compactMap(\.double) }.first { $0.count == groups }
  }

  /// Keeps how much every group of samples counts.
  func keep(balance: [Double]) throws(Failure) {
    try writer.note(["balance": .array(balance.map(JSONValue.double))])
  }

  /// How well a linear map was solved for.
  func alignment(of tensor: String) -> MapAlignment? { aligned.withLock { $0[tensor] } }

  /// Keeps how well a linear map was solved for, before its tensor is written.
  func keep(_ alignment: MapAlignment) throws(Failure) {
    aligned.withLock { $0[alignment.tensor] = alignment }
    try writer.note(["aligned": alignment.json])
  }
}

extension TypicalSamples {
  /// Reads a note; `nil` when it is about something else.
  fileprivate init?(note: JSONValue, pool: Pool) {
    guard let json = note["typical"], let header = try? SelectionHeader(json: json, path: "journal"),
      let entries = note["samples"]?.array
    else { return nil }
    // Samples of several models, of which all are typical, share their numbers.
    guard !pool.isTypical else {
      self.init(header: header, samples: pool.samples)
      return
    }
    let byIndex = Dictionary(pool.samples.map { ($0.sample.index, $0) }, uniquingKeysWith: { first, _ in first })
    let samples = entries.compactMap { entry -> EncodedSample? in
      guard let encoded = entry["index"]?.integer.flatMap({ byIndex[$0] }) else { return nil }
      var sample = encoded.sample
      sample.cluster = entry["cluster"]?.integer
      sample.clusterSize = entry["clusterSize"]?.integer
      return EncodedSample(sample: sample, tokens: encoded.tokens)
    }
    guard samples.count == entries.count, !samples.isEmpty else { return nil }
    self.init(header: header, samples: samples)
  }
}
