import Checkpoint
import Compute
import Diagnostics
import JSON

/// One text of a pool, as written or as token identifiers.
public struct Sample: Sendable {
  /// What the text is given as.
  public enum Content: Sendable {
    /// Text, to be encoded by the models' tokenizer.
    case text(String)
    /// Token identifiers, which bypass the tokenizer.
    case tokens([Int32])
  }

  /// Which sample of its pool this is, from 0.
  public var index: Int
  /// The line of the file, from 1, for messages.
  public var line: Int
  /// The text.
  public var content: Content
  /// The cluster that it stands for, when it was selected.
  public var cluster: Int?
  /// How many samples of the pool are in that cluster.
  public var clusterSize: Int?
  /// The model that first brought it, when a merge has kept it.
  public var origin: String?
}

/// A file of samples: JSON lines with `text` or `input_ids`, or plain text with one sample a line.
public struct SampleFile: Sendable {
  /// The path, as given.
  public let path: String
  /// What `select` wrote in the first line; `nil` for a pool.
  public let selection: SelectionHeader?
  /// The samples in order.
  public let samples: [Sample]
  /// Whether all samples were selected by an earlier run.
  let isTypical: Bool

  /// Reads a file; lines end in LF or CRLF, blank lines are skipped.
  ///
  /// The file holds JSON lines when its first line that is not blank starts with `{`.
  ///
  /// - Throws: `Failure` that names the line.
  public init(path: String) throws(Failure) {
    let lines = try textLines(of: path, operation: "read samples")
    self.path = path
    guard let first = lines.first else {
      throw Failure(
        .badData, operation: "read samples", subject: path, expected: "at least one sample", got: "an empty file",
        advice: "Give JSON lines with \"text\" or \"input_ids\", or plain text with one sample a line.")
    }
    let opening = first.text.first { !$0.isWhitespace }
    guard opening != "[" else {
      throw Failure(
        .badData, operation: "read samples", subject: path, expected: "JSON lines or plain text", got: "a JSON array",
        advice: "Write one object a line, without brackets around them and commas between them.")
    }
    guard opening == "{" else {
      (selection, isTypical) = (nil, false)
      samples = lines.enumerated().map { index, line in
        Sample(index: index, line: line.number, content: .text(String(line.text)))
      }
      return
    }
    var documents: [(line: Int, json: JSONValue)] = []
    for line in lines {
      let subject = "\(path), line \(line.number)"
      documents.append((line.number, try JSONValue(parsing: Array(line.text.utf8), from: subject)))
    }
    if documents[0].json["recall"] != nil {
      selection = try SelectionHeader(json: documents[0].json, path: path)
      documents.removeFirst()
    } else {
      selection = nil
    }
    var samples: [Sample] = []
    for (line, json) in documents {
      let isSelected = selection != nil
      samples.append(try Sample(json: json, position: isSelected ? nil : samples.count, line: line, path: path))
    }
    guard !samples.isEmpty else {
      throw Failure(
        .badData, operation: "read samples", subject: path, expected: "at least one sample", got: "none",
        advice: "Give JSON lines with \"text\" or \"input_ids\".")
    }
    self.samples = samples
    isTypical = selection != nil
  }

  /// Samples from elsewhere.
  init(path: String, samples: [Sample]) {
    (self.path, self.samples) = (path, samples)
    (selection, isTypical) = (nil, false)
  }

  /// The typical samples that a merge kept in its recall.json: those of all its models; `nil` when it kept none.
  ///
  /// - Throws: `Failure` of category `badData` when the file was edited or makes no sense.
  init?(ofMergeAt path: String) throws(Failure) {
    let report = try MergeReport(mergeAt: path)
    guard !report.typicalSamples.isEmpty else { return nil }
    self.path = path
    samples = try report.typicalSamples.enumerated().map { number, json throws(Failure) in
      try Sample(json: json, position: nil, line: number + 1, path: path)
    }
    (selection, isTypical) = (nil, true)
  }
}

extension Sample {
  /// Reads one JSON line of a pool, or with `position` nil a sample that Recall wrote with its index and cluster.
  init(json: JSONValue, position: Int?, line: Int, path: String) throws(Failure) {
    let subject = "\(path), line \(line)"
    guard json.object != nil else {
      throw Failure(
        .badData, operation: "read samples", subject: subject, expected: "a JSON object", got: json.kind)
    }
    if let ids = json["input_ids"] {
      let tokens = ids.array?.map { $0.integer.flatMap(Int32.init(exactly:)) }
      guard let tokens, tokens.allSatisfy({ $0 != nil }) else {
        throw Failure(
          .badData, operation: "read samples", subject: subject, expected: "input_ids to be a list of whole numbers",
          got: ids.kind)
      }
      content = .tokens(tokens.compactMap { $0 })
    } else if let text = json["text"]?.string {
      content = .text(text)
    } else {
      throw Failure(
        .badData, operation: "read samples", subject: subject, expected: "a \"text\" or an \"input_ids\" member",
        got: json["text"].map { "a text that is \($0.kind)" }
          ?? json.object?.members.map { "\"\($0.key)\"" }.joined(separator: ", ") ?? "none")
    }
    self.line = line
    guard let position else {
      guard let index = json["index"]?.integer, index >= 0 else {
        throw Failure(
          .badData, operation: "read samples", subject: subject, expected: "an \"index\"",
          got: json["index"]?.compact ?? "none", advice: "Write the file again with recall select.")
      }
      self.index = index
      cluster = json["cluster"]?.integer
      clusterSize = json["clusterSize"]?.integer
      origin = json["model"]?.string
      return
    }
    index = position
  }

