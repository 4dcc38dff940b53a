import Compute
import Diagnostics

/// What a merge with hidden states keeps in memory, counted before it starts.
public struct MemoryPlan: Sendable {
  /// Two layers of each model: one that is computed on and one that is read meanwhile.
  public let layers: Int
  /// The residual streams of all models over the typical samples, and scratch for one batch.
  public let activations: Int
  /// Streams, systems and merged weights of a merge that solves for its linear maps; 0 for others.
  public let alignment: Int
  /// Pieces of tensors on their way through fusion.
  public var pieces: Int { residentPieces + ring.byteCount }
  /// The program itself, tables and the allocator's slack.
  public static let program = 96 << 20

  /// How tensors that are not resident are streamed.
  let ring: PieceRing
  private let residentPieces: Int
  private let leastRing: Int
  private let models: Int
  private let selections: [PassMemory]

  /// Counts for a merge of models over a pool.
  ///
  /// - Parameters:
  ///   - inputs: The models, and the base where it is read.
  ///   - fusion: What is fused.
  ///   - pool: The samples.
  ///   - plan: What solving for the linear maps needs, where that is done.
  ///   - budget: The most bytes to use, if they are bounded.
  ///   - backend: The device.
  /// - Throws: `Failure` of category `usage` when the budget cannot hold the merge.
  init(
    inputs: MergeInputs<Model>, fusion: FusionPlan, pool: Pool, alignment plan: AlignmentPlan?, budget: Int?,
    on backend: any ComputeBackend
  ) throws(Failure) {
    let (experts, reference) = (inputs.experts, inputs.reference.model)
    let bytesPerToken = reference.configuration.hiddenSize * ElementType.float32.byteCount
    let typicalTokens = pool.typicalLengths.reduce(0, +)
    let pass = PassMemory(of: reference, over: pool, on: backend)
    let read = inputs.read.map(\.model)
    self.models = read.count
    layers = LayerWalk.hostByteCount(read)
    alignment =
      plan.map { plan in
        plan.byteCount(
          reference.configuration, lengths: plan.sampleLengths(shared: pool),
          elementSize: fusion.tensors.flatMap { $0.sources.map { $0.type.bitWidth / 8 } }.max() ?? 0,
          on: backend)
      } ?? 0
    activations = experts.count * typicalTokens * bytesPerToken + pass.workspace
    residentPieces = ResidentPieces.hostByteCount(fusion)
    leastRing = PieceRing.smallest(for: fusion).byteCount
    let ownPasses = inputs.selecting.map { PassMemory(of: $0.expert.model, over: $0.pool, on: backend) }
    let lengths = plan?.sampleLengths(shared: pool) ?? []
    let scorings = plan?.tries(lengths) == true ? read : []
    selections =
      (pool.isTypical && pool.file.selection != nil || pool.samples.isEmpty ? [] : [pass]) + ownPasses
      + scorings.map { model in
        PassMemory(
          of: model, lengths: Array(lengths.joined()), arePackedAnew: true,
          beside: HeadScores.byteCount(model.configuration), on: backend)
      }
    let others = layers + activations + alignment + residentPieces + MemoryPlan.program
    let rest = budget.map { $0 - others }
    ring = PieceRing(for: fusion, on: backend, budget: rest) ?? .smallest(for: fusion)
    if let budget { try requireMemory(least, within: budget) }
  }

  /// The most that is in memory at once where no budget is given.
  public var peak: Int {
    max(layers + activations + alignment + pieces, selectionPeak(HierarchicalMerge.defaultStateBudget))
      + MemoryPlan.program
  }

  /// The least memory with which the merge can be done.
  public var least: Int {
    max(layers + activations + alignment + residentPieces + leastRing, selections.map(\.least).max() ?? 0)
      + MemoryPlan.program
  }

  /// How many bytes the residual stream of a pass over the pool may take within a budget that `init` accepted.
  func stateBudget(within budget: Int?) -> Int {
    guard let budget else { return HierarchicalMerge.defaultStateBudget }
    return budget - MemoryPlan.program - (selections.map(\.fixed).max() ?? 0)
  }

  private func selectionPeak(_ stateBudget: Int) -> Int { selections.map { $0.peak(stateBudget) }.max() ?? 0 }

  /// The most memory of a device of its own that is in use at once: one layer of each model, one more on its way,
  /// activations and pieces; or, while samples are selected, two layers and the states.
  func deviceByteCount(stateBudget: Int) -> Int {
    let layer = layers / max(1, 2 * models)
    return max((models + 1) * layer + activations + alignment + pieces, selectionPeak(stateBudget))
  }
}

