import Checkpoint
import Compute
import Diagnostics
import Foundation

/// RECALL from end to end: typical samples, hidden states, similarities, weights and fused parameters, layer by layer.
///
/// The depth is walked once: a layer of every model is read, run, compared, weighed, fused and written, and let go.
/// `merge` is what `select`, `extract`, `weigh` and `fuse` do one after the other, with the same bytes as result.
public struct HierarchicalMerge {
  /// How much memory residual streams may take where no budget is given, in bytes.
  public static let defaultStateBudget = 1 << 30

  private let recipe: MergeRecipe
  private let backend: any ComputeBackend
  private let memoryBudget: Int?
  private let solution: MapSolution?
  private let progress: MergeProgress

  /// Prepares a merge.
  ///
  /// - Parameters:
  ///   - recipe: What decides the result.
  ///   - memoryBudget: The most bytes of memory to use; `nil` for a small default.
  ///   - solution: What the linear maps are solved for; `nil` where they are fused like all else.
  ///   - backend: The device.
  ///   - progress: Who watches.
  public init(
    _ recipe: MergeRecipe, memoryBudget: Int? = nil, solution: MapSolution? = nil, on backend: any ComputeBackend,
    progress: MergeProgress = .unwatched
  ) {
    self.recipe = recipe
    self.memoryBudget = memoryBudget
    self.solution = solution
    self.backend = backend
    self.progress = progress
  }

  // MARK: The whole

  /// Merges into a directory.
  ///
  /// - Parameters:
  ///   - output: The directory to be created.
  ///   - overwrite: Whether it may replace one that exists.
  ///   - resume: Whether the leftover of a run that was stopped is taken up.
  ///   - stop: Ends the merge early, with what is finished saved.
  /// - Returns: What was decided and done.
  /// - Throws: `Failure` or `DeviceError`; then nothing new stands under the name of the output.
  public func merge(
    into output: String, overwrite: Bool, resume: Bool = false, stop: StopRequest = StopRequest()
  ) throws -> MergeOutcome {
    let plan = try MergePlan(recipe, memoryBudget: memoryBudget, output: output, solution: solution, on: backend)
    try requireDeviceMemory(plan.memory.deviceByteCount(stateBudget: plan.stateBudget), on: backend.device)
    if resume, let report = try plan.finishedReport(at: output, overwrite: overwrite) {
      return MergeOutcome(report: report, state: .finishedBefore)
    }
    let writer = try CheckpointWriter(
      output: output, shards: plan.fusion.shards, plan: plan.document(), overwrite: overwrite, resume: resume,
      scratchByteCount: plan.scratchByteCount, stop: stop)
    return try writer.keepingWhatHelps {
      let report = try merge(plan, writer: writer)
      return MergeOutcome(report: report, state: .finished)
    }
  }

