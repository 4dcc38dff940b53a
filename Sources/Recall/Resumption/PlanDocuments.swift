import Checkpoint
import Diagnostics
import Foundation
import JSON

extension MergePlan {
  /// Everything that the bytes of the output depend on: a leftover of another document is not taken up.
  ///
  /// - Throws: `Failure` when a small file cannot be read.
  func document() throws(Failure) -> JSONValue {
    func identity(_ path: String) throws(Failure) -> JSONValue {
      ["path": .string(path), "digest": .string("\(try fileDigest(path))")]
    }
    var document: JSONObject = JSONObject([
      ("command", "merge"), ("recipe", recipeAsUsed.json),
      ("models", .array(try inputs.experts.map { expert throws(Failure) in try expert.model.directory.identity() })),
      ("reference", try inputs.reference.model.directory.identity()),
      ("samples", try recipe.samples == nil ? .null : identity(pool.file.path)),
    ])
    document["companions"] = .array(
      try inputs.read.filter { !$0.isMerged }.map { base throws(Failure) in try base.model.directory.identity() })
    if alignment != nil {
      document["ownSamples"] = .array(
        try inputs.experts.map { expert throws(Failure) in
          try expert.samples?.pool.map { pool throws(Failure) in try identity(pool.file.path) } ?? .null
        })
    }
    return .object(document)
  }

  /// The recipe as the report has it.
  var recipeAsUsed: MergeRecipe { recipe.asUsed(with: pool.file.selection, samples: samples) }

  /// The report of an output that an earlier run of the same recipe finished; `nil` when there is none.
  ///
  /// - Throws: `Failure` of category `cannotCreate` for an output of another recipe, unless it may be overwritten.
  func finishedReport(at output: String, overwrite: Bool) throws(Failure) -> MergeReport? {
    let models = inputs.experts.map { expert -> JSONValue in
      ["path": .string(expert.path), "anchor": .bool(expert.role == .anchor)]
    }
    let known = try inputs.experts.map { expert throws(Failure) in try expert.digester.known() }
    return try MergeReport.finished(at: output, overwrite: overwrite) { report in
      let found = report.models.map { model -> JSONValue in
        ["path": .string(model.path), "anchor": .bool(model.isAnchor)]
      }
      let changed = zip(report.models, known).first { $1 != nil && $1 != $0.digest }
      return recipeAsUsed.json.firstDifference(from: report.recipeDocument, at: "recipe")
        ?? JSONValue.array(models).firstDifference(from: .array(found), at: "models")
        ?? changed.map { "\($0.0.path) has changed since" }
    }
  }

  /// The space that the selection takes beside the output for a while.
  var scratchByteCount: Int {
    let configuration = inputs.reference.model.configuration
    let own = inputs.selecting.map(\.pool.samples.count)
    return ((isSelected ? [] : [samples]) + own)
      .map { TypicalSampleSelection.scratchByteCount(configuration, samples: $0) }.max() ?? 0
  }
}

extension WeightsOnlyPlan {
  /// Everything that the bytes of the output depend on: a leftover of another document is not taken up.
  ///
  /// - Throws: `Failure` when a small file cannot be read.
  func document() throws(Failure) -> JSONValue {
    [
      "command": "merge", "recipe": recipe.json, "weights": .array(weights.map(JSONValue.double)),
      "models": .array(try inputs.experts.map { expert throws(Failure) in try expert.model.identity() }),
      "reference": try fusion.reference.identity(),
    ]
  }

  /// The report of an output that an earlier run of the same recipe finished; `nil` when there is none.
  ///
  /// - Throws: `Failure` of category `cannotCreate` for an output of another recipe, unless it may be overwritten.
  func finishedReport(at output: String, overwrite: Bool) throws(Failure) -> MergeReport? {
    let known = try inputs.experts.map { expert throws(Failure) in try expert.digester.known() }
    return try MergeReport.finished(at: output, overwrite: overwrite) { report in
      let changed = zip(report.models, known).first { $1 != nil && $1 != $0.digest }
      return recipe.json.firstDifference(from: report.recipeDocument, at: "recipe")
        ?? changed.map { "\($0.0.path) has changed since" }
    }
  }
}

extension ModelDirectory {
  /// What changes whenever a file that a merge reads from the model is written or replaced.
  func identity() throws(Failure) -> JSONValue {
    let names = ["config.json", "tokenizer.json", AdapterConfiguration.fileName]
    let small = names.compactMap { name in file(name).map { (name, $0) } }
    let digests = try small.map { name, path throws(Failure) in (name, JSONValue.string("\(try fileDigest(path))")) }
    return [
      "path": .string(path), "files": .object(JSONObject(digests)), "shards": checkpoint.fileIdentities,
      "adapter": adapter?.checkpoint.fileIdentities ?? .null,
    ]
  }
}

extension FusionPlan {
  /// Notes the digests of inputs that other runs or parts have read.
  func recordDigests(of finished: [FinishedTensor], in digests: [ModelDigester]) {
    let planned = Dictionary(uniqueKeysWithValues: tensors.map { (ExactString($0.layout.name), $0) })
    for tensor in finished {
      guard let sources = planned[ExactString(tensor.name)]?.sources, sources.count == tensor.inputs.count else {
        continue
      }
      for (digester, (source, digest)) in zip(digests, zip(sources, tensor.inputs)) {
        if let digest { digester.record(source, digest) }
      }
    }
  }
}

extension MergeReport {
  /// Reads the report of an output that is finished.
  ///
  /// - Parameters:
  ///   - output: The directory.
  ///   - overwrite: Whether another output may stand there, to be replaced.
  ///   - difference: In what the output's report differs from what is wanted, in words.
  /// - Returns: `nil` when there is no output, or one that is about to be replaced.
  /// - Throws: `Failure` of category `cannotCreate` for another output, unless it may be overwritten.
  static func finished(
    at output: String, overwrite: Bool, difference: (MergeReport) -> String?
  ) throws(Failure) -> MergeReport? {
    let output = absolutePath(output)
    guard FileManager.default.fileExists(atPath: output) else { return nil }
    let what: String
    do throws(Failure) {
      let report = try MergeReport(path: "\(output)/\(MergeReport.fileName)")
      guard let difference = difference(report) else {
        try CheckpointWriter.settle(output)
        return CheckpointWriter.hasLeftover(output) ? nil : report
      }
      what = "one of another recipe: \(difference)"
    } catch {
      what = "something without a sound \(MergeReport.fileName)"
    }
    guard !overwrite, !CheckpointWriter.hasLeftover(output) else { return nil }
    throw Failure(
      .cannotCreate, operation: "go on with the output", subject: output,
      expected: "nothing, or the finished output of the same recipe", got: what,
      advice: "Choose another output or replace this one with --overwrite.")
  }
}
