import Compute
import Conformance
import Diagnostics
import JSON
import Recall

/// The pass of a decoder over texts, with its weights on a device, to be timed as an extraction runs it: batch by batch
/// through each block, then one vector for each text.
///
/// All blocks have the same weights, which are larger than any cache, so that devices without memory for a whole model can be
/// measured as well.
struct DecoderPass {
  private let configuration: ModelConfiguration
  private let backend: any ComputeBackend
  private let tensors: LayerTensors
  private let workspace: ForwardWorkspace
  private let batches: [(tokens: Range<Int>, texts: Range<Int>, sequences: PackedSequences)]
  private let states: Matrix
  private let representation: Matrix
  private let lengths: [Int]

  private static let repetitions = 3
  /// As long as all repetitions may take: slow devices run fewer blocks.
  private static let mostSeconds = 20.0

  /// Puts a block on a device, with bfloat16 weights that keep its numbers finite, and random states.
  ///
  /// - Throws: `DeviceError`.
  init(_ configuration: ModelConfiguration, lengths: [Int], on backend: any ComputeBackend) throws(DeviceError) {
    self.configuration = configuration
    self.backend = backend
    self.lengths = lengths
    var tensors: ResidentTensors = [:]
    for tensor in configuration.blocks[0].tensors {
      let shape = tensor.shape
      let (rows, columns) = shape.count == 2 ? (shape[0], shape[1]) : (1, shape[0])
      let matrix = try backend.allocate(rows: rows, columns: columns, .bfloat16)
      // The gains of norms are 1.
      let numbers =
        shape.count == 1
        ? [Float](repeating: 1, count: columns)
        : DecoderPass.numbers(rows * columns, deviation: 1 / Float(columns).squareRoot())
      try backend.convert(backend.upload(numbers, columns: columns), into: matrix)
      tensors[tensor.name] = matrix
    }
    self.tensors = try LayerTensors(tensors, norms: [], on: backend)
    let width = configuration.hiddenSize
    let groups = SampleBatches.groups(lengths: lengths, on: backend.device.kind)
    batches = try groups.map { texts throws(DeviceError) in
      let start = lengths[..<texts.lowerBound].reduce(0, +)
      let sequences = try PackedSequences(lengths: Array(lengths[texts]), on: backend)
      return (start..<start + sequences.tokens, texts, sequences)
    }
    workspace = try ForwardWorkspace(
      configuration, tokens: batches.map(\.tokens.count).max() ?? 0, longestText: lengths.max() ?? 0, on: backend)
    states = try backend.upload(DecoderPass.numbers(lengths.reduce(0, +) * width, deviation: 1), columns: width)
    representation = try backend.allocate(rows: lengths.count, columns: width)
  }

  /// Times a few passes after a first one, through so many blocks, or fewer where that would take very long.
  ///
  /// - Returns: The best time, which shows what the device can do, the mean, which shows what it keeps up beside whatever
  ///   else the machine does, and the blocks.
  /// - Throws: `DeviceError`.
  func time(mostBlocks: Int) throws(DeviceError) -> (best: CaseReport, mean: CaseReport, blocks: Int) {
    let pass = DecoderForwardPass(configuration, on: backend)
    func once(_ blocks: Int) throws(DeviceError) -> DeviceTime {
      try backend.time { () throws(DeviceError) in
        for _ in 0..<blocks {
          for batch in batches {
            try pass.advance(
              states.rows(batch.tokens), sequences: batch.sequences, through: tensors, block: 0, workspace: workspace)
          }
          for batch in batches {
            try backend.pool(
              states.rows(batch.tokens), sequences: batch.sequences, pooling: .mean,
              into: representation.rows(batch.texts))
          }
        }
      }
    }
    _ = try once(1)
    let ofOne = try once(1).seconds * Double(DecoderPass.repetitions)
    let blocks = min(mostBlocks, max(1, Int(min(DecoderPass.mostSeconds / max(ofOne, 1e-9), 1e9))))
    var best = try once(blocks)
    var sum = best.seconds
    for _ in 1..<DecoderPass.repetitions {
      let time = try once(blocks)
      sum += time.seconds
      if time.seconds < best.seconds { best = time }
    }
    let mean = DeviceTime(seconds: sum / Double(DecoderPass.repetitions), clock: best.clock)
    return (report(best, blocks: blocks), report(mean, blocks: blocks), blocks)
  }

  private func report(_ time: DeviceTime, blocks: Int) -> CaseReport {
    let block = configuration.blocks[0]
    let heads = block.attention.shape
    let parameters = block.tensors.reduce(0) { $0 + $1.elementCount }
    return CaseReport(
      operation: "extraction",
      shape: "\(lengths.count) × \(lengths.max() ?? 0) tokens · \(blocks) × [\(configuration.hiddenSize) wide, "
        + "\(heads.queryHeads)/\(heads.keyValueHeads) heads, \(block.feedForward.down.inputs) inside]",
      elementType: ElementType.bfloat16.rawValue, error: 0, bound: 0, time: time,
      flops: blocks * block.operations(lengths: lengths), bytes: blocks * 2 * parameters,
      outcome: .passed)
  }

  /// Random numbers of a standard deviation, equally likely up to a bound, that repeat after a prime: devices multiply equal
  /// numbers faster than others.
  private static func numbers(_ count: Int, deviation: Float) -> [Float] {
    let period = 65_521
    var state: UInt64 = 1
    let numbers = (0..<min(count, period)).map { _ -> Float in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Float(Int32(truncatingIfNeeded: state >> 32)) * 0x1p-31 * deviation * Float(3).squareRoot()
    }
    return (0..<count).map { numbers[$0 % period] }
  }
}

extension ModelConfiguration {
  /// A Llama of the width of a scale, with as many key heads as query heads, as most of its size have.
  ///
  /// - Throws: `Failure` when the scale has no sound shape.
  init(_ scale: BenchmarkScale) throws(Failure) {
    try self.init(json: .object(scale.llama), path: "the benchmark's own model")
  }
}

extension BenchmarkScale {
  /// The configuration of a Llama of this scale, as its `config.json` would have it.
  var llama: JSONObject {
    let heads = width / BenchmarkScale.headDimension
    return JSONObject([
      ("model_type", "llama"), ("architectures", ["LlamaForCausalLM"]), ("hidden_size", .integer(width)),
      ("num_hidden_layers", .integer(blocks)), ("num_attention_heads", .integer(heads)),
      ("num_key_value_heads", .integer(heads)), ("intermediate_size", .integer(feedForward)), ("vocab_size", 32_000),
      ("max_position_embeddings", 4096), ("rms_norm_eps", .double(1e-5)), ("hidden_act", "silu"),
    ])
  }
}