  private func merge(_ plan: MergePlan, writer: CheckpointWriter) throws -> MergeReport {
    var inputs = plan.inputs
    let fusionPlan = plan.fusion
    var timings = StageTimings(on: backend.device)
    let decisions = MergeDecisions(writer, models: inputs.experts.count)
    let digests = inputs.summed.map(\.digester)
    plan.fusion.recordDigests(of: writer.finishedTensors, in: digests)
    let typical = try timings.measure("select") {
      let scratchDirectory = parentDirectory(of: writer.output)
      try selectOwnSamples(of: &inputs, plan, decisions: decisions, scratchDirectory: scratchDirectory)
      return try sharedSamples(plan, inputs, decisions: decisions, scratchDirectory: scratchDirectory)
    }
    let fusion = ParameterFusion(
      fusionPlan, digests: digests, writer: writer, allowsNonFinite: recipe.allowsNonFinite,
      ring: plan.memory.ring, on: backend, waits: timings.waits,
      progress: try self.progress.fusion("merge", fusionPlan, writer))
    let walk = try LayerWalk(
      inputs.experts.map(\.walked), reading: inputs.read.filter { !$0.isMerged }.map(\.walked),
      samples: SampleBatches(typical.samples, on: backend), pooling: typical.header.pooling, on: backend,
      waits: timings.waits)
    if !recipe.weighing.isKnownLayerByLayer, !typical.samples.isEmpty,
      decisions.layers(of: inputs.reference.model) == nil
    {
      let layers = try timings.measure("extract") {
        try weighAfterAll(walk, inputs: inputs, checkStop: writer.checkStop)
      }
      try requireSimilarity(layers, inputs: inputs)
      try layers.forEach(decisions.keep)
    }
    func weigh(_ visit: (LayerWeights, [ResidentTensors]) throws -> Void) throws {
      try self.weigh(
        walk, inputs: inputs, typical: typical, decisions: decisions, checkStop: writer.checkStop, visit: visit)
    }
    var balance: [Double]?
    var layers: [LayerWeights] = []
    if let alignment = plan.alignment {
      let groups = alignment.rule.share > 0 ? inputs.groups(shared: typical) : []
      let aligned = AlignedMerge(
        alignment: alignment, inputs: inputs, plan: fusionPlan, groups: groups, decisions: decisions,
        stateBudget: plan.stateBudget, backend: backend, checkStop: writer.checkStop, progress: progress)
      let found = try timings.measure("balance") { try aligned.balance(weigh) }
      balance = LayerAlignment.weights(ofModels: inputs.experts.count, groups, found)
      layers = try timings.measure("merge") { try aligned.fuse(balance: found, with: fusion, weigh) }
    } else if let decided = decisions.layers(of: inputs.reference.model) {
      // All was decided before: by an earlier run, or because the bandwidth needs every state. No state is needed any more.
      layers = decided
      try timings.measure("merge") {
        try fusion.fuse(fusionPlan.tensors.filter(\.isFused), weights: decided.byLayer)
      }
    } else {
      try timings.measure("merge") {
        try weigh { layer, resident in
          layers.append(layer)
          try fusion.fuse(
            fusionPlan.tensors(of: layer.layer), weights: [layer.layer: layer.weights], resident: resident)
        }
      }
    }
    var report = try timings.measure("finish") {
      try fusion.copyTheRest()
      try fusion.finish()
      return try self.report(
        inputs, pool: plan.pool, typical: typical, layers: layers, balance: balance)
    }
    try MergeOutput(plan: fusionPlan, elementType: recipe.elementType, writer: writer).finish(report, timings: timings)
    report.timings = timings
    return report
  }

  /// Walks the depth and weighs the models at every layer; without samples they are equal.
  private func weigh(
    _ walk: LayerWalk, inputs: MergeInputs<Model>, typical: TypicalSamples, decisions: MergeDecisions,
    checkStop: () throws -> Void, visit: (LayerWeights, [ResidentTensors]) throws -> Void
  ) throws {
    var layers: [LayerWeights] = []
    try walk.run { layer, representations, resident in
      try checkStop()
      let decided =
        typical.samples.isEmpty
        ? LayerWeights(equal: inputs.experts.count, at: layer)
        : decisions[layer] ?? weigh(layer, representations, inputs: inputs, header: typical.header)
      layers.append(decided)
      if !typical.samples.isEmpty {
        try requireSimilarity(layers, inputs: inputs)
        try decisions.keep(decided)
      }
      try visit(decided, resident)
    }
  }

  /// Compares models as a merge would, and merges nothing.
  ///
  /// - Parameter scratchDirectory: Where a temporary file may be kept.
  /// - Returns: Similarities, and the weights that a merge would use.
  /// - Throws: `Failure` or `DeviceError`.
  public func compare(scratchDirectory: String) throws -> MergeReport {
    let plan = try MergePlan(recipe, memoryBudget: memoryBudget, output: nil, on: backend)
    let inputs = plan.inputs
    let typical = try typicalSamples(
      of: plan.pool, model: inputs.reference.walked, stateBudget: plan.stateBudget,
      scratchDirectory: scratchDirectory)
    let walk = try LayerWalk(
      inputs.experts.map(\.walked), samples: SampleBatches(typical.samples, on: backend),
      pooling: typical.header.pooling, on: backend)
    var layers: [LayerWeights] = []
    if recipe.weighing.isKnownLayerByLayer {
      try walk.run { layer, representations, _ in
        layers.append(weigh(layer, representations, inputs: inputs, header: typical.header))
        progress("extract", layers.count, of: inputs.layerCount, unit: "layers")
        try requireSimilarity(layers, inputs: inputs)
      }
    } else {
      layers = try weighAfterAll(walk, inputs: inputs)
      try requireSimilarity(layers, inputs: inputs)
    }
    return try report(inputs, pool: plan.pool, typical: typical, layers: layers)
  }

