import Checkpoint
import Compute
import Diagnostics
import Foundation
import JSON
import Tokenization

/// What a merge with given weights would do, found without reading an element of a weight.
public struct WeightsOnlyPlan: Sendable {
  /// The models in canonical order, which is that of their absolute paths; sums run in this order.
  let models: [ModelDirectory]
  /// The weight of each of them as it enters the sum.
  let weights: [Double]
  /// What every tensor of the output is made of.
  let fusion: FusionPlan
  /// What is kept in memory.
  let memory: StreamMemory
  /// What finds the digest of each model while it is read.
  let digests: [ModelDigester]
  /// The recipe as used, with weights and base.
  let recipe: MergeRecipe
  private let method: any WeightsOnlyMethod

  /// Checks everything that can be checked before the output is created.
  ///
  /// - Parameters:
  ///   - recipe: What is to be merged.
  ///   - method: How.
  ///   - output: Where the output will be, if that is known.
  ///   - memoryBudget: The most memory to use, if it is bounded.
  ///   - backend: The device.
  /// - Throws: `Failure` or `DeviceError`, the same as the merge would.
  init(
    _ recipe: MergeRecipe, method: any WeightsOnlyMethod, output: String?, memoryBudget: Int?,
    on backend: any ComputeBackend
  ) throws {
    self.method = method
    guard recipe.anchor == nil else {
      throw Failure(
        .usage, operation: "merge", subject: "--anchor", expected: "none with --method \(method.name)",
        got: recipe.anchor ?? "", advice: "Give every model with --model.")
    }
    guard (2...WeightedSumLimits.mostInputs).contains(recipe.models.count) else {
      throw Failure(
        .usage, operation: "merge", subject: "--model", expected: "2 to \(WeightedSumLimits.mostInputs) models",
        got: "\(recipe.models.count)",
        advice: recipe.models.count < 2 ? "Give --model once for each." : "Merge some first and the results after.")
    }
    let given = recipe.weights(of: recipe.models.count)
    let used = try method.weights(given: given, recipe: recipe)
    // Of equal paths the one with the smaller weight comes first, so that the order given does not matter.
    let order = recipe.models.indices.sorted { left, right in
      let (a, b) = (recipe.models[left], recipe.models[right])
      return a == b ? used[left] < used[right] : a.utf8.lexicographicallyPrecedes(b.utf8)
    }
    let models = try order.map { index throws(Failure) in
      try ModelDirectory(recipe.models[index], base: recipe.base)
    }
    let path = absolutePath(recipe.base ?? recipe.models[0])
    let reference = try models.first { $0.path == path } ?? ModelDirectory(path, base: recipe.base)
    if let output {
      try MergeModels.checkOutput(
        output, isApartFrom: (models + [reference]).flatMap { [$0.path, $0.checkpoint.directory] })
    }
    for model in models where model !== reference { try WeightsOnlyPlan.compareTokenizers(model, reference) }
    self.models = models
    digests = models.map { ModelDigester($0) }
    weights = order.map { used[$0] }
    fusion = try FusionPlan(models: models, reference: reference, elementType: recipe.elementType)
    memory = try StreamMemory(for: fusion, budget: memoryBudget, on: backend)
    try requireDeviceMemory(memory.ring.byteCount, on: backend.device)
    var recipe = recipe
    recipe.models = models.map(\.path)
    recipe.weights = order.map { given[$0] ?? 1 / Double(given.count) }
    recipe.base = reference.path
    recipe.normalize = recipe.normalize ?? true
    self.recipe = recipe
  }

  /// The plan for people.
  var text: String {
    let rows = zip(models, weights).map { "  \($0.path)  weight \($1)" }
    let fused = fusion.tensors.filter(\.isFused)
    let copies = fusion.copied.map { tensor in
      guard case .copied(let reason) = tensor.rule else { return "" }
      return "  \(tensor.layout.name): copied from \(fusion.reference.path) (\(reason.rawValue))"
    }
    let bytes = fused.reduce(0) { $0 + $1.byteCount }
    return """
      method: \(method.name), \(method.summary)
      models, in the order of sums:
      \(rows.joined(separator: "\n"))
      layout, types, configuration and tokenizer from: \(fusion.reference.path)
      to read: \(byteText(fusion.inputByteCount))
      to write: \(byteText(fusion.outputByteCount))
      memory: about \(byteText(memory.peak)) at most: \(memory.ring.slots) slots of \(memory.ring.pieceElements) elements \
      \(byteText(memory.ring.byteCount)), program \(byteText(MemoryPlan.program))
      \(TimeEstimate(bytes: fusion.inputByteCount + fusion.outputByteCount).text)
      tensors:
      \((["  \(fused.count) tensors, \(byteText(bytes)), fused with these weights"] + copies).joined(separator: "\n"))
      """
  }

