import Checkpoint
import Compute
import Diagnostics
import JSON

extension HierarchicalMerge {
  /// Completes an output whose parts have all been written, when the process that should have done so was stopped.
  ///
  /// - Parameters:
  ///   - unfinished: What the parts have left.
  ///   - backend: The device; nothing is computed.
  /// - Returns: How it ended.
  /// - Throws: `Failure` of category `badData` when parts are missing, or the output was not written in parts; `Failure` and
  ///   `DeviceError` as `fuse` does.
  public static func complete(_ unfinished: UnfinishedOutput, on backend: any ComputeBackend) throws -> MergeOutcome {
    let partial = "\(unfinished.output).partial"
    guard unfinished.missingParts.isEmpty, unfinished.partCount > 1, let part = Part("1/\(unfinished.partCount)"),
      let weights = unfinished.plan["weights"]
    else {
      let missing = unfinished.missingParts.prefix(20).map { "\($0.number)" }.joined(separator: ", ")
      throw Failure(
        .badData, operation: "complete the output", subject: partial, expected: "all parts of the output",
        got: unfinished.partCount > 1
          ? "\(unfinished.missingParts.count) of \(unfinished.partCount) missing, among them \(missing)"
          : "a merge that was stopped",
        advice: unfinished.partCount > 1
          ? "Run these parts again; the last one completes the output."
          : "Go on with the same command and --resume.")
    }
    let recipe = try MergeRecipe(json: unfinished.plan["options"] ?? [:], from: partial)
    // Wherever the parts found the models; the last one to start knows best.
    let places = unfinished.notes.compactMap { $0["models"]?.array?.compactMap(\.string) }.last ?? []
    let report = try MergeReport(json: weights, path: partial)
    return try HierarchicalMerge(recipe, on: backend).fuse(
      report, from: partial, moved: Array(Set(places)).sorted(), into: unfinished.output, overwrite: false, part: part)
  }
}
