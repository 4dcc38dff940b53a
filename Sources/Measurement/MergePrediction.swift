import Checkpoint
import Compute
import Conformance
import Diagnostics
import JSON
import Recall

/// How long a merge should take, from what it has to move and compute and from measured rates.
///
/// Reading, computing, transfers and writing overlap, so a stage takes at least as long as the longest of them. They do so
/// less where few cores have to do all of it, so it takes at most as long as all of them one after the other.
public struct MergePrediction: Sendable {
  /// Seconds that one stage keeps each part of the machine busy.
  public struct Stage: Sendable {
    /// What is done.
    public let name: String
    /// Each part with its seconds, in the order of the flow.
    public let parts: [(name: String, seconds: Double)]

    /// The part that bounds the stage.
    public var bound: (name: String, seconds: Double) { parts.max { $0.seconds < $1.seconds } ?? ("nothing", 0) }
    /// The seconds of all parts.
    public var sum: Double { parts.reduce(0) { $0 + $1.seconds } }
  }

  /// What is counted.
  public let costs: MergeCosts
  /// A block of the models' own shape, with the mean of its times.
  public let block: CaseReport
  /// The stages when models come from the storage.
  public let stages: [Stage]
  /// The stages when models are in the page cache.
  public let cachedStages: [Stage]

  /// Predicts a merge on a device.
  ///
  /// - Throws: `DeviceError` when a block of the models does not fit the device.
  public init(
    _ costs: MergeCosts, measured: DeviceMeasurement, storage: StorageMeasurement, on backend: any ComputeBackend
  ) throws(DeviceError) {
    self.costs = costs
    let tokens = max(1, costs.batchTokens(on: backend.device.kind))
    let length = min(BenchmarkScale.textLength, tokens, costs.configuration.maximumPositions)
    let lengths = [Int](repeating: length, count: tokens / length)
    block = try DecoderPass(costs.configuration, lengths: lengths, on: backend).time(mostBlocks: 1).mean
    let blockRate = block.rate(of: block.flops) ?? .infinity
    func stages(readRate: Double) -> [Stage] {
      costs.walks.map { name, walk in
        Stage(
          name: name,
          parts: [
            ("read", Double(walk.read) / readRate),
            ("upload", measured.upload.map { Double(walk.uploaded) / $0 } ?? 0),
            ("compute", Double(walk.flops) / blockRate + Double(walk.fused) / (measured.fusionRate ?? .infinity)),
            ("download", measured.download.map { Double(walk.downloaded) / $0 } ?? 0),
            ("write", Double(walk.written) / storage.writeRate),
          ])
      }
    }
    self.stages = stages(readRate: storage.readRate)
    cachedStages = stages(readRate: storage.cachedReadRate)
  }

  /// The seconds of the whole merge with models from the storage: from all parts overlapped to none.
  public var seconds: ClosedRange<Double> { Self.range(of: stages) }
  /// The seconds of the whole merge with models from the page cache, likewise.
  public var cachedSeconds: ClosedRange<Double> { Self.range(of: cachedStages) }

  private static func range(of stages: [Stage]) -> ClosedRange<Double> {
    stages.reduce(0) { $0 + $1.bound.seconds }...stages.reduce(0) { $0 + $1.sum }
  }
}