  /// Rows of embeddings mean tokens, so tokenizers have to agree wherever both models have one.
  private static func compareTokenizers(_ model: ModelDirectory, _ reference: ModelDirectory) throws(Failure) {
    guard let difference = try model.tokenizerDifference(from: reference) else { return }
    throw Failure(
      .badData, operation: "merge", subject: model.path, expected: "the same tokenizer as \(reference.path)",
      got: difference, advice: "Rows of the embeddings would mean different tokens; use the base's tokenizer.")
  }
}

/// Merges models of any architecture with given weights, chunk by chunk.
public struct WeightsOnlyMerge {
  private let recipe: MergeRecipe
  private let method: any WeightsOnlyMethod
  private let memoryBudget: Int?
  private let backend: any ComputeBackend
  private let progress: MergeProgress

  /// Prepares a merge.
  ///
  /// - Parameters:
  ///   - recipe: What decides the result.
  ///   - method: How the weights are found.
  ///   - memoryBudget: The most bytes of memory to use; `nil` for a small default.
  ///   - backend: The device.
  ///   - progress: Who watches.
  public init(
    _ recipe: MergeRecipe, method: any WeightsOnlyMethod, memoryBudget: Int? = nil, on backend: any ComputeBackend,
    progress: MergeProgress = .unwatched
  ) {
    self.recipe = recipe
    self.method = method
    self.memoryBudget = memoryBudget
    self.backend = backend
    self.progress = progress
  }

  /// Merges into a directory.
  ///
  /// - Parameter target: The directory, and what becomes of what is there.
  /// - Returns: What was decided and done.
  /// - Throws: `Failure` or `DeviceError`; then nothing new stands under the name of the output.
  public func merge(into target: MergeTarget) throws -> MergeOutcome {
    let plan = try WeightsOnlyPlan(
      recipe, method: method, output: target.output, memoryBudget: memoryBudget, on: backend)
    if target.resume, let report = try plan.finishedReport(at: target.output, overwrite: target.overwrite) {
      return MergeOutcome(report: report, state: .finishedBefore)
    }
    let histories = try plan.models.map { model throws(Failure) in try ModelHistory(of: model) }
    let writer = try CheckpointWriter(
      output: target.output, shards: plan.fusion.shards, plan: plan.document(), overwrite: target.overwrite,
      resume: target.resume, stop: target.stop)
    return try writer.keepingWhatHelps {
      MergeOutcome(report: try merge(plan, histories: histories, writer: writer), state: .finished)
    }
  }

  private func merge(
    _ plan: WeightsOnlyPlan, histories: [ModelHistory?], writer: CheckpointWriter
  ) throws -> MergeReport {
    var timings = StageTimings(on: backend.device)
    plan.fusion.recordDigests(of: writer.finishedTensors, in: plan.digests)
    let fusion = ParameterFusion(
      plan.fusion, digests: plan.digests, writer: writer, allowsNonFinite: recipe.allowsNonFinite,
      ring: plan.memory.ring, on: backend, waits: timings.waits,
      progress: try progress.fusion("fuse", plan.fusion, writer))
    try timings.measure("fuse") {
      try fusion.fuse(plan.fusion.tensors.filter(\.isFused), weights: [.whole: plan.weights])
      try fusion.copyTheRest()
      try fusion.finish()
    }
    var models: [MergeReport.MergedModel] = []
    var lineage = Lineage()
    for (index, model) in plan.models.enumerated() {
      try histories[index]?.check(plan.digests[index].checkpointDigest())
      if let history = histories[index] { lineage.add(history.lineage) }
      models.append(try .init(model, isAnchor: false, plan.digests[index]))
    }
    var report = MergeReport(
      recipe: plan.recipe.json, models: models, samples: [], selectedBy: "",
      layers: [
        LayerWeights(layer: .whole, similarity: .init(values: []), weights: plan.weights, unrelated: nil)
      ],
      lineage: lineage)
    try MergeOutput(plan: plan.fusion, elementType: recipe.elementType, writer: writer)
      .finish(report, timings: timings)
    report.timings = timings
    return report
  }
}
