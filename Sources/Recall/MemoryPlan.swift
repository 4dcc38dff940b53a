import Compute
import Diagnostics

/// What a merge keeps in memory, counted before it starts.
public struct MemoryPlan: Sendable {
  /// Two layers of each model: one that is computed on and one that is read meanwhile.
  public let layers: Int
  /// The residual streams of all models over the typical samples, and scratch for one batch.
  public let activations: Int
  /// Pieces of tensors on their way through fusion.
  public let pieces: Int
  /// The program itself, tables and the allocator's slack.
  public let program = 96 << 20

  /// One batch of the selection.
  private let selectionBatch: Int
  /// The residual stream of the whole pool.
  private let wholePool: Int
  private let selectionFixed: Int
  private let workspace: Int

  /// Counts for a merge of models over a pool.
  init(models: [Model], reference: Model, pool: Pool, recipe: MergeRecipe) {
    let bytesPerToken = reference.configuration.hiddenSize * ElementType.float32.byteCount
    let lengths = pool.samples.map(\.tokens.count)
    let isSelected = pool.file.selection != nil
    // Which samples will be typical is not known yet; the longest ones bound them.
    let typicalTokens = lengths.sorted(by: >).prefix(isSelected ? lengths.count : recipe.typical).reduce(0, +)
    let pass = MemoryPlan(passOf: reference, over: pool)
    layers = LayerWalk.hostByteCount(models)
    activations = models.count * typicalTokens * bytesPerToken + pass.workspace
    pieces = ParameterFusion.hostByteCount(models: models.count)
    selectionBatch = isSelected ? 0 : pass.selectionBatch
    wholePool = isSelected ? 0 : pass.wholePool
    selectionFixed = isSelected ? 0 : pass.selectionFixed
    workspace = pass.workspace
  }

  /// Counts for one model's pass over a pool, as in a selection or an extraction.
  init(passOf model: Model, over pool: Pool) {
    let configuration = model.configuration
    let lengths = pool.samples.map(\.tokens.count)
    let bytesPerToken = configuration.hiddenSize * ElementType.float32.byteCount
    let largestBatch = SampleBatches.groups(lengths: lengths).map { lengths[$0].reduce(0, +) }.max() ?? 0
    layers = 0
    activations = 0
    pieces = 0
    workspace = ForwardWorkspace.byteCount(configuration, tokens: largestBatch, longestText: lengths.max() ?? 0)
    selectionBatch = largestBatch * bytesPerToken
    wholePool = lengths.reduce(0, +) * bytesPerToken
    // The points that are clustered are on the host and on the device.
    selectionFixed = LayerWalk.hostByteCount([model]) + workspace + 2 * lengths.count * bytesPerToken
  }

  /// The most that is in memory at once, with the least that selection can do with.
  public var peak: Int {
    max(mergePeak, selectionFixed + min(wholePool, HierarchicalMerge.defaultStateBudget)) + program
  }

  /// The least memory with which the merge can be done.
  public var least: Int { max(mergePeak, selectionFixed + min(wholePool, selectionBatch)) + program }

  /// How many bytes the residual stream of a pass over the pool may take.
  ///
  /// - Throws: `Failure` of category `usage` when the budget cannot hold the merge.
  func stateBudget(within budget: Int?) throws(Failure) -> Int {
    guard let budget else { return HierarchicalMerge.defaultStateBudget }
    guard budget >= least else {
      throw Failure(
        .usage, operation: "plan the memory", subject: "--memory", expected: "at least \(least) bytes",
        got: "\(budget)",
        advice:
          "The layers of all models and their states have to fit; merge fewer models or use fewer or shorter samples.")
    }
    return budget - program - selectionFixed
  }

  private var mergePeak: Int { layers + activations + pieces }
}
