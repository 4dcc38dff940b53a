import Compute
import Conformance
import Diagnostics
import JSON
import Recall

/// One decoder block with its weights on a device, to be timed.
struct DecoderBlock {
  private let configuration: ModelConfiguration
  private let backend: any ComputeBackend
  private let weights: BlockWeights
  private let workspace: ForwardWorkspace
  private let sequences: PackedSequences
  private let states: Matrix
  private let lengths: [Int]

  private static let textLength = 256
  private static let repetitions = 3

  /// Puts a block on a device, with bfloat16 weights that keep its numbers finite.
  ///
  /// - Throws: `DeviceError`.
  init(_ configuration: ModelConfiguration, tokens: Int, on backend: any ComputeBackend) throws(DeviceError) {
    self.configuration = configuration
    self.backend = backend
    let longest = min(DecoderBlock.textLength, tokens, configuration.maximumPositions)
    lengths = [Int](repeating: longest, count: max(1, tokens / max(1, longest)))
    var parts: [BlockPart: Matrix] = [:]
    for part in configuration.blockParts {
      let shape = configuration.shape(of: part)
      let (rows, columns) = shape.count == 2 ? (shape[0], shape[1]) : (1, shape[0])
      let matrix = try backend.allocate(rows: rows, columns: columns, .bfloat16)
      try backend.convert(backend.upload(DecoderBlock.numbers(rows * columns), columns: columns), into: matrix)
      parts[part] = matrix
    }
    weights = BlockWeights(parts)
    sequences = try PackedSequences(lengths: lengths, on: backend)
    workspace = try ForwardWorkspace(configuration, tokens: sequences.tokens, longestText: longest, on: backend)
    states = try backend.upload(
      DecoderBlock.numbers(sequences.tokens * configuration.hiddenSize), columns: configuration.hiddenSize)
  }

  /// Times a few passes after a first one.
  ///
  /// - Returns: The best time, which shows what the device can do, and the mean, which shows what it keeps up beside
  ///   whatever else the machine does.
  /// - Throws: `DeviceError`.
  func time() throws(DeviceError) -> (best: CaseReport, mean: CaseReport) {
    let pass = DecoderForwardPass(configuration, on: backend)
    func once() throws(DeviceError) -> DeviceTime {
      try backend.time { () throws(DeviceError) in
        try pass.advance(states, sequences: sequences, through: weights, block: 0, workspace: workspace)
      }
    }
    _ = try once()
    var best = try once()
    var sum = best.seconds
    for _ in 1..<DecoderBlock.repetitions {
      let time = try once()
      sum += time.seconds
      if time.seconds < best.seconds { best = time }
    }
    let mean = DeviceTime(seconds: sum / Double(DecoderBlock.repetitions), clock: best.clock)
    return (report(best), report(mean))
  }

  private func report(_ time: DeviceTime) -> CaseReport {
    let parameters = configuration.blockParts.reduce(0) { $0 + configuration.shape(of: $1).reduce(1, *) }
    return CaseReport(
      operation: "decoder block",
      shape: "\(lengths.count) texts of \(lengths[0]) · \(configuration.hiddenSize) wide, "
        + "\(configuration.queryHeads)/\(configuration.keyValueHeads) heads, \(configuration.intermediateSize) inside",
      elementType: ElementType.bfloat16.rawValue, error: 0, bound: 0, time: time,
      flops: configuration.blockFlops(lengths: lengths, block: 0), bytes: 2 * parameters, outcome: .passed)
  }

  /// Small numbers of both signs.
  private static func numbers(_ count: Int) -> [Float] { (0..<count).map { Float($0 % 251 - 125) / 5000 } }
}

extension ModelConfiguration {
  /// A Llama of the width of a scale.
  ///
  /// - Throws: `Failure` when the scale has no sound shape.
  init(_ scale: BenchmarkScale) throws(Failure) {
    let heads = scale.width / BenchmarkScale.headDimension
    try self.init(
      json: [
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": .integer(scale.width),
        "num_hidden_layers": 1, "num_attention_heads": .integer(heads),
        "num_key_value_heads": .integer(heads / BenchmarkScale.queriesPerKey),
        "intermediate_size": .integer(scale.feedForward), "vocab_size": 32_000,
        "max_position_embeddings": .integer(scale.tokens), "rms_norm_eps": .double(1e-5), "hidden_act": "silu",
      ], path: "the benchmark's own model")
  }
}
