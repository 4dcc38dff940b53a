import Checkpoint
import Compute
import Diagnostics
import Dispatch
import Foundation
import Synchronization

/// The tensors of one layer of one model on the device, by name.
public typealias ResidentTensors = [String: Matrix]

/// A model that is read, and what finds its digest meanwhile.
public struct WalkedModel: Sendable {
  /// The model.
  public let model: Model
  /// Adds up the bytes that are read of it.
  public let digester: ModelDigester

  /// Describes a model; without a digester its digest matters to nobody.
  public init(model: Model, digester: ModelDigester? = nil) {
    self.model = model
    self.digester = digester ?? ModelDigester(model.directory)
  }
}

/// Walks the depth of several models once: while one block of one model is advanced, the next ones are read.
///
/// Every block byte is read once. At most two layers of each model are in host memory, whatever the depth.
public struct LayerWalk {
  /// A block of a model, the unit of reading.
  private struct Step: Sendable {
    let block: Int
    let model: Int
  }

  /// A block of a model that is on the device or on its way there, and the host memory it comes from.
  private struct Uploaded {
    let tensors: ResidentTensors
    let buffer: HostBuffer
  }

  private let models: [Model]
  /// The models that are run, and behind them those that are only read.
  private let read: [WalkedModel]
  private let samples: SampleBatches
  private let pooling: Pooling
  private let precision: ProductPrecision
  private let backend: any ComputeBackend
  private let waits: StageWaits

  /// Prepares a walk over models of one shape.
  ///
  /// - Parameters:
  ///   - models: The models in the order of the walk.
  ///   - others: Models whose tensors are wanted as well, but not their states.
  ///   - samples: The texts that every model runs.
  ///   - pooling: How states become vectors.
  ///   - precision: How exactly the products take activations.
  ///   - backend: The device.
  ///   - waits: Told how long the walk waited for the disk.
  public init(
    _ models: [WalkedModel], reading others: [WalkedModel] = [], samples: SampleBatches, pooling: Pooling,
    precision: ProductPrecision = .fast, on backend: any ComputeBackend, waits: StageWaits = StageWaits()
  ) {
    self.models = models.map(\.model)
    read = models + others
    self.samples = samples
    self.pooling = pooling
    self.precision = precision
    self.backend = backend
    self.waits = waits
  }

  /// Visits every layer, shallow to deep.
  ///
  /// - Parameter visit: Gets the layer, the representations of all models there (valid during the visit), and the tensors of
  ///   that layer that are on the device, one dictionary per model that is read.
  /// - Returns: The final norm's output for every token of every model, `float32 [tokens, d]`.
  /// - Throws: `Failure` or `DeviceError`, also those of the visit.
  @discardableResult
  public func run(
    _ visit: (Layer, LayerRepresentations, [ResidentTensors]) throws -> Void
  ) throws -> [Matrix] {
    guard let configuration = models.first?.configuration else { return [] }
    let workspace = try ForwardWorkspace(
      configuration, tokens: samples.largestBatch, longestText: samples.longestText, on: backend)
    let count = samples.sampleCount
    let pooled = try backend.allocate(rows: models.count * count, columns: configuration.hiddenSize)
    let extractors = try models.enumerated().map { number, model throws(DeviceError) in
      try HiddenStateExtractor(
        model, samples: samples, pooling: pooling, into: pooled.rows(number * count..<(number + 1) * count),
        workspace: workspace, precision: precision, on: backend)
    }
    let sources = read.map { DeviceTensors($0.model.directory, on: backend) }
    let nothing = [ResidentTensors](repeating: [:], count: read.count)

    let steps = steps
    let ahead = try readAhead(steps)
    defer { ahead.cancel() }
    for extractor in extractors { try extractor.embed() }
    try visit(.embedding, finite(pooled, at: .embedding, tensors: nothing), nothing)
    var uploaded: [Uploaded] = []
    for (number, step) in steps.enumerated() {
      if uploaded.count == step.model {
        uploaded.append(try upload(waits.measure(.read) { try ahead.next() }, sources))
      }
      if step.model < models.count {
        let norms = models[step.model].configuration.blocks[step.block].norms
        let tensors = try LayerTensors(uploaded[step.model].tensors, norms: norms, on: backend)
        try extractors[step.model].advance(through: tensors, block: step.block)
      }
      // The visit waits for the device; what it needs next travels meanwhile, if it has been read.
      if number + 1 < steps.count, let next = try ahead.nextIfReady() { uploaded.append(try upload(next, sources)) }
      guard step.model == read.count - 1 else { continue }
      let visited = uploaded.prefix(read.count)
      let resident = visited.map(\.tensors)
      try visit(.block(step.block), finite(pooled, at: .block(step.block), tensors: resident), resident)
      try backend.synchronize()
      for block in visited { ahead.giveBack(block.buffer) }
      uploaded.removeFirst(read.count)
    }
    let norms = try read.indices.map { index in
      let (model, digester) = (read[index].model, read[index].digester)
      var tensors: ResidentTensors = [:]
      for tensor in model.configuration.stem.finalNorm.tensors {
        tensors[tensor.name] = try sources[index].load(tensor.name, recording: digester)
      }
      return tensors
    }
    for index in extractors.indices {
      let norm = models[index].configuration.stem.finalNorm
      try extractors[index].finish(LayerTensors(norms[index], norms: [norm], on: backend))
    }
    try visit(.head, finite(pooled, at: .head, tensors: norms), norms)
    return extractors.map(\.states)
  }

