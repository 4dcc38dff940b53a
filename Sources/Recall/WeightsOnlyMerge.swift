import Checkpoint
import Compute
import Diagnostics
import Foundation
import JSON
import Tokenization

/// What a merge with given weights would do, found without reading an element of a weight.
public struct WeightsOnlyPlan: Sendable {
  /// The models; sums run in their order.
  let inputs: MergeInputs<ModelDirectory>
  /// The weight of each expert.
  let weights: [Double]
  /// The weights of the inputs of every layer's sums, those of the base included.
  let sums: [Layer: [Double]]
  /// What every tensor of the output is made of.
  let fusion: FusionPlan
  /// How tensors are made where that is more than a sum; `nil` where it is not.
  let rules: (any FusionRules)?
  /// What is kept in memory.
  let memory: StreamMemory
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
    try recipe.check()
    try method.check(recipe)
    guard recipe.anchor == nil else {
      throw Failure(
        .usage, operation: "merge", subject: "--anchor", expected: "none with --method \(method.name)",
        got: recipe.anchor ?? "", advice: "Give every model with --model.")
    }
    guard !method.weighsChanges || recipe.base != nil else {
      throw Failure(
        .usage, operation: "merge", subject: "--base", expected: "a base with --method \(method.name)", got: "none",
        advice: "Name the model that all were fine-tuned from.")
    }
    let usesBase = method.weighsChanges || recipe.scale != 1
    let fewest = method.weighsChanges ? 1 : 2
    let most = WeightedSumLimits.mostInputs - (usesBase ? 1 : 0)
    guard (fewest...most).contains(recipe.models.count) else {
      throw Failure(
        .usage, operation: "merge", subject: "--model", expected: "\(fewest) to \(most) models",
        got: "\(recipe.models.count)",
        advice: recipe.models.count < fewest ? "Give --model once for each." : "Merge some first and the results after."
      )
    }
    let given = recipe.weights(of: recipe.models.count)
    let used = try method.weights(given: given, recipe: recipe)
    // Of equal paths the one with the smaller weight comes first, so that the order given does not matter.
    let paths = recipe.models.map(absolutePath)
    let order = paths.indices.inCanonicalOrder(by: { paths[$0] }, then: { used[$0] < used[$1] })
    var recipe = recipe
    recipe.models = order.map { paths[$0] }
    inputs = try MergeInputs(
      recipe, reference: paths[0],
      base: method.takesBaseApart ? .sumsApart : method.weighsChanges ? .sums : .scaling, atLeast: fewest)
    if let output { try checkOutput(output, isApartFrom: inputs.places) }
    let weights = order.map { used[$0] }
    self.weights = weights
    let (reference, summed, origin) = (inputs.reference.model, inputs.summed.count, inputs.origin)
    let (assignment, scales) = try WeightsOnlyPlan.layers(of: reference, method, recipe)
    sums = scales.mapValues { scale in
      let weights = weights.map { $0 * scale }
      guard method.weighsChanges, let origin else { return weights }
      // Whatever the changes of the models do not take is the base's.
      var sum = weights + [Double](repeating: 0, count: summed - weights.count)
      sum[origin.input] += 1 - weights.reduce(0, +)
      return sum
    }
    fusion = try FusionPlan(inputs, assignment: assignment, elementType: recipe.elementType)
    rules = try method.rules(weights: weights, recipe: recipe, plan: fusion)
    memory = try StreamMemory(for: fusion, scratch: rules?.scratch ?? .none, budget: memoryBudget, on: backend)
    try requireDeviceMemory(memory.ring.byteCount, on: backend.device)
    recipe.weights = order.map { given[$0] ?? method.defaultWeight(models: given.count) }
    recipe.base = reference.path
    recipe.normalize = recipe.normalize ?? method.normalizesByDefault
    self.recipe = method.recorded(recipe, weights: weights)
  }

  /// The layers of the tensors and the scale of each of them, where scales depend on depth.
  ///
  /// - Throws: `Failure` when the depth of the models is not known.
  private static func layers(
    of reference: ModelDirectory, _ method: any WeightsOnlyMethod, _ recipe: MergeRecipe
  ) throws(Failure) -> (assignment: LayerAssignment?, scales: [Layer: Double]) {
    guard method.depthScales(recipe, blocks: 1) != nil else { return (nil, [.whole: 1]) }
    let configuration = try Model(directory: reference.path).configuration
    let scales = method.depthScales(recipe, blocks: configuration.blockCount) ?? [:]
    return (LayerAssignment(configuration), scales)
  }

  /// The plan for people.
  var text: String {
    let rows = zip(inputs.experts, weights).map { "  \($0.path)  weight \($1)" }
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
    let writer = try CheckpointWriter(
      output: target.output, shards: plan.fusion.shards, plan: plan.document(), overwrite: target.overwrite,
      resume: target.resume, stop: target.stop)
    return try writer.keepingWhatHelps {
      MergeOutcome(report: try merge(plan, writer: writer), state: .finished)
    }
  }

  private func merge(_ plan: WeightsOnlyPlan, writer: CheckpointWriter) throws -> MergeReport {
    var timings = StageTimings(on: backend.device)
    let digesters = plan.inputs.summed.map(\.digester)
    plan.fusion.recordDigests(of: writer.finishedTensors, in: digesters)
    let fusion = ParameterFusion(
      plan.fusion, digests: digesters, writer: writer, allowsNonFinite: recipe.allowsNonFinite,
      ring: plan.memory.ring, on: backend, waits: timings.waits,
      progress: try progress.fusion("fuse", plan.fusion, writer))
    try timings.measure("fuse") {
      let tensors = plan.fusion.tensors.filter(\.isFused)
      if let rules = plan.rules {
        try fusion.fuse(tensors, by: rules)
      } else {
        try fusion.fuse(tensors, weights: plan.sums)
      }
      try fusion.copyTheRest()
      try fusion.finish()
    }
    var report = MergeReport(
      recipe: plan.recipe, models: try plan.inputs.merged(), samples: [], selectedBy: "",
      layers: [
        LayerWeights(layer: .whole, similarity: .init(values: []), weights: plan.weights, unrelated: nil)
      ],
      lineage: plan.inputs.lineage)
    try MergeOutput(plan: plan.fusion, elementType: recipe.elementType, writer: writer)
      .finish(report, timings: timings)
    report.timings = timings
    return report
  }
}
