import Checkpoint
import Compute
import Diagnostics

/// A merge that takes typical samples and hidden states from a cache, and leaves there what it had to compute.
///
/// It runs the stages, so its output has the bytes of the merge in one pass. A merge whose samples and models are in the
/// cache costs no forward pass: it weighs and fuses. Methods that have no stages merge as they do without a cache.
public struct CachedMerge {
  /// How many of the models' hidden states came from where.
  public struct Extracts: Sendable, Equatable {
    /// From the cache.
    public var reused = 0
    /// From a forward pass.
    public var computed = 0
  }

  private let recipe: MergeRecipe
  private let cache: ExtractCache
  private let memoryBudget: Int?
  private let backend: any ComputeBackend
  private let progress: MergeProgress

  /// Prepares a merge.
  ///
  /// - Parameters:
  ///   - recipe: What decides the result.
  ///   - cache: Where hidden states are kept.
  ///   - memoryBudget: The most bytes of memory to use; `nil` for a small default.
  ///   - backend: The device.
  ///   - progress: Who watches.
  public init(
    _ recipe: MergeRecipe, cache: ExtractCache, memoryBudget: Int? = nil, on backend: any ComputeBackend,
    progress: MergeProgress = .unwatched
  ) {
    self.recipe = recipe
    self.cache = cache
    self.memoryBudget = memoryBudget
    self.backend = backend
    self.progress = progress
  }

  /// Merges into a directory.
  ///
  /// - Parameters:
  ///   - output: The directory to be created.
  ///   - source: The file that the recipe came from, for errors.
  ///   - stop: Ends the merge early, with what is finished saved.
  /// - Returns: Where the hidden states came from.
  /// - Throws: `Failure` or `DeviceError`; then nothing new stands under the name of the output.
  public func merge(into output: String, from source: String, stop: StopRequest = StopRequest()) throws -> Extracts {
    let method = try MergeMethods.named(recipe.method)
    guard method.obstacleToStages == nil else {
      let target = MergeTarget(output, resume: true, stop: stop)
      _ = try method.merge(recipe, into: target, memoryBudget: memoryBudget, on: backend, progress: progress)
      return Extracts()
    }
    let plan = try MergePlan(recipe, memoryBudget: memoryBudget, output: output, on: backend)
    let samples = try typicalSamples(plan)
    var extracts = Extracts()
    let states = try plan.inputs.experts.map { expert in
      try stop.check("extract", expert.path)
      return (role: expert.role, file: try self.states(of: expert.model, over: samples, counting: &extracts))
    }
    let merge = HierarchicalMerge(recipe, memoryBudget: memoryBudget, on: backend, progress: progress)
    let report = try merge.weigh(
      anchor: states.first { $0.role == .anchor }?.file, others: states.filter { $0.role != .anchor }.map(\.file))
    _ = try merge.fuse(report, from: source, moved: [], into: output, overwrite: false, resume: true, stop: stop)
    return extracts
  }

  /// The file of the typical samples.
  private func typicalSamples(_ plan: MergePlan) throws -> String {
    guard !plan.isSelected else { return plan.pool.file.path }
    let reference = plan.inputs.reference.model
    let path = cache.typicalSamplesPath(
      selector: (reference.path, try ModelDigester(reference.directory).finish()),
      pool: try fileDigest(plan.pool.file.path),
      recipe: recipe)
    if cache.has(path) { return path }
    let typical = try HierarchicalMerge(recipe, memoryBudget: memoryBudget, on: backend, progress: progress)
      .select(model: reference.path, scratchDirectory: parentDirectory(of: path))
    try writeFile(Array(typical.text.utf8), to: path, overwrite: true)
    cache.trim(keeping: [path])
    return path
  }

  private func states(
    of model: Model, over samples: String, counting extracts: inout Extracts
  ) throws -> HiddenStateFile {
    let digest = try fileDigest(samples)
    // A model whose digest is not known yet is read by its forward pass, which finds the digest on the way.
    let digester = ModelDigester(model.directory)
    if try digester.known() != nil, let states = try cached(model, digester, samples: samples, digest) {
      extracts.reused += 1
      return states
    }
    var options = MergeRecipe()
    options.base = recipe.base
    options.samples = samples
    let states = try HierarchicalMerge(options, memoryBudget: memoryBudget, on: backend, progress: progress)
      .extract(model: model.path)
    let path = cache.statesPath(
      model: states.source.digest, samples: digest, pooling: states.pooling, maxTokens: states.maxTokens)
    try states.write(to: path, overwrite: true)
    cache.trim(keeping: [path, samples])
    extracts.computed += 1
    return states
  }

  private func cached(
    _ model: Model, _ digester: ModelDigester, samples: String, _ samplesDigest: Digest
  ) throws -> HiddenStateFile? {
    let source = try MergeReport.MergedModel(model.directory, isAnchor: false, digester)
    let file = try SampleFile(path: samples)
    guard let selection = file.selection else { return nil }
    let path = cache.statesPath(
      model: source.digest, samples: samplesDigest, pooling: selection.pooling, maxTokens: selection.maxTokens)
    guard cache.has(path) else { return nil }
    var states: HiddenStateFile
    do throws(Failure) {
      states = try HiddenStateFile(path: path)
    } catch {
      throw cache.damaged(path, error.expected, got: error.got)
    }
    guard states.source.digest == source.digest, states.selection?.json.compact == selection.json.compact,
      states.samples.count == file.samples.count
    else {
      throw cache.damaged(
        path, "the states of \(source.digest) over \(samples)", got: "those of \(states.source.digest)")
    }
    // The same tensors may lie elsewhere now, and with another history.
    let history = try ModelHistory(of: model.directory)
    try history?.check(digester.checkpointDigest())
    states.source = source
    states.lineage = history?.lineage ?? Lineage()
    return states
  }
}
