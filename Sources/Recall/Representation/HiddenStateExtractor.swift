import Checkpoint
import Compute
import Diagnostics

/// The hidden states of one model over a set of samples, advanced layer by layer.
///
/// Holds the residual stream of all tokens, `float32 [tokens, d]`, and nothing of the model but what is handed in.
public final class HiddenStateExtractor {
  private let model: Model
  private let samples: SampleBatches
  private let pooling: Pooling
  private let workspace: ForwardWorkspace
  private let backend: any ComputeBackend
  private let forward: DecoderForwardPass
  /// The residual stream; after `finish` the final norm's output.
  let states: Matrix
  /// Reused from layer to layer: `float32 [samples, d]`.
  private let representation: Matrix

  /// Prepares a model's residual stream.
  ///
  /// - Throws: `DeviceError` when the device has no memory for it.
  public init(
    _ model: Model, samples: SampleBatches, pooling: Pooling, workspace: ForwardWorkspace,
    precision: ProductPrecision = .fast, on backend: any ComputeBackend
  ) throws(DeviceError) {
    self.model = model
    self.samples = samples
    self.pooling = pooling
    self.workspace = workspace
    self.backend = backend
    forward = DecoderForwardPass(model.configuration, precision: precision, on: backend)
    let width = model.configuration.hiddenSize
    states = try backend.allocate(rows: samples.tokenIdentifiers.count, columns: width)
    representation = try backend.allocate(rows: samples.sampleCount, columns: width)
  }

  /// Looks the tokens up and gives the representation of the embedding layer.
  ///
  /// Only the rows of tokens that occur are read, so that a large vocabulary costs no memory.
  public func embed() throws -> Matrix {
    let used = Set(samples.tokenIdentifiers).sorted()
    let rows = try model.embeddingRows(of: used, on: backend)
    try forward.embed(samples.tokens(amongRows: used, on: backend), table: rows, into: states)
    try backend.synchronize()
    return try pooled(states)
  }

  /// Runs the tokens through a block and gives its representation.
  package func advance(through tensors: LayerTensors, block: Int) throws(DeviceError) -> Matrix {
    for batch in samples.batches {
      try forward.advance(
        states.rows(batch.tokens), sequences: batch.sequences, through: tensors, block: block, workspace: workspace)
    }
    return try pooled(states)
  }

  /// Norms the last block's output and gives the representation of the head.
  package func finish(_ tensors: LayerTensors) throws(DeviceError) -> Matrix {
    try forward.normalise(states, tensors: tensors, into: states)
    return try pooled(states)
  }

  private func pooled(_ states: Matrix) throws(DeviceError) -> Matrix {
    for batch in samples.batches {
      try backend.pool(
        states.rows(batch.tokens), sequences: batch.sequences, pooling: pooling,
        into: representation.rows(batch.samples))
    }
    return representation
  }
}
