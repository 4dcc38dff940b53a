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
    guard let table = model.directory.tensor(named: Architecture.embedding), let type = ElementType(table.type) else {
      throw Failure(
        .internalError, operation: "embed", subject: model.path, expected: Architecture.embedding, got: "no such tensor"
      )
    }
    let used = Set(samples.tokenIdentifiers).sorted()
    let width = model.configuration.hiddenSize
    let rowByteCount = width * type.byteCount
    let host = try backend.allocateHost(byteCount: used.count * rowByteCount)
    for (row, token) in used.enumerated() {
      let start = Int(token) * rowByteCount
      try host.withMutableBytes(in: row * rowByteCount..<(row + 1) * rowByteCount) { bytes throws(Failure) in
        try model.directory.read(table, bytes: start..<start + rowByteCount, into: &bytes)
      }
    }
    let rows = try DeviceTensors(model.directory, on: backend)
      .rows(used.map(Int.init), of: table, in: backend.upload(host)).asWeights(on: backend)
    let rowOfToken = Dictionary(uniqueKeysWithValues: used.enumerated().map { ($0.element, Int32($0.offset)) })
    let identifiers = samples.tokenIdentifiers.compactMap { rowOfToken[$0] }
    try backend.embeddingLookup(tokens: backend.upload(identifiers, columns: 1), table: rows, into: states)
    try backend.synchronize()
    return try pooled(states)
  }

  /// Runs the tokens through a block and gives its representation.
  public func advance(through weights: BlockWeights, block: Int) throws(DeviceError) -> Matrix {
    for batch in samples.batches {
      try forward.advance(
        states.rows(batch.tokens), sequences: batch.sequences, through: weights, block: block, workspace: workspace)
    }
    return try pooled(states)
  }

  /// Norms the last block's output and gives the representation of the head.
  public func finish(gain: Matrix) throws(DeviceError) -> Matrix {
    try forward.normalise(states, gain: gain, into: states)
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