  // MARK: The stages

  /// Selects the typical samples of a pool: the stage `select`.
  ///
  /// - Parameters:
  ///   - path: The model directory.
  ///   - scratchDirectory: Where a temporary file may be kept.
  /// - Returns: The samples and how they were found.
  /// - Throws: `Failure` or `DeviceError`.
  public func select(model path: String, scratchDirectory: String) throws -> TypicalSamples {
    let model = try Model(directory: path, base: recipe.base)
    let pool = try Pool(recipe: recipe, reference: model, models: [model])
    try pool.checkSelection(recipe, model: model)
    guard pool.file.selection == nil else {
      throw Failure(
        .usage, operation: "select typical samples", subject: pool.file.path, expected: "a pool of samples",
        got: "samples that were selected already")
    }
    let stateBudget = try stateBudget(of: model, over: pool)
    return try typicalSamples(
      of: pool, model: WalkedModel(model: model), stateBudget: stateBudget,
      scratchDirectory: scratchDirectory)
  }

  /// Runs one model over samples: the stage `extract`.
  ///
  /// - Throws: `Failure` or `DeviceError`.
  public func extract(model path: String) throws -> HiddenStateFile {
    let input = try MergeInput<Model>(alone: path, base: recipe.base)
    let model = input.model
    let pool = try Pool(recipe: recipe, reference: model, models: [model])
    let stateBudget = try stateBudget(of: model, over: pool)
    let names = Layer.all(blocks: model.configuration.blockCount)
    let width = model.configuration.hiddenSize
    let passes = SampleBatches.passes(
      lengths: pool.samples.map(\.tokens.count), width: width, byteBudget: stateBudget,
      on: backend.device.kind)
    var values = [[Float]](repeating: [], count: names.count)
    var done = 0
    for range in passes {
      let walk = try LayerWalk(
        [input.walked], samples: SampleBatches(Array(pool.samples[range]), on: backend),
        pooling: pool.pooling, on: backend)
      try walk.run { _, representations, _ in
        values[done % names.count] += try backend.download(representations[0])
        done += 1
        progress("extract", done, of: passes.count * names.count, unit: "layers")
      }
    }
    let layers = zip(names, values).map { layer, values in
      LayerRepresentation(layer: layer, samples: pool.samples.count, width: width, values: values)
    }
    return HiddenStateFile(
      source: try input.merged(), pooling: pool.pooling, maxTokens: pool.maxTokens,
      selection: pool.file.selection, samples: pool.samples.map(\.sample), layers: layers,
      lineage: input.history?.lineage ?? Lineage())
  }

