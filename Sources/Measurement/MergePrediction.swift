import Checkpoint
import Compute
import Conformance
import Diagnostics
import JSON
import Recall

/// How long a merge should take, from what it has to move and compute and from measured rates.
///
/// Reading, computing, transfers and writing overlap, so a stage takes as long as the longest of them.
public struct MergePrediction: Sendable {
  /// Seconds that one stage keeps each part of the machine busy.
  public struct Stage: Sendable {
    /// The stage, as the timings of recall.json name it.
    public let name: String
    /// Each part with its seconds, in the order of the flow.
    public let parts: [(name: String, seconds: Double)]

    /// The part that bounds the stage.
    public var bound: (name: String, seconds: Double) { parts.max { $0.seconds < $1.seconds } ?? ("nothing", 0) }
  }

  /// What is counted.
  public let costs: MergeCosts
  /// A block of the models' own shape.
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
    block = try DecoderBlock(costs.configuration, tokens: max(1, costs.batchTokens), on: backend).time()
    let blockRate = block.rate(of: block.flops) ?? .infinity
    func stages(readRate: Double) -> [Stage] {
      [("select", costs.selection), ("merge", costs.merge)].map { name, walk in
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

  /// The seconds of the whole merge with models from the storage.
  public var seconds: Double { stages.reduce(0) { $0 + $1.bound.seconds } }
  /// The seconds of the whole merge with models from the page cache.
  public var cachedSeconds: Double { cachedStages.reduce(0) { $0 + $1.bound.seconds } }
}
