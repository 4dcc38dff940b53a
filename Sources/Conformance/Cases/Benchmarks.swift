import Compute

/// The sizes at which a device is measured: those of merges, made smaller for devices that would take long.
public struct BenchmarkScale: Sendable {
  /// The rate of `multiply` in operations per second from which on the sizes suit a device.
  let fromRate: Double
  /// Rows and columns of the square product that gives the ceiling of arithmetic.
  let product: Int
  /// The tokens of a batch.
  let tokens: Int
  /// The texts that a model runs over, each of as many tokens as `textLength`.
  public let texts: Int
  /// The blocks of that model.
  public let blocks: Int
  /// The width of the residual stream.
  public let width: Int
  /// The width inside of the feed-forward block.
  public let feedForward: Int
  /// The vectors that are compared or clustered.
  let points: Int
  /// The rows of the tensors that are summed, each of `width` columns.
  let fusedRows: Int

  /// The tokens of a text.
  public static let textLength = 256
  /// The elements of one attention head.
  public static let headDimension = 128
  /// The query heads that share a key and value head.
  static let queriesPerKey = 4

  /// From the largest to the smallest.
  private static let all = [
    BenchmarkScale(
      fromRate: 5e12, product: 8192, tokens: 8192, texts: 64, blocks: 32, width: 4096, feedForward: 11_008,
      points: 8192, fusedRows: 16_384),
    BenchmarkScale(
      fromRate: 5e11, product: 4096, tokens: 2048, texts: 16, blocks: 8, width: 4096, feedForward: 11_008,
      points: 4096, fusedRows: 16_384),
    BenchmarkScale(
      fromRate: 2e10, product: 1536, tokens: 512, texts: 2, blocks: 2, width: 2048, feedForward: 5632, points: 1024,
      fusedRows: 16_384),
    BenchmarkScale(
      fromRate: 0, product: 512, tokens: 128, texts: 1, blocks: 1, width: 512, feedForward: 1408, points: 256,
      fusedRows: 8192),
  ]

  /// The scale for a device, after a trial product.
  ///
  /// - Parameters:
  ///   - backend: The device.
  ///   - isQuick: Whether the next smaller scale is wanted.
  /// - Returns: The largest scale that the device is fast enough and has memory for.
  /// - Throws: `DeviceError` when the trial fails.
  public static func suiting(_ backend: any ComputeBackend, isQuick: Bool) throws(DeviceError) -> BenchmarkScale {
    let trial = OperationCase.multiply(rows: 512, depth: 512, columns: 512, .float32, hasBias: false)
    let report = trial.time(on: backend, repetitions: 2)
    if case .failed(let reason) = report.outcome {
      throw DeviceError(.driver, operation: "bench", expected: "a product", got: reason)
    }
    let rate = report.time.map { Double(report.flops) / $0.seconds } ?? 0
    let memory = backend.device.freeMemory ?? backend.device.memory / 2
    let fits = all.filter { $0.fromRate <= rate && $0.byteCount <= memory }
    let suiting = fits.first ?? all[all.count - 1]
    let next = all.first { $0.product < suiting.product } ?? suiting
    return isQuick ? next : suiting
  }

  /// About the memory that the largest case takes.
  private var byteCount: Int {
    max(
      3 * product * product * 4, 4 * fusedRows * width * 4, 4 * tokens * feedForward * 4,
      4 * texts * BenchmarkScale.textLength * (2 * width + 3 * feedForward))
  }
}

extension OperationCase {
  /// The products whose rates are the ceilings of arithmetic, one for each type of weights, with activations that a device
  /// takes as they are.
  public static func products(_ scale: BenchmarkScale, on backend: any ComputeBackend) -> [OperationCase] {
    ElementType.weights.map {
      multiply(
        rows: scale.product, depth: scale.product, columns: scale.product, $0, hasBias: false,
        activations: backend.activationType(withWeights: $0, precision: .fast))
    }
  }

  /// The copy whose rate is the ceiling of memory: as many bytes as the sum of three tensors.
  public static func largeCopy(_ scale: BenchmarkScale) -> OperationCase {
    copy(.bfloat16, count: 2 * scale.fusedRows * scale.width)
  }

  /// The RBF matrix at its full size, and the float32 product of the same matrices, below which it cannot come.
  public static func similarity(_ scale: BenchmarkScale) -> (kernel: OperationCase, product: OperationCase) {
    (
      radialBasisKernel(rows: scale.points, others: scale.points, width: scale.width),
      multiply(rows: scale.points, depth: scale.width, columns: scale.points, .float32, hasBias: false)
    )
  }

  /// What the stages of a merge do, at their sizes: timed, not compared.
  public static func benchmarks(_ scale: BenchmarkScale) -> [OperationCase] {
    let heads = scale.width / BenchmarkScale.headDimension
    let shape = AttentionShape(
      queryHeads: heads, keyValueHeads: heads / BenchmarkScale.queriesPerKey,
      headDimension: BenchmarkScale.headDimension, scale: 0.088)
    let length = min(BenchmarkScale.textLength, scale.tokens)
    let texts = [Int](repeating: length, count: scale.tokens / length)
    let (tokens, width, feedForward) = (scale.tokens, scale.width, scale.feedForward)
    return [
      embeddingLookup(tokens: tokens, vocabulary: 4096, width: width, .bfloat16),
      rmsNorm(rows: tokens, width: width, .bfloat16),
      multiply(rows: 1, depth: width, columns: feedForward, .bfloat16, hasBias: false),
      multiply(rows: 16, depth: width, columns: feedForward, .bfloat16, hasBias: false),
      multiply(rows: tokens, depth: width, columns: feedForward, .bfloat16, hasBias: false),
      rotaryEmbedding(tokens: tokens, heads: heads, dimension: shape.headDimension, rotated: shape.headDimension),
      attention(lengths: texts, shape),
      attention(lengths: texts, shape, into: .bfloat16),
      attention(lengths: [tokens], shape),
      attentionNormalisers(lengths: texts, shape),
      attentionDivergence(lengths: texts, shape),
      gatedActivation(.silu, rows: tokens, width: feedForward),
      gatedActivationGradient(.silu, rows: tokens, width: feedForward),
      rmsNormGradient(rows: tokens * heads, width: BenchmarkScale.headDimension, .bfloat16),
      add(rows: tokens, width: width),
      pool(.mean, lengths: texts, width: width),
      pairedSquaredDistances(rows: scale.points, width: width),
      squaredDistancesBetweenModels(models: 5, samples: 20, width: scale.width),
      assignClusters(points: scale.points, clusters: 20, width: width),
      updateCentroids(points: scale.points, clusters: 20, width: width),
      weightedSum(
        [ElementType](repeating: .bfloat16, count: 3), .bfloat16, rows: scale.fusedRows, columns: width),
      weightedSum([ElementType](repeating: .float32, count: 3), .float32, rows: scale.fusedRows, columns: width),
      weightedSum(
        [ElementType](repeating: .bfloat16, count: 8), .bfloat16, rows: scale.fusedRows / 2, columns: width),
      sparseChange(
        [.bfloat16, .bfloat16], count: scale.fusedRows * width, first: 0, .random(key: 1, threshold: 1 << 31)),
      countDigits(SortDigit(.magnitude, shift: 15), 1 << 16, count: scale.fusedRows * width) { numbers in
        numbers.matrix(1, scale.fusedRows * width)
      },
      blockMoments([.bfloat16, .bfloat16], count: scale.fusedRows * width),
      sumAgreeing(changes: 3, count: scale.fusedRows * width, .bfloat16, isStrange: false),
    ]
  }
}
