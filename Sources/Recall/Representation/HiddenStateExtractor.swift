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
  /// Takes the representation of every layer: `float32 [samples, d]`.
  private let representation: Matrix

  /// Prepares a model's residual stream.
  ///
  /// - Parameters:
  ///   - model: The model.
  ///   - samples: The texts that it runs.
  ///   - pooling: How states become vectors.
  ///   - representation: Takes the representation of every layer, `float32 [samples, d]`.
  ///   - workspace: What the forward pass writes between its steps.
  ///   - precision: How exactly the products take activations.
  ///   - backend: The device.
  /// - Throws: `DeviceError` when the device has no memory for it.
  public init(
    _ model: Model, samples: SampleBatches, pooling: Pooling, into representation: Matrix, workspace: ForwardWorkspace,
    precision: ProductPrecision = .fast, on backend: any ComputeBackend
  ) throws(DeviceError) {
    self.model = model
    self.samples = samples
    self.pooling = pooling
    self.representation = representation
    self.workspace = workspace
    self.backend = backend
    forward = DecoderForwardPass(model.configuration, precision: precision, on: backend)
    states = try backend.allocate(rows: samples.tokenIdentifiers.count, columns: model.configuration.hiddenSize)
  }

  /// Looks the tokens up and pools the representation of the embedding layer.
  ///
  /// Only the rows of tokens that occur are read, so that a large vocabulary costs no memory.
  public func embed() throws {
    let used = Set(samples.tokenIdentifiers).sorted()
    let rows = try model.embeddingRows(of: used, on: backend)
    try forward.embed(samples.tokens(amongRows: used, on: backend), table: rows, into: states)
    try backend.synchronize()
    try pool()
  }

  /// Runs the tokens through a block and pools its representation.
  package func advance(through tensors: LayerTensors, block: Int) throws(DeviceError) {
    for batch in samples.batches {
      try forward.advance(
        states.rows(batch.tokens), sequences: batch.sequences, through: tensors, block: block, workspace: workspace)
    }
    try pool()
  }

  /// Norms the last block's output and pools the representation of the head.
  package func finish(_ tensors: LayerTensors) throws(DeviceError) {
    try forward.normalise(states, tensors: tensors, into: states)
    try pool()
  }

  private func pool() throws(DeviceError) {
    for batch in samples.batches {
      try backend.pool(
        states.rows(batch.tokens), sequences: batch.sequences, pooling: pooling,
        into: representation.rows(batch.samples))
    }
  }
}