  /// Weighs models by their extracts: the stage `weigh`.
  ///
  /// - Parameters:
  ///   - anchor: The anchor's extract, if there is an anchor.
  ///   - others: The extracts of the other models.
  /// - Returns: Similarities and weights of every layer.
  /// - Throws: `Failure` when the extracts are not of the same samples and options; `DeviceError`.
  public func weigh(anchor: HiddenStateFile?, others: [HiddenStateFile]) throws -> MergeReport {
    try recipe.check()
    var files = others.map { (file: $0, isAnchor: false) }
    if let anchor { files.append((anchor, true)) }
    files = files.inCanonicalOrder(by: \.file.model) { $0.isAnchor && !$1.isAnchor }
    let extracts = files.map(\.file)
    try HiddenStateFile.checkAgreement(of: extracts)
    let anchorIndex = files.firstIndex(where: \.isAnchor)
    let reference = anchorIndex.map { extracts[$0] } ?? extracts[0]
    if recipe.weighing.bandwidth == .anchorMedian, reference.selection == nil {
      throw Failure(
        .usage, operation: "weigh", subject: "--bandwidth", expected: "extracts of samples that recall select wrote",
        got: "extracts of other samples", advice: "Choose layer-median, global-median or a number, or select first.")
    }

    var distances: [(layer: LayerRepresentation, between: InterModelDistances)] = []
    for (number, layer) in reference.layers.enumerated() {
      let states = try backend.upload(extracts.flatMap { $0.layers[number].values }, columns: layer.width)
      let representations = try LayerRepresentations(states, models: extracts.count, on: backend)
      distances.append((layer, InterModelDistances(representations, measure: recipe.weighing.distance)))
    }
    let globalMedian = medianBandwidth(of: distances.flatMap(\.between.all))
    let layers = distances.map { layer, between in
      recipe.weighing.weigh(
        layer.layer, distances: between, width: layer.width, anchor: anchorIndex,
        anchorMedian: reference.selection?.anchorMedian[recipe.weighing.distance], globalMedian: globalMedian)
    }
    try checkSelected(reference.selection, by: anchor?.model)
    var used = try recipeAsUsed(for: reference)
    used.anchor = anchor?.model
    used.models = others.map(\.model)
    used.base = extracts.lazy.compactMap(\.source.base).first?.path ?? (recipe.scale == 1 ? nil : recipe.base)
    used.pooling = reference.pooling
    used.maxTokens = reference.maxTokens
    // Without an anchor, fusion takes layout and configuration from the model that selected the samples.
    if anchor == nil, used.base == nil { used.typicalFrom = reference.selection?.model }
    try DistantModels.require(
      recipe.requiredSimilarity, of: layers, of: layers.count, models: extracts.map(\.model))
    var lineage = Lineage()
    for extract in extracts { lineage.add(extract.lineage) }
    return MergeReport(
      recipe: used,
      models: files.map { file in
        var model = file.file.source
        model.isAnchor = file.isAnchor
        return model
      },
      samples: reference.samples, selectedBy: reference.selection?.model ?? reference.model, layers: layers,
      lineage: lineage)
  }

  /// Fuses models with weights that were computed before: the stage `fuse`.
  ///
  /// - Parameters:
  ///   - report: The weights, and the models in canonical order.
  ///   - path: The file they came from, for errors.
  ///   - moved: Where models are now, when they are not where the report says; matched by path, else by directory name.
  ///   - output: The directory to be created.
  ///   - overwrite: Whether it may replace one that exists.
  ///   - resume: Whether the leftover of a run that was stopped is taken up.
  ///   - part: Which of several processes this is that fuse into the same output, possibly on several machines. What other
  ///     parts have written is taken up in any case; the last one completes the output.
  ///   - stop: Ends the work early, with what is finished saved.
  /// - Returns: The report with the places where the models were found, and whether the output is finished.
  /// - Throws: `Failure` or `DeviceError`; then nothing new stands under the name of the output.
  public func fuse(
    _ report: MergeReport, from path: String, moved: [String], into output: String, overwrite: Bool,
    resume: Bool = false, part: Part? = nil, stop: StopRequest = StopRequest()
  ) throws -> MergeOutcome {
    let plan = try FuseStage(report, from: path, moved: moved, recipe: recipe, output: output, isShared: part != nil)
    if part != nil, overwrite {
      throw Failure(
        .usage, operation: "fuse", subject: "--overwrite", expected: "no such option beside --part", got: "both",
        advice: "Parts share what they write; remove the output and its leftover before the first part starts.")
    }
    if resume || part != nil, let report = try plan.finishedReport(at: output, overwrite: overwrite) {
      return MergeOutcome(report: report, state: .finishedBefore)
    }
    let memory = try StreamMemory(for: plan.fusion, budget: memoryBudget, on: backend)
    try requireDeviceMemory(memory.ring.byteCount, on: backend.device)
    let writer = try CheckpointWriter(
      output: output, shards: plan.fusion.shards, plan: plan.document, part: part ?? .whole, overwrite: overwrite,
      resume: resume, stop: stop)
    return try writer.keepingWhatHelps {
      var timings = StageTimings(on: backend.device)
      if part != nil { try writer.note(["models": .array(plan.fusion.models.map { .string($0.path) })]) }
      let digests = plan.inputs.summed.map(\.digester)
      let fusion = ParameterFusion(
        plan.fusion, digests: digests, writer: writer, allowsNonFinite: recipe.allowsNonFinite,
        ring: memory.ring, on: backend, waits: timings.waits,
        progress: try self.progress.fusion("fuse", plan.fusion, writer))
      try timings.measure("fuse") {
        try fusion.fuse(plan.fusion.tensors.filter(\.isFused), weights: plan.weights)
        try fusion.copyTheRest()
        try fusion.finish()
      }
      switch try writer.requestCompletion() {
      case .waiting(let parts): return MergeOutcome(report: plan.report, state: .waiting(for: parts))
      case .elsewhere: return MergeOutcome(report: plan.report, state: .completedElsewhere)
      case .possible: break
      }
      plan.fusion.recordDigests(of: writer.finishedTensors, in: digests)
      try plan.checkModels()
      try MergeOutput(plan: plan.fusion, elementType: plan.elementType, writer: writer)
        .finish(plan.report, timings: timings)
      return MergeOutcome(report: plan.report, state: .finished)
    }
  }

