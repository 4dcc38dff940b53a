import Compute
import Diagnostics

/// How fast the blocks of some models come to a device: what a merge waits for at least.
public struct LayerFeed: Sendable {
  /// The bytes of their tensors on the device.
  public let bytes: Int
  /// How long it took.
  public let seconds: Double
  /// Bytes per second.
  public var rate: Double { Double(bytes) / seconds }

  /// Brings the blocks of all models of a recipe to the device as a merge does, digests included where they are not known,
  /// and leaves everything else undone; twice, so that the second time, which counts, they come from the page cache if they
  /// fit it.
  ///
  /// - Throws: `Failure` or `DeviceError`, as the merge itself would.
  public init(_ recipe: MergeRecipe, on backend: any ComputeBackend) throws {
    let inputs = try MergeInputs<Model>(recipe, reference: recipe.typicalFrom, base: .scaling)
    let nothing = try SampleBatches([] as [[Int32]], on: backend)
    func once() throws -> (bytes: Int, seconds: Double) {
      let walk = LayerWalk(
        inputs.experts.map { WalkedModel(model: $0.model) }, samples: nothing, pooling: .mean, on: backend)
      let start = ContinuousClock.now
      let bytes = try walk.feed()
      return (bytes, (ContinuousClock.now - start) / .seconds(1))
    }
    _ = try once()
    (bytes, seconds) = try once()
  }
}
