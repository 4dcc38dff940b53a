import Compute
import Diagnostics
import Foundation

/// What a merge would do, found without reading an element: for `--dry-run`.
public struct MergePlan: Sendable {
  /// The models in canonical order.
  public let inputs: MergeModels
  /// What every tensor of the output is made of.
  public let fusion: FusionPlan
  /// What is kept in memory.
  public let memory: MemoryPlan
  /// The samples of the pool.
  public let samples: Int
  /// Their tokens.
  public let tokens: Int
  /// Whether they were selected already.
  public let isSelected: Bool
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
  ///   - aligns: Whether the linear maps are solved for.
  ///   - backend: The device.
  /// - Throws: `Failure`, the same as the merge would.
  public init(
    _ recipe: MergeRecipe, memoryBudget: Int?, output: String?, aligns: Bool = false, on backend: any ComputeBackend
  ) throws(Failure) {
    try recipe.check()
    self.recipe = recipe
    inputs = try MergeModels(recipe, selects: !aligns, usesBase: aligns)
    let origin = inputs.origin(scale: recipe.scale)
    fusion = try FusionPlan(
      models: inputs.models + (origin == nil ? [] : inputs.companions), origin: origin, reference: inputs.reference,
      elementType: recipe.elementType)
    alignment = aligns ? try AlignmentPlan(recipe, inputs: inputs) : nil
    if let output {
      let paths =
        (inputs.models + [inputs.reference]).map(\.path) + [recipe.samples, recipe.base].compactMap { $0 }
        + recipe.samplesOfModels.values
      try MergeModels.checkOutput(output, isApartFrom: paths)
    }
    if let alignment, recipe.samples == nil {
      pool = Pool(joining: alignment.allPools, recipe: recipe)
      let isNamed = recipe.anchor != nil || recipe.base != nil || recipe.typicalFrom != nil
      guard pool.samples.isEmpty || isNamed else { throw MergeModels.noSelector() }
    } else {
      pool = try Pool(recipe: recipe, reference: inputs.reference, models: inputs.models)
      try pool.checkSelection(recipe, model: inputs.reference)
    }
    samples = pool.samples.count
    tokens = pool.samples.reduce(0) { $0 + $1.tokens.count }
    isSelected = pool.file.selection != nil
    memory = try MemoryPlan(
      inputs: inputs, fusion: fusion, pool: pool, alignment: alignment, budget: memoryBudget, on: backend)
    stateBudget = memory.stateBudget(within: memoryBudget)
  }

  /// The plan for people.
  public var text: String {
    let configuration = inputs.reference.configuration
    let selection = isSelected ? 0 : inputs.reference.blockByteCount
    let models = inputs.models.enumerated().map { index, model in
      "  \(model.path)\(index == inputs.anchor ? "  (anchor)" : "")"
    }
    let states = inputs.models.reduce(0) { $0 + $1.blockByteCount }
    let again = recipe.weighing.isKnownLayerByLayer ? "" : ", \(byteText(states)) more for the bandwidth"
    return """
      models, in the order of sums:
      \(models.joined(separator: "\n"))
      layout, types, configuration and tokenizer from: \(inputs.reference.path)
      architecture: \(configuration.architecture.modelType), \(configuration.blockCount) blocks, width \
      \(configuration.hiddenSize), vocabulary \(configuration.vocabularySize)
      samples: \(samples) with \(tokens) tokens, \(isSelected ? "selected before" : "\(recipe.typical) to be selected")
      to read: \(byteText(fusion.inputByteCount)) for fusion, \(byteText(selection)) more for the selection\(again)
      to write: \(byteText(fusion.outputByteCount))
      memory: about \(byteText(memory.peak)) at most: layers \(byteText(memory.layers)), activations \
      \(byteText(memory.activations))\(memory.alignment > 0 ? ", alignment \(byteText(memory.alignment))" : ""), \
      pieces \(byteText(memory.pieces)), program \(byteText(MemoryPlan.program))
      tensors:
      \(groups.joined(separator: "\n"))
      """
  }

  /// One line per group of tensors with the rule that holds for it.
  private var groups: [String] {
    let layers = Layer.all(blocks: inputs.reference.configuration.blockCount)
    let blocks = layers.filter { if case .block = $0 { true } else { false } }
    func line(_ name: String, _ tensors: [PlannedTensor], _ rule: String) -> String {
      let bytes = tensors.reduce(0) { $0 + $1.byteCount }
      return "  \(name): \(tensors.count) tensors, \(byteText(bytes)), \(rule)"
    }
    func names(_ tensors: [PlannedTensor]) -> String { tensors.map(\.layout.name).joined(separator: ", ") }
    let embedding = fusion.tensors(of: .embedding)
    let head = fusion.tensors(of: .head)
    return [
      line("embedding", embedding, "fused with the weights of embedding: \(names(embedding))"),
      line(
        "block.0 to block.\(blocks.count - 1)", blocks.flatMap(fusion.tensors(of:)),
        "each fused with the weights of its block"),
      line("head", head, "fused with the weights of head: \(names(head))"),
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
