import Compute
import Diagnostics
import Foundation

/// What a merge would do, found without reading an element: for `--dry-run`.
struct MergePlan: Sendable {
  /// The models in canonical order.
  let inputs: MergeInputs<Model>
  /// What every tensor of the output is made of.
  let fusion: FusionPlan
  /// What is kept in memory.
  let memory: MemoryPlan
  /// The samples of the pool.
  let samples: Int
  /// Their tokens.
  let tokens: Int
  /// Whether they were selected already.
  let isSelected: Bool
  /// The samples, encoded.
  let pool: Pool
  /// What solving for the linear maps needs; `nil` where they are fused.
  let alignment: AlignmentPlan?
  /// How many bytes the residual stream of a pass over the pool may take.
  let stateBudget: Int
  let recipe: MergeRecipe

  /// Checks everything that can be checked before the output is created.
  ///
  /// - Parameters:
  ///   - recipe: What is to be merged how.
  ///   - memoryBudget: The most memory to use, if it is bounded.
  ///   - output: Where the output will be, if that is known.
  ///   - solution: What the linear maps are solved for; `nil` where they are fused.
  ///   - backend: The device.
  /// - Throws: `Failure`, the same as the merge would.
  init(
    _ recipe: MergeRecipe, memoryBudget: Int?, output: String?, solution: MapSolution? = nil,
    on backend: any ComputeBackend
  ) throws(Failure) {
    try recipe.check()
    self.recipe = recipe
    var inputs = try MergeInputs<Model>(
      recipe, reference: recipe.typicalFrom ?? (solution == nil ? nil : recipe.models.first),
      base: solution == .aligned ? .learning : .scaling)
    fusion = try FusionPlan(inputs, elementType: recipe.elementType)
    if let solution {
      alignment = try AlignmentPlan(recipe, inputs: &inputs, solution: solution)
    } else {
      alignment = nil
    }
    self.inputs = inputs
    if let output {
      let others = [recipe.samples, recipe.base].compactMap { $0 } + recipe.samplesOfModels.values
      try checkOutput(output, isApartFrom: inputs.places + others)
    }
    if let alignment, recipe.samples == nil {
      pool = alignment.sharedPool(of: inputs.pools, recipe: recipe)
      let isNamed = recipe.anchor != nil || recipe.base != nil || recipe.typicalFrom != nil
      guard pool.samples.isEmpty || isNamed else { throw .noSelector }
    } else {
      let reference = inputs.reference.model
      pool = try Pool(recipe: recipe, reference: reference, models: inputs.experts.map(\.model))
      try pool.checkSelection(recipe, model: reference)
    }
    samples = pool.samples.count
    tokens = pool.samples.reduce(0) { $0 + $1.tokens.count }
    isSelected = pool.file.selection != nil
    memory = try MemoryPlan(
      inputs: inputs, fusion: fusion, pool: pool, alignment: alignment, budget: memoryBudget, on: backend)
    stateBudget = memory.stateBudget(within: memoryBudget)
  }

  /// The plan for people, with the time that the merge takes as far as a short measurement tells.
  ///
  /// - Parameter backend: The device, which is measured.
  /// - Returns: Lines.
  /// - Throws: `DeviceError`.
  func text(on backend: any ComputeBackend) throws(DeviceError) -> String {
    let configuration = inputs.reference.model.configuration
    let selection = passes.reduce(0) { $0 + $1.blockByteCount }
    let models = inputs.experts.map { "  \($0.path)\($0.role == .anchor ? "  (anchor)" : "")" }
    let states = inputs.experts.reduce(0) { $0 + $1.model.blockByteCount }
    let again = recipe.weighing.isKnownLayerByLayer ? "" : ", \(byteText(states)) more for the bandwidth"
    let rehearsals = alignment?.rehearsals ?? 0
    let balance = rehearsals == 0 ? "" : ", \(byteText(rehearsedByteCount)) more for \(rehearsals) rehearsals"
    return """
      models, in the order of sums:
      \(models.joined(separator: "\n"))
      layout, types, configuration and tokenizer from: \(inputs.reference.path)
      architecture: \(configuration.modelType), \(configuration.blockCount) blocks, width \
      \(configuration.hiddenSize), vocabulary \(configuration.vocabularySize)
      \(sampleLines.joined(separator: "\n"))
      to read: \(byteText(fusion.inputByteCount)) for fusion, \(byteText(selection)) more for the selection\(again)\
      \(balance)
      to write: \(byteText(fusion.outputByteCount))
      memory: about \(byteText(memory.peak)) at most: layers \(byteText(memory.layers)), activations \
      \(byteText(memory.activations))\(memory.alignment > 0 ? ", alignment \(byteText(memory.alignment))" : ""), \
      pieces \(byteText(memory.pieces)), program \(byteText(MemoryPlan.program))
      \(try time(on: backend).text)
      tensors:
      \(groups.joined(separator: "\n"))
      """
  }

