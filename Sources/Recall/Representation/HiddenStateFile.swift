import Checkpoint
import Compute
import Diagnostics
import JSON

/// The representations of one model over a set of samples, as `extract` writes them.
///
/// A safetensors file with `representation`, `float32 [layers + 2, samples, d]`, in the order embedding, blocks, head. Its
/// metadata names the model and its digest, pooling and max tokens, and carries the samples with how they were selected.
public struct HiddenStateFile: Sendable {
  /// The model, as a report names it.
  public var source: MergeReport.MergedModel
  /// How states became vectors.
  public var pooling: Pooling
  /// Where texts were cut, in tokens.
  public var maxTokens: Int
  /// How the samples were selected, when they were.
  public var selection: SelectionHeader?
  /// The samples.
  public var samples: [Sample]
  /// One representation per layer.
  public var layers: [LayerRepresentation]
  /// The merges that the model came from.
  public var lineage: Lineage

  /// The value of `recall` in the metadata.
  public static let format = "states/1"

  /// Collects what the file holds.
  public init(
    source: MergeReport.MergedModel, pooling: Pooling, maxTokens: Int, selection: SelectionHeader?, samples: [Sample],
    layers: [LayerRepresentation], lineage: Lineage
  ) {
    self.source = source
    self.pooling = pooling
    self.maxTokens = maxTokens
    self.selection = selection
    self.samples = samples
    self.layers = layers
    self.lineage = lineage
  }

  /// The absolute path of the model.
  public var model: String { source.path }

  /// The samples as one JSON document, which is the same in all extracts that may be weighed together.
  public var samplesJSON: JSONValue { .array(samples.map { .object(JSONObject($0.members)) }) }

  /// Writes the file; it is there whole or not at all.
  ///
  /// - Throws: `Failure` when it cannot be created or written.
  public func write(to path: String, overwrite: Bool) throws(Failure) {
    let width = layers.first?.width ?? 0
    var metadata = [
      "recall": HiddenStateFile.format, "model": model, "digest": "\(source.digest)", "pooling": pooling.rawValue,
      "maxTokens": "\(maxTokens)", "samples": samplesJSON.compact,
    ]
    if let selection { metadata["selection"] = selection.json.compact }
    if let base = source.json["base"] { metadata["base"] = base.compact }
    if !lineage.merges.isEmpty { metadata["lineage"] = lineage.json.compact }
    let tensor = FloatTensor(
      name: "representation", shape: [layers.count, samples.count, width], values: layers.flatMap(\.values))
    try FloatTensorFile(tensors: [tensor], metadata: metadata).write(to: path, overwrite: overwrite)
  }

  /// Reads a file.
  ///
  /// - Throws: `Failure` that names the file and what is missing from it.
  public init(path: String) throws(Failure) {
    let file = try FloatTensorFile(reading: path)
    func failure(_ expected: String, _ got: String) -> Failure {
      Failure(
        .badData, operation: "read hidden states", subject: path, expected: expected, got: got,
        advice: "Write the file again with recall extract.")
    }
    func value(_ key: String) throws(Failure) -> String {
      guard let value = file.metadata[key] else { throw failure("metadata \"\(key)\"", "none") }
      return value
    }
    guard try value("recall") == HiddenStateFile.format else {
      throw failure("recall \(HiddenStateFile.format)", try value("recall"))
    }
    let base = try file.metadata["base"].map { text throws(Failure) in
      try JSONValue(parsing: Array(text.utf8), from: path)
    }
    let entry: JSONValue = [
      "path": .string(try value("model")), "digest": .string(try value("digest")), "base": base ?? .null,
    ]
    source = try MergeReport.MergedModel.all([entry]) { entry in
      failure("a model with its digest", entry?.compact ?? "")
    }[0]
    guard let pooling = Pooling(rawValue: try value("pooling")) else {
      throw failure("a pooling", try value("pooling"))
    }
    guard let maxTokens = Int(try value("maxTokens")) else { throw failure("a number", try value("maxTokens")) }
    self.pooling = pooling
    self.maxTokens = maxTokens
    selection = try file.metadata["selection"].map { text throws(Failure) in
      try SelectionHeader(json: JSONValue(parsing: Array(text.utf8), from: path), path: path)
    }
    lineage = try Lineage(
      json: file.metadata["lineage"].map { text throws(Failure) in try JSONValue(parsing: Array(text.utf8), from: path)
      },
      leadingTo: [source], source: path)
    let documents = try JSONValue(parsing: Array(value("samples").utf8), from: path).array ?? []
    var samples: [Sample] = []
    for document in documents {
      samples.append(try Sample(json: document, position: nil, line: 0, path: path))
    }
    guard let tensor = file.tensors.first, file.tensors.count == 1, tensor.name == "representation",
      tensor.shape.count == 3, tensor.shape[0] > 2, tensor.shape[1] == samples.count
    else { throw failure("one tensor \"representation\" [layers + 2, \(samples.count), d]", "another content") }
    guard !samples.isEmpty, tensor.shape[2] > 0, tensor.values.allSatisfy(\.isFinite) else {
      throw failure("finite numbers for at least one sample", "others or none")
    }
    self.samples = samples
    let width = tensor.shape[2]
    let size = samples.count * width
    layers = Layer.all(blocks: tensor.shape[0] - 2).enumerated().map { number, layer in
      LayerRepresentation(
        layer: layer, samples: samples.count, width: width,
        values: Array(tensor.values[number * size..<(number + 1) * size]))
    }
  }

  /// Makes sure that extracts are of the same samples and options, so that they can be weighed together.
  ///
  /// - Throws: `Failure` that names the extract and the difference.
  static func checkAgreement(of extracts: [HiddenStateFile]) throws(Failure) {
    guard let first = extracts.first, extracts.count > 1 else {
      throw Failure(
        .usage, operation: "weigh", subject: "--model", expected: "at least two extracts", got: "\(extracts.count)")
    }
    for extract in extracts.dropFirst() {
      let facts: [(String, String, String)] = [
        ("samples", extract.samplesJSON.compact, first.samplesJSON.compact),
        ("pooling", extract.pooling.rawValue, first.pooling.rawValue),
        ("max tokens", "\(extract.maxTokens)", "\(first.maxTokens)"),
        ("selection", "\(extract.selection?.json.compact ?? "none")", "\(first.selection?.json.compact ?? "none")"),
        ("layers", "\(extract.layers.count)", "\(first.layers.count)"),
        ("width", "\(extract.layers[0].width)", "\(first.layers[0].width)"),
      ]
      guard let (what, got, expected) = facts.first(where: { $0.1 != $0.2 }) else { continue }
      throw Failure(
        .badData, operation: "weigh", subject: "the extract of \(extract.model)",
        expected: "the same \(what) as in that of \(first.model) (\(expected.prefix(60)))", got: String(got.prefix(60)),
        advice: "Extract all models over one file of samples with the same options.")
    }
  }
}
