import Checkpoint
import Diagnostics
import Foundation
import JSON

/// The merges that a model came from, each once, none before those that it builds on.
public struct Lineage: Sendable {
  /// The merges, oldest first.
  public private(set) var merges: [EarlierMerge] = []

  /// No history.
  public init() {}

  /// Reads a lineage and makes sure that it is one: every entry as it was sealed, each once, none before what it builds on,
  /// and none that leads nowhere.
  ///
  /// - Parameters:
  ///   - json: The `lineage` of a recall.json.
  ///   - models: The models of that recall.json, to which the lineage has to lead.
  ///   - source: The file, for errors.
  /// - Throws: `Failure` of category `badData`.
  init(json: JSONValue?, leadingTo models: [MergeReport.MergedModel], source: String) throws(Failure) {
    guard let json, !json.isNull else { return }
    func failure(_ expected: String, _ got: String) -> Failure {
      Failure(
        .badData, operation: "read the lineage", subject: source, expected: expected, got: got,
        advice: "The file was damaged or edited.")
    }
    guard let entries = json.array else { throw failure("a list of merges", json.kind) }
    for entry in entries { merges.append(try EarlierMerge(sealed: entry, source: source)) }
    for (index, merge) in merges.enumerated() {
      guard !merges[..<index].contains(where: { $0.digest == merge.digest }) else {
        throw failure("every merge once", "\(merge.path) again")
      }
      let later = merges[(index + 1)...]
      if let early = merge.models.first(where: { model in later.contains { model.isMadeOf($0.digest) } }) {
        throw failure("merges after those that they build on", "\(merge.path) before \(early.path)")
      }
      guard (later.flatMap(\.models) + models).contains(where: { $0.isMadeOf(merge.digest) }) else {
        throw failure("merges that lead to the models", "\(merge.path), which no later merge uses")
      }
    }
  }

  /// Adds the merges of another lineage that are not here yet.
  mutating func add(_ other: Lineage) {
    for merge in other.merges { add(merge) }
  }

  /// Adds a merge behind all that it builds on.
  mutating func add(_ merge: EarlierMerge) {
    if !merges.contains(where: { $0.digest == merge.digest }) { merges.append(merge) }
  }

  /// The value of `lineage`.
  var json: JSONValue { .array(merges.map { .object($0.document) }) }
}

/// What the recall.json beside a model says about how the model came about.
struct ModelHistory: Sendable {
  /// The merge that the model is the result of, and all before it.
  let lineage: Lineage

  private let source: String
  private let digest: Digest

  /// Reads the history of a model, which for an adapter is that of its base; `nil` when it has none.
  ///
  /// - Throws: `Failure` of category `badData` when the file was edited or contradicts itself.
  init?(of model: ModelDirectory) throws(Failure) {
    let directory = model.checkpoint.directory
    let source = "\(directory)/\(MergeReport.fileName)"
    guard FileManager.default.fileExists(atPath: source) else { return nil }
    let report = try MergeReport(mergeAt: source)
    guard let digest = report.digest else { return nil }
    var lineage = report.lineage
    lineage.add(try EarlierMerge(report.json, path: directory, digest: digest, source: source))
    self.lineage = lineage
    self.source = source
    self.digest = digest
  }

  /// Makes sure that the tensors beside the file are those that the merge wrote.
  ///
  /// - Throws: `Failure` of category `badData`.
  func check(_ actual: Digest) throws(Failure) {
    guard actual == digest else {
      throw Failure(
        .badData, operation: "read the lineage", subject: source, expected: "tensors with the digest \(digest)",
        got: "tensors with the digest \(actual)",
        advice: "The model was changed after the merge. If it was trained on, remove the file from its directory.")
    }
  }
}