  /// Brings every block of every model to the device, shallow to deep, and lets it go.
  ///
  /// - Returns: The bytes.
  /// - Throws: `Failure` or `DeviceError`.
  func feed() throws -> Int {
    let sources = read.map { DeviceTensors($0.model.directory, on: backend) }
    var bytes = 0
    let steps = steps
    let ahead = try readAhead(steps)
    defer { ahead.cancel() }
    var uploaded: [Uploaded] = []
    for step in steps {
      uploaded.append(try upload(ahead.next(), sources))
      bytes += uploaded.last?.tensors.values.reduce(0) { $0 + $1.byteCount } ?? 0
      guard step.model == read.count - 1 else { continue }
      try backend.synchronize()
      for block in uploaded { ahead.giveBack(block.buffer) }
      uploaded = []
    }
    return bytes
  }

  /// The host memory of a walk: two layers of each model, and for adapters what their bases become with them.
  public static func hostByteCount(_ models: [Model]) -> Int {
    let adapters = models.map(\.directory).filter { $0.adapter != nil }
    let largest = models.map { largestBlock(of: $0) }.max() ?? 0
    return 2 * (models.count + adapters.count) * largest + adapters.reduce(0) { $0 + AdaptedTensors.byteCount($1) }
  }

  // MARK: Reading

  /// What is read, in order.
  private var steps: [Step] {
    (0..<(models.first?.configuration.blockCount ?? 0)).flatMap { block in
      read.indices.map { Step(block: block, model: $0) }
    }
  }

  /// A block has three or four large tensors, which keep as many cores busy.
  private static var blocksReadAtOnce: Int { max(1, ProcessInfo.processInfo.activeProcessorCount / 4) }

  private func readAhead(_ steps: [Step]) throws(DeviceError) -> ReadAhead<Step> {
    let byteCount = read.map { LayerWalk.largestBlock(of: $0.model) }.max() ?? 0
    let buffers = try (0..<2 * read.count).map { _ throws(DeviceError) in
      try backend.allocateHost(byteCount: byteCount)
    }
    return ReadAhead(steps, buffers: buffers, readers: LayerWalk.blocksReadAtOnce) {
      [read] (step, buffer) throws(Failure) in
      try LayerWalk.read(block: step.block, of: read[step.model], into: buffer)
    }
  }

  /// Reads the tensors of a block side by side, each by one thread that also digests it.
  private static func read(block: Int, of walked: WalkedModel, into buffer: HostBuffer) throws(Failure) {
    let (model, digester) = (walked.model, walked.digester)
    let places = LayerWalk.places(block: block, of: model)
    let failure = Mutex<Failure?>(nil)
    DispatchQueue.concurrentPerform(iterations: places.count) { number in
      do throws(Failure) {
        let (tensor, range) = places[number]
        try buffer.withMutableBytes(in: range) { bytes throws(Failure) in
          try model.directory.read(tensor, bytes: 0..<range.count, into: &bytes)
        }
        buffer.withBytes(in: range) { digester.record(tensor, Digest(of: $0)) }
      } catch {
        failure.withLock { $0 = $0 ?? error }
      }
    }
    if let failure = failure.withLock({ $0 }) { throw failure }
  }

  /// Where the tensors of a block lie in a buffer, aligned for the widest vectors.
  private static func places(block: Int, of model: Model) -> [(tensor: TensorRecord, range: Range<Int>)] {
    var end = 0
    return model.configuration.blocks[block].tensors.compactMap { spec in
      guard let tensor = model.directory.tensor(named: spec.name) else { return nil }
      let start = (end + 63) / 64 * 64
      end = start + tensor.byteRange.count
      return (tensor, start..<end)
    }
  }

  private static func largestBlock(of model: Model) -> Int {
    (0..<model.configuration.blockCount).map { places(block: $0, of: model).last?.range.upperBound ?? 0 }.max() ?? 0
  }

  // MARK: Residency

  private func upload(_ filled: ReadAhead<Step>.Filled, _ sources: [DeviceTensors]) throws -> Uploaded {
    let model = read[filled.unit.model].model
    let source = sources[filled.unit.model]
    let device = try backend.upload(filled.buffer)
    var tensors: ResidentTensors = [:]
    for (tensor, range) in LayerWalk.places(block: filled.unit.block, of: model) {
      tensors[tensor.name] = try source.weights(of: tensor, in: device, at: range.lowerBound)
    }
    return Uploaded(tensors: tensors, buffer: filled.buffer)
  }

  // MARK: Finiteness

  /// Compares the representations when all their numbers are finite, and else says where the others come from.
  ///
  /// They lie model by model in one matrix. This waits for the device, once.
  private func finite(
    _ pooled: Matrix, at layer: Layer, tensors: [ResidentTensors]
  ) throws -> LayerRepresentations {
    let representations = try LayerRepresentations(pooled, models: models.count, on: backend)
    for index in models.indices where !representations.isFinite(index) {
      let culprit = try tensors[index].sorted { $0.key < $1.key }.first { try hasNonFinite($0.value) }
      throw Failure(
        .badData, operation: "run the model",
        subject: culprit.map { "\(models[index].path), tensor \($0.key)" } ?? models[index].path,
        expected: culprit == nil ? "finite hidden states at layer \(layer.name)" : "finite values",
        got: "NaN or infinity", advice: "A damaged model has no hidden states to compare; download or train it again.")
    }
    return representations
  }

  private func hasNonFinite(_ tensor: Matrix) throws(DeviceError) -> Bool {
    let scratch = try backend.allocate(rows: tensor.rows, columns: tensor.columns)
    let counts = try backend.upload([0, 0] as [Int32], columns: 2)
    try backend.weightedSum([tensor], weights: [1], into: scratch, nonFinite: counts)
    return try backend.downloadIntegers(counts)[0] > 0
  }
}
