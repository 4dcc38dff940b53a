import Compute
import Diagnostics

/// What a RECALL merge has to read, compute and write, counted from shapes before it starts.
public struct MergeCosts: Sendable {
  /// The costs of one walk through models.
  public struct Walk: Sendable {
    /// The bytes to read from storage.
    public var read = 0
    /// The floating point operations of the forward passes.
    public var flops = 0
    /// The bytes that pass through the sums of the fusion, inputs and output.
    public var fused = 0
    /// The bytes to bring to the device.
    public var uploaded = 0
    /// The bytes to bring back.
    public var downloaded = 0
    /// The bytes to write to storage.
    public var written = 0
  }

  /// The walks in their order, by the names that people get to see.
  public var walks: [(name: String, walk: Walk)] {
    [("select", selection), ("blocks", blocks), ("embedding and head", ends)]
  }

  /// The samples whose passes are counted.
  public struct Samples: Sendable {
    /// The tokens of each text of the pool.
    public var lengths: [Int]
    /// Whether they were selected before, so that no pass over a pool selects them.
    public var isSelected: Bool

    /// Describes texts by their lengths.
    public init(lengths: [Int], isSelected: Bool = false) {
      self.lengths = lengths
      self.isSelected = isSelected
    }
  }

  /// How many models are fused.
  public let models: Int
  /// The samples of the pool.
  public let samples: Int
  /// How many of them are typical.
  public let typical: Int
  /// The shape of every model.
  public let configuration: ModelConfiguration
  private let lengths: [Int]
  /// The reference model's pass over the pool.
  public let selection: Walk
  /// The walk through the blocks, which runs, weighs and fuses all models.
  public let blocks: Walk
  /// The fusion of embedding and head, and what is copied: bytes that no pass hides.
  public let ends: Walk

  /// The tokens of the largest batch, which run through a block at once on a kind of device.
  public func batchTokens(on kind: DeviceDescription.Kind) -> Int {
    SampleBatches.largestBatch(lengths: lengths, on: kind)
  }

  /// Counts a merge.
  ///
  /// - Parameters:
  ///   - recipe: The models; its samples are read where none are given.
  ///   - counted: The lengths of the samples; `nil` to encode those of the recipe.
  /// - Throws: `Failure`, as the merge itself would.
  public init(_ recipe: MergeRecipe, samples counted: Samples?) throws(Failure) {
    let inputs = try MergeInputs<Model>(recipe, reference: recipe.typicalFrom, base: .scaling)
    let plan = try FusionPlan(inputs, elementType: recipe.elementType)
    let samples: Samples
    if let counted {
      samples = counted
    } else {
      let pool = try Pool(recipe: recipe, reference: inputs.reference.model, models: inputs.experts.map(\.model))
      samples = Samples(lengths: pool.samples.map(\.tokens.count), isSelected: pool.file.selection != nil)
    }
    self.init(recipe, inputs: inputs, fusion: plan, samples: samples)
  }

  /// Counts a merge whose models and samples are known.
  init(_ recipe: MergeRecipe, inputs: MergeInputs<Model>, fusion plan: FusionPlan, samples: Samples) {
    let lengths = samples.lengths
    models = inputs.experts.count
    self.samples = lengths.count
    typical = samples.isSelected ? lengths.count : min(recipe.typical, lengths.count)
    configuration = inputs.reference.model.configuration
    self.lengths = lengths

    var selection = Walk()
    let passFlops = configuration.operations(lengths: lengths)
    if !samples.isSelected {
      selection.read = inputs.reference.model.blockByteCount
      selection.uploaded = selection.read
      selection.flops = passFlops
    }
    self.selection = selection
    var blocks = Walk(fusing: plan.tensors.filter(\.isOfABlock))
    // Which samples are typical is not known yet: they count as much as the average of the pool.
    blocks.flops = lengths.isEmpty ? 0 : Int(Double(models * passFlops) * Double(typical) / Double(lengths.count))
    if !recipe.weighing.isKnownLayerByLayer {
      let states = inputs.experts.reduce(0) { $0 + $1.model.blockByteCount }
      blocks.read += states
      blocks.uploaded += states
    }
    self.blocks = blocks
    ends = Walk(fusing: plan.tensors.filter { !$0.isOfABlock })
  }
}

extension MergeCosts.Walk {
  /// What the fusion of tensors moves.
  fileprivate init(fusing tensors: [PlannedTensor]) {
    read = tensors.reduce(0) { $0 + $1.sources.reduce(0) { $0 + $1.byteRange.count } }
    written = tensors.reduce(0) { $0 + $1.byteCount }
    fused = read + written
    uploaded = read
    downloaded = written
  }
}

extension PlannedTensor {
  fileprivate var isOfABlock: Bool {
    if case .fused(.block) = rule { true } else { false }
  }
}