  /// What rehearsals read: the blocks and the head of every model, and once more to find out what the models have learned.
  private var rehearsedByteCount: Int {
    let rehearsals = alignment?.rehearsals ?? 0
    guard rehearsals > 0 else { return 0 }
    return (rehearsals + 1)
      * inputs.read.map(\.model).reduce(0) { sum, model in
        sum + model.blockByteCount
          + (model.directory.source(of: model.configuration.stem.head.name)?.byteRange.count ?? 0)
      }
  }

  /// The models that run over a pool so that typical samples are selected, or their distances known.
  private var passes: [Model] {
    (isSelected || samples == 0 ? [] : [inputs.reference.model]) + inputs.selecting.map(\.expert.model)
  }

  /// What is compared and fitted to.
  private var sampleLines: [String] {
    let selection = isSelected ? "selected before" : "\(recipe.typical) to be selected"
    guard let alignment else { return ["samples: \(samples) with \(tokens) tokens, \(selection)"] }
    let shared =
      recipe.samples == nil
      ? (samples == 0 ? "none; all models weigh the same" : "the typical ones of all models")
      : "\(samples) with \(tokens) tokens, \(selection)"
    let own = inputs.experts.map { expert in
      let what: String =
        switch expert.samples {
        case .pool(let pool):
          "\(pool.samples.count) of \(pool.file.path), "
            + (pool.isTypical ? "all typical" : "\(recipe.typical) to be selected")
        case .shared: "those of all models"
        case nil: "none"
        }
      return "  \(expert.path): \(what)"
    }
    return [
      "linear maps: solved for, \(alignment.ruleText)", "samples that models are compared on: \(shared)",
      "samples of their own:",
    ] + own
  }

  private func time(on backend: any ComputeBackend) throws(DeviceError) -> TimeEstimate {
    let lengths = pool.samples.map(\.tokens.count)
    let walks = MergeCosts(
      recipe, inputs: inputs, fusion: fusion, samples: .init(lengths: lengths, isSelected: isSelected)
    ).walks.map(\.walk)
    let weights = fusion.tensors.first { $0.isFused }?.layout.type
    let solved =
      alignment.map { alignment in
        alignment.operations(
          inputs.reference.model.configuration, lengths: alignment.sampleLengths(shared: pool))
      } ?? 0
    return TimeEstimate(
      bytes: walks.reduce(0) { $0 + $1.read + $1.written } + rehearsedByteCount,
      operations: walks.reduce(solved) { $0 + Double($1.flops) },
      operationsPerSecond: try measuredProductRate(
        weights: weights == .bfloat16 ? .bfloat16 : weights == .float16 ? .float16 : .float32, on: backend))
  }

  /// One line per group of tensors with the rule that holds for it.
  private var groups: [String] {
    let layers = Layer.all(blocks: inputs.reference.model.configuration.blockCount)
    let blocks = layers.filter { if case .block = $0 { true } else { false } }
    func line(_ name: String, _ tensors: [PlannedTensor], _ rule: String) -> String {
      let bytes = tensors.reduce(0) { $0 + $1.byteCount }
      return "  \(name): \(tensors.count) tensors, \(byteText(bytes)), \(rule)"
    }
    func names(_ tensors: [PlannedTensor]) -> String { tensors.map(\.layout.name).joined(separator: ", ") }
    let embedding = fusion.tensors(of: .embedding)
    let head = fusion.tensors(of: .head)
    let headRule =
      alignment == nil || inputs.reference.model.configuration.stem.tiesHead
      ? "fused with the weights of head" : "the head solved for, the norm fused with the weights of head"
    return [
      line("embedding", embedding, "fused with the weights of embedding: \(names(embedding))"),
      line(
        "block.0 to block.\(blocks.count - 1)", blocks.flatMap(fusion.tensors(of:)),
        alignment == nil
          ? "each fused with the weights of its block"
          : "linear maps solved for, all else fused with the weights of its block"),
      line("head", head, "\(headRule): \(names(head))"),
    ]
      + fusion.copied.map { tensor in
        guard case .copied(let reason) = tensor.rule else { return "" }
        return "  \(tensor.layout.name): copied from \(inputs.reference.path) (\(reason.rawValue))"
      }
  }
}

extension PlannedTensor {
  /// The bytes of the tensor in the output.
  var byteCount: Int { layout.type.byteCount(shape: layout.shape) ?? 0 }
}