  // MARK: Steps

  /// How many bytes the residual stream of one model's pass may take, where budget and device can hold the pass.
  private func stateBudget(of model: Model, over pool: Pool) throws -> Int {
    let memory = PassMemory(of: model, over: pool, on: backend)
    let stateBudget = try memory.stateBudget(within: memoryBudget)
    try requireDeviceMemory(memory.peak(stateBudget), on: backend.device)
    return stateBudget
  }

  /// The typical samples of a pool: found by clustering, or the pool itself when it was selected before.
  private func typicalSamples(
    of pool: Pool, model: WalkedModel, stateBudget: Int, scratchDirectory: String
  ) throws -> TypicalSamples {
    if let header = pool.file.selection {
      try checkSelected(header, by: recipe.anchor)
      return TypicalSamples(header: header, samples: pool.samples)
    }
    let selection = TypicalSampleSelection(
      model: model, recipe: recipe, stateBudget: stateBudget, scratchDirectory: scratchDirectory,
      on: backend)
    return try selection.select(from: pool.samples, takesAll: pool.isTypical, progress: progress)
  }

  /// The typical samples that all models are compared on; none where there are none.
  private func sharedSamples(
    _ plan: MergePlan, _ inputs: MergeInputs<Model>, decisions: MergeDecisions, scratchDirectory: String
  ) throws -> TypicalSamples {
    let pool =
      recipe.samples == nil
      ? plan.alignment?.sharedPool(of: inputs.pools, recipe: recipe) ?? plan.pool : plan.pool
    if let known = decisions.typicalSamples(of: pool) { return known }
    guard !pool.samples.isEmpty else {
      return TypicalSamples(
        header: SelectionHeader(
          model: inputs.reference.path, clusterLayer: recipe.clusterLayer.name, pooling: recipe.poolingOrDefault,
          maxTokens: recipe.maxTokensOrDefault, seed: recipe.seed, anchorMedian: [:]),
        samples: [])
    }
    let typical = try typicalSamples(
      of: pool, model: inputs.reference.walked, stateBudget: plan.stateBudget,
      scratchDirectory: scratchDirectory)
    try decisions.keep(typical)
    return typical
  }

  /// Leaves of every pool that an expert brings its typical samples.
  private func selectOwnSamples(
    of inputs: inout MergeInputs<Model>, _ plan: MergePlan, decisions: MergeDecisions, scratchDirectory: String
  ) throws {
    for (expert, pool) in inputs.selecting {
      let typical =
        try decisions.typicalSamples(of: pool, owner: expert.path)
        ?? TypicalSampleSelection(
          model: expert.walked, recipe: recipe, stateBudget: plan.stateBudget, scratchDirectory: scratchDirectory,
          on: backend
        ).select(from: pool.samples, progress: progress)
      try decisions.keep(typical, owner: expert.path)
      inputs.give(.pool(pool.keeping(typical.samples)), to: expert)
    }
  }

