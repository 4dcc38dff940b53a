import Compute

/// The fit of the two maps of a stage whose outputs meet: queries and keys, or gates and ups, the first two of their group.
struct StageFit {
  private let meeting: MapStage.Meeting
  private let block: Block
  private let number: Int
  private let experts: [LayerTensors]
  private let merged: LayerTensors

  /// Describes the fit; `nil` for a stage whose maps put out what matters by itself.
  ///
  /// - Parameters:
  ///   - stage: The stage.
  ///   - block: The block.
  ///   - number: Its number.
  ///   - experts: The block's tensors of every model.
  ///   - merged: Those of the merged model that are no maps.
  init?(_ stage: MapStage, of block: Block, number: Int, experts: [LayerTensors], merged: LayerTensors) {
    guard let meeting = stage.meeting else { return nil }
    self.meeting = meeting
    (self.block, self.number, self.experts, self.merged) = (block, number, experts, merged)
  }

  /// The bytes that the fits of a block take at most.
  ///
  /// - Parameters:
  ///   - block: The block.
  ///   - tokens: The tokens of all samples.
  ///   - batch: The most tokens of a batch.
  /// - Returns: Bytes.
  static func byteCount(_ block: Block, tokens: Int, batch: Int) -> Int {
    let (width, shape) = (block.attention.query.inputs, block.attention.shape)
    let heads = shape.queryHeads / shape.keyValueHeads
    let (queries, keys) = (heads * shape.headDimension, shape.headDimension)
    let units = min(block.feedForward.up.outputs, GateFit.unitsAtOnce)
    // Those of the descent, three of the rows, and zeros on their way.
    let vectors = (Descent.vectors + 4) * max(queries + keys, 2 * units) * width
    let factors = 2 * width * (width + CholeskyLimits.largestBlock)
    let ofTokens = tokens * (2 * width + max(queries, units) + keys + 2 * heads)
    let ofBatch = batch * (3 * max(queries, units) + 3 * keys + heads)
    return (vectors + factors + ofTokens + ofBatch) * ElementType.float32.byteCount
  }

  /// The multiplications and additions of one trial of all maps of a block that are fitted: what they make of the samples, the
  /// gradient by them, and both steps between the maps and their coordinates.
  static func operations(_ block: Block, tokens: Double) -> Double {
    block.stages.filter { $0.meeting != nil }.reduce(0.0) { sum, stage in
      let (rows, width) = (stage.tensors.prefix(2).reduce(0) { $0 + $1.shape[0] }, Double(stage.width))
      return sum + 4 * Double(rows) * width * (tokens + width)
    }
  }

  /// Fits the maps of a system, some rows at a time.
  ///
  /// - Parameters:
  ///   - system: The maps, solved for.
  ///   - samples: What reaches them.
  ///   - states: The samples' streams.
  ///   - evaluations: How often rows may be tried.
  ///   - arithmetic: Scratch.
  ///   - checkStop: Throws when the merge is to stop.
  /// - Returns: How far the maps were off, the mean over what was fitted at a time; `nil` where there was nothing to fit.
  /// - Throws: `DeviceError`, and what `checkStop` throws.
  func run(
    _ system: MapSystem, _ samples: FitSamples, _ states: AlignedStates, evaluations: Int,
    _ arithmetic: FitArithmetic, checkStop: @escaping () throws -> Void
  ) throws -> MapAlignment.Fit? {
    let fit = MapPairFit(system, (0, 1), evaluations: evaluations, arithmetic, checkStop: checkStop)
    var found: [(before: Double, after: Double)] = []
    switch meeting {
    case .patterns:
      let shape = block.attention.shape
      for head in 0..<shape.keyValueHeads {
        let rows = PatternFit.rows(ofKeyHead: head, shape)
        let objective = try PatternFit(
          keyHead: head, of: block.attention, samples, experts: experts, merged: merged,
          geometry: states.geometry(block: number), arithmetic)
        if let fitted = try fit.fit(rows.query, rows.key, to: objective) { found.append(fitted) }
      }
    case .gates:
      let units = system.maps[0].outputs
      for first in stride(from: 0, to: units, by: GateFit.unitsAtOnce) {
        let rows = first..<min(first + GateFit.unitsAtOnce, units)
        let objective = try GateFit(
          units: rows, of: block.feedForward, samples, experts: experts, merged: merged, arithmetic)
        if let fitted = try fit.fit(rows, rows, to: objective) { found.append(fitted) }
      }
    }
    guard !found.isEmpty else { return nil }
    let count = Double(found.count)
    return MapAlignment.Fit(
      before: found.reduce(0) { $0 + $1.before } / count, after: found.reduce(0) { $0 + $1.after } / count)
  }
}