  /// The sample as a document, such as a line of a file.
  public var json: JSONValue { .object(JSONObject(members)) }

  /// The members that stand for this sample in files that Recall writes.
  var members: [(String, JSONValue)] {
    var members: [(String, JSONValue)] = [("index", .integer(index))]
    if let cluster { members.append(("cluster", .integer(cluster))) }
    if let clusterSize { members.append(("clusterSize", .integer(clusterSize))) }
    switch content {
    case .text(let text): members.append(("text", .string(text)))
    case .tokens(let tokens): members.append(("input_ids", .array(tokens.map { .integer(Int($0)) })))
    }
    return members
  }
}

/// How typical samples were chosen: the first line of the file that `select` writes.
public struct SelectionHeader: Sendable, Equatable {
  /// The value of `recall` in that line.
  public static let format = "typical/1"

  /// The absolute path of the model whose states were clustered.
  public var model: String
  /// The layer that was clustered.
  public var clusterLayer: String
  /// How states became vectors.
  public var pooling: Pooling
  /// Where texts were cut, in tokens.
  public var maxTokens: Int
  /// The seed of the clustering.
  public var seed: Int
  /// The median distance between the selected samples over all layers, by measure: σ² of `anchor-median`; an absent one
  /// means that no distance was positive.
  public var anchorMedian: [DistanceMeasure: Double]

  /// Describes a selection.
  public init(
    model: String, clusterLayer: String, pooling: Pooling, maxTokens: Int, seed: Int,
    anchorMedian: [DistanceMeasure: Double]
  ) {
    self.model = model
    self.clusterLayer = clusterLayer
    self.pooling = pooling
    self.maxTokens = maxTokens
    self.seed = seed
    self.anchorMedian = anchorMedian
  }

  /// Reads the line.
  ///
  /// - Throws: `Failure` of category `badData`.
  public init(json: JSONValue, path: String) throws(Failure) {
    func failure(_ key: String, _ expected: String) -> Failure {
      Failure(
        .badData, operation: "read the header of typical samples", subject: path, expected: "\(key) to be \(expected)",
        got: json[key]?.compact ?? "no such key", advice: "Write the file again with recall select.")
    }
    guard json["recall"]?.string == SelectionHeader.format else {
      throw failure("recall", "\"\(SelectionHeader.format)\"")
    }
    guard let model = json["model"]?.string else { throw failure("model", "a path") }
    guard let clusterLayer = json["clusterLayer"]?.string else { throw failure("clusterLayer", "a layer") }
    guard let pooling = json["pooling"]?.string.flatMap(Pooling.init(rawValue:)) else {
      throw failure("pooling", "mean or last")
    }
    guard let maxTokens = json["maxTokens"]?.integer, maxTokens > 0 else {
      throw failure("maxTokens", "a positive whole number")
    }
    guard let seed = json["seed"]?.integer else { throw failure("seed", "a whole number") }
    var medians: [DistanceMeasure: Double] = [:]
    for measure in DistanceMeasure.allCases {
      // An explicit null says that no distance was positive; a missing number says that something was lost.
      guard let median = json["anchorMedian"]?[measure.rawValue] else {
        throw failure("anchorMedian", "an object with \(measure.rawValue)")
      }
      guard !median.isNull else { continue }
      guard let number = median.double, number > 0 else {
        throw failure("anchorMedian", "positive numbers by distance measure")
      }
      medians[measure] = number
    }
    self.init(
      model: model, clusterLayer: clusterLayer, pooling: pooling, maxTokens: maxTokens, seed: seed,
      anchorMedian: medians)
  }

  /// The line as a document.
  public var json: JSONValue {
    [
      "recall": .string(SelectionHeader.format), "model": .string(model), "clusterLayer": .string(clusterLayer),
      "pooling": .string(pooling.rawValue), "maxTokens": .integer(maxTokens), "seed": .integer(seed),
      "anchorMedian": .object(
        JSONObject(
          DistanceMeasure.allCases.map { measure in
            (measure.rawValue, anchorMedian[measure].map(JSONValue.double) ?? .null)
          })),
    ]
  }
}