  private func weigh(
    _ layer: Layer, _ representations: LayerRepresentations, inputs: MergeInputs<Model>, header: SelectionHeader
  ) -> LayerWeights {
    recipe.weighing.weigh(
      layer, distances: InterModelDistances(representations, measure: recipe.weighing.distance),
      width: representations[0].columns, anchor: inputs.anchor?.place,
      anchorMedian: header.anchorMedian[recipe.weighing.distance])
  }

  /// Weighs with a bandwidth that needs the distances of all layers first.
  private func weighAfterAll(
    _ walk: LayerWalk, inputs: MergeInputs<Model>, checkStop: () throws -> Void = {}
  ) throws -> [LayerWeights] {
    var distances: [(layer: Layer, between: InterModelDistances)] = []
    try walk.run { layer, representations, _ in
      try checkStop()
      distances.append((layer, InterModelDistances(representations, measure: recipe.weighing.distance)))
      progress("extract", distances.count, of: inputs.layerCount, unit: "layers")
    }
    let globalMedian = medianBandwidth(of: distances.flatMap(\.between.all))
    return distances.map { layer, between in
      recipe.weighing.weigh(
        layer, distances: between, width: inputs.reference.model.configuration.hiddenSize, anchor: inputs.anchor?.place,
        anchorMedian: nil, globalMedian: globalMedian)
    }
  }

  private func report(
    _ inputs: MergeInputs<Model>, pool: Pool, typical: TypicalSamples, layers: [LayerWeights],
    balance: [Double]? = nil
  ) throws(Failure) -> MergeReport {
    let shared = [(model: typical.header.model, samples: typical.samples.map(\.sample))]
    let owned = inputs.experts.compactMap { expert in
      expert.samples?.pool.map { (model: expert.path, samples: $0.samples.map(\.sample)) }
    }
    var models = try inputs.merged()
    for (model, weight) in (balance ?? []).enumerated() { models[model].alignmentWeight = weight }
    return MergeReport(
      recipe: recipe.asUsed(with: pool.file.selection, samples: typical.samples.count),
      models: models, samples: (recipe.samples == nil ? [] : shared) + owned, layers: layers,
      lineage: inputs.lineage)
  }

  // MARK: Checks

  private func requireSimilarity(_ layers: [LayerWeights], inputs: MergeInputs<Model>) throws(Failure) {
    try DistantModels.require(
      recipe.requiredSimilarity, of: layers, of: inputs.layerCount, models: inputs.experts.map(\.path))
  }

  /// The recipe that extracts were made by: where it names the pool, it is the one that selected from it, and has to agree.
  private func recipeAsUsed(for extract: HiddenStateFile) throws(Failure) -> MergeRecipe {
    guard let path = recipe.samples, let selection = extract.selection, try SampleFile(path: path).selection == nil
    else { return recipe.asUsed(with: extract.selection, samples: extract.samples.count) }
    let wanted = SelectionHeader(
      model: selection.model, clusterLayer: Layer.block(recipe.clusterLayer.block(of: extract.layers.count - 2)).name,
      pooling: recipe.poolingOrDefault, maxTokens: recipe.maxTokensOrDefault, seed: recipe.seed,
      anchorMedian: selection.anchorMedian)
    guard wanted.json.compact == selection.json.compact else {
      throw Failure(
        .badData, operation: "weigh", subject: "the extract of \(extract.model)",
        expected: "samples selected by the recipe (\(wanted.json.compact))", got: selection.json.compact,
        advice: "Select and extract again with this recipe.")
    }
    return recipe
  }

  /// σ of the median heuristic is the anchor's own; another model's would be a stranger's.
  private func checkSelected(_ header: SelectionHeader?, by anchor: String?) throws(Failure) {
    guard let header, let anchor, recipe.weighing.bandwidth == .anchorMedian else { return }
    func name(_ path: String) -> Substring? { path.split(separator: "/").last }
    guard header.model != anchor, name(header.model) != name(anchor) else { return }
    throw Failure(
      .usage, operation: "find the bandwidth", subject: "--anchor",
      expected: "\(header.model), which selected the samples", got: anchor,
      advice: "Select with this anchor, or choose another --bandwidth.")
  }
}