/// What one model's pass over a pool keeps in memory, as in a selection or an extraction.
struct PassMemory: Sendable {
  /// What does not depend on the budget: two layers, scratch, and the points that are clustered, on host and device.
  let fixed: Int
  /// Scratch for one batch, that of the device's products included.
  let workspace: Int
  private let largestBatch: Int
  private let wholePool: Int

  /// Counts for a pass over a pool.
  init(of model: Model, over pool: Pool, on backend: any ComputeBackend) {
    self.init(of: model, lengths: pool.samples.map(\.tokens.count), on: backend)
  }

  /// Counts for a pass over texts of the given lengths in tokens, or only some of them where they are packed anew, with so many
  /// bytes in use beside it.
  init(
    of model: Model, lengths: [Int], arePackedAnew: Bool = false, beside others: Int = 0, on backend: any ComputeBackend
  ) {
    let configuration = model.configuration
    let bytesPerToken = configuration.hiddenSize * ElementType.float32.byteCount
    let batchTokens =
      arePackedAnew
      ? SampleBatches.mostTokens(lengths: lengths, on: backend.device.kind)
      : SampleBatches.largestBatch(lengths: lengths, on: backend.device.kind)
    workspace =
      ForwardNeeds(configuration, tokens: batchTokens, longestText: lengths.max() ?? 0, on: backend).byteCount
      + backend.productScratch
    largestBatch = batchTokens * bytesPerToken
    wholePool = lengths.reduce(0, +) * bytesPerToken
    fixed = LayerWalk.hostByteCount([model]) + workspace + 2 * lengths.count * bytesPerToken + others
  }

  /// The most that is in memory at once with so many bytes for states.
  func peak(_ stateBudget: Int) -> Int { fixed + min(wholePool, max(stateBudget, largestBatch)) }

  /// The least with which the pass can be done.
  var least: Int { fixed + min(wholePool, largestBatch) }

  /// How many bytes the residual stream may take.
  ///
  /// - Throws: `Failure` of category `usage` when the budget cannot hold the pass.
  func stateBudget(within budget: Int?) throws(Failure) -> Int {
    guard let budget else { return HierarchicalMerge.defaultStateBudget }
    try requireMemory(least + MemoryPlan.program, within: budget)
    return budget - MemoryPlan.program - fixed
  }
}

/// What a fusion without hidden states keeps in memory: nothing but its ring.
public struct StreamMemory: Sendable {
  /// How tensors are streamed.
  let ring: PieceRing

  /// The most that is in memory at once.
  public var peak: Int { ring.byteCount + MemoryPlan.program }

  /// Sizes the ring.
  ///
  /// - Parameters:
  ///   - plan: The fusion.
  ///   - scratch: What a lane keeps beside its pieces.
  ///   - budget: The most bytes to use, if they are bounded.
  ///   - backend: The device.
  /// - Throws: `Failure` of category `usage` when the budget cannot hold the smallest ring.
  init(
    for plan: FusionPlan, scratch: LaneScratch = .none, budget: Int?, on backend: any ComputeBackend
  ) throws(Failure) {
    let smallest = PieceRing.smallest(for: plan, scratch: scratch)
    ring =
      PieceRing(for: plan, scratch: scratch, on: backend, budget: budget.map { $0 - MemoryPlan.program }) ?? smallest
    if let budget { try requireMemory(smallest.byteCount + MemoryPlan.program, within: budget) }
  }
}

/// Compares what a device of its own has free with what is asked for.
///
/// - Throws: `DeviceError.Code.outOfMemory` with both numbers.
func requireDeviceMemory(_ byteCount: Int, on device: DeviceDescription) throws(DeviceError) {
  guard device.kind != .processor, let free = device.freeMemory, byteCount > free else { return }
  throw DeviceError(
    .outOfMemory, operation: "plan the memory of \(device.name)", expected: "\(byteCount) bytes",
    got: "\(free) bytes free")
}

private func requireMemory(_ least: Int, within budget: Int) throws(Failure) {
  guard budget < least else { return }
  throw Failure(
    .usage, operation: "plan the memory", subject: "--memory", expected: "at least \(least) bytes", got: "\(budget)",
    advice: "Layers, pieces and states of all models have to fit; merge fewer models or use fewer or shorter samples.")
}
