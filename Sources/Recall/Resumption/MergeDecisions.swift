import Checkpoint
import Diagnostics
import JSON
import Synchronization

/// What a merge decides on its way, kept beside the finished tensors: a run that takes the merge up decides the same, even on
/// another device, and need not repeat the selection.
final class MergeDecisions: Sendable {
  private let writer: CheckpointWriter
  private let decided: Mutex<[Layer: LayerWeights]>
  /// The typical samples, when an earlier run found them.
  let typicalSamples: TypicalSamples?

  /// Reads what earlier runs decided.
  ///
  /// - Parameters:
  ///   - writer: The output, which keeps the decisions.
  ///   - pool: The samples that were selected from.
  ///   - models: The number of models.
  init(_ writer: CheckpointWriter, pool: Pool, models: Int) {
    self.writer = writer
    let notes = writer.notes
    let layers = notes.compactMap { $0["layer"].flatMap { LayerWeights(json: $0, models: models) } }
    decided = Mutex(Dictionary(layers.map { ($0.layer, $0) }, uniquingKeysWith: { first, _ in first }))
    typicalSamples = notes.lazy.compactMap { TypicalSamples(note: $0, pool: pool) }.first
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

  /// Keeps the typical samples.
  func keep(_ typical: TypicalSamples) throws(Failure) {
    let samples = typical.samples.map { sample -> JSONValue in
      [
        "index": .integer(sample.sample.index), "cluster": sample.sample.cluster.map(JSONValue.integer) ?? .null,
        "clusterSize": sample.sample.clusterSize.map(JSONValue.integer) ?? .null,
      ]
    }
    try writer.note(["typical": typical.header.json, "samples": .array(samples)])
  }
}

extension TypicalSamples {
  /// Reads a note; `nil` when it is about something else.
  fileprivate init?(note: JSONValue, pool: Pool) {
    guard let json = note["typical"], let header = try? SelectionHeader(json: json, path: "journal"),
      let entries = note["samples"]?.array
    else { return nil }
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
