import Checkpoint
import Compute
import Diagnostics
import Foundation
import JSON
import Report

/// The directory that a merge writes: the fused tensors and everything that makes them a model.
struct MergeOutput {
  /// What a model directory holds beside weights and configuration, and what a merged model keeps of its reference.
  private static let companions = [
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model",
    "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json", "generation_config.json",
  ]

  private let plan: FusionPlan
  private let elementType: ElementType?
  private let writer: CheckpointWriter

  init(plan: FusionPlan, elementType: ElementType?, writer: CheckpointWriter) {
    self.plan = plan
    self.elementType = elementType
    self.writer = writer
  }

  /// Writes configuration, companions, model card and report, and gives the directory its name.
  func finish(_ report: MergeReport, timings: StageTimings) throws(Failure) {
    if let configuration { try writer.addFile("config.json", bytes: Array((configuration.formatted + "\n").utf8)) }
    for name in MergeOutput.companions {
      if let path = plan.reference.file(name) { try writer.copyFile(from: path, as: name) }
    }
    let origin = try MergeMethods.named(report.recipe.method).origin(of: report)
    try writer.addFile("README.md", bytes: Array(modelCard(report, origin: origin).utf8))
    try writer.addFile(MergePage.fileName, bytes: Array(report.page(isMerge: true).html.utf8))
    let json = try document(report, timings: timings)
    try writer.addFile(MergeReport.fileName, bytes: Array((json.formatted + "\n").utf8))
    try writer.finish()
  }

  /// The reference's configuration, with the element type where it was changed.
  private var configuration: JSONValue? {
    let original = plan.reference.configuration
    guard let elementType, var object = original?.object else { return original }
    let key = object["torch_dtype"] != nil ? "torch_dtype" : "dtype"
    object[key] = .string(elementType.rawValue)
    return .object(object)
  }

  private func document(_ report: MergeReport, timings: StageTimings) throws(Failure) -> JSONValue {
    var json = report.json
    json["digest"] = .string("\(try writer.tensorDigest())")
    let copied = plan.copied
    var rules = JSONObject()
    for tensor in copied {
      if case .copied(let reason) = tensor.rule { rules[tensor.layout.name] = .string(reason.rawValue) }
    }
    json["tensors"] = [
      "merged": .integer(plan.tensors.count - copied.count), "copied": .array(copied.map { .string($0.layout.name) }),
      "rules": .object(rules), "nonFinite": .integer(writer.finishedTensors.reduce(0) { $0 + $1.nonFinite }),
    ]
    json["files"] = .array(
      try writer.files().map { file in
        ["name": .string(file.name), "bytes": .integer(file.byteCount), "digest": .string("\(file.digest)")]
      })
    json["timings"] = .object(timings.json)
    json["bytes"] = ["read": .integer(plan.inputByteCount), "written": .integer(plan.outputByteCount)]
    return .object(Seal.sealing(json))
  }

  /// The front matter that model hubs read, what was merged, and the weights.
  private func modelCard(_ report: MergeReport, origin: String) -> String {
    let names = report.models.map { model in
      // A path may hold what would end the code span or the line.
      let path = model.path.map { $0 == "`" || $0.isNewline ? " " : $0 }
      return "- `\(String(path))`\(model.isAnchor ? " (anchor)" : "")"
    }
    let header = report.models.indices.map { "model \($0 + 1)" }.joined(separator: " | ")
    let rows = report.layers.map { layer in
      "| \(layer.layer.name) | " + layer.weights.map { fixed($0, digits: 4) }.joined(separator: " | ") + " |"
    }
    return """
      ---
      library_name: transformers
      tags:
      - merge
      - recall
      ---

      # A merged model

      \(origin)
      `recall.json` holds the recipe, the samples and all figures; `recall.html` shows them.

      \(names.joined(separator: "\n"))

      | layer | \(header) |
      | --- | \(report.models.map { _ in "---" }.joined(separator: " | ")) |
      \(rows.joined(separator: "\n"))

      """
  }
}
