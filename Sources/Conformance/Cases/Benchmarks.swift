import Compute

extension OperationCase {
  /// Cases of the sizes that merges have, to be timed and not compared.
  public static var benchmarks: [OperationCase] {
    let shape = AttentionShape(queryHeads: 32, keyValueHeads: 8, headDimension: 64, scale: 0.125)
    return [
      embeddingLookup(tokens: 1024, vocabulary: 4096, width: 2048, .bfloat16),
      rmsNorm(rows: 1024, width: 2048, .bfloat16),
      layerNorm(rows: 1024, width: 2048, .bfloat16, hasBias: true),
      multiply(rows: 1, depth: 2048, columns: 5632, .bfloat16, hasBias: false),
      multiply(rows: 16, depth: 2048, columns: 5632, .bfloat16, hasBias: false),
      multiply(rows: 1024, depth: 2048, columns: 5632, .float32, hasBias: false),
      multiply(rows: 1024, depth: 2048, columns: 5632, .float16, hasBias: false),
      multiply(rows: 1024, depth: 2048, columns: 5632, .bfloat16, hasBias: false),
      rotaryEmbedding(tokens: 1024, heads: 32, dimension: 64, rotated: 64),
      attention(lengths: [256, 256, 256, 256], shape),
      attention(lengths: [1024], shape),
      gatedActivation(.silu, rows: 1024, width: 5632),
      gatedActivation(.gelu, rows: 1024, width: 5632),
      gatedActivation(.geluTanh, rows: 1024, width: 5632),
      add(rows: 1024, width: 2048),
      pool(.mean, lengths: [256, 256, 256, 256], width: 2048),
      pairedSquaredDistances(rows: 256, width: 2048),
      squaredDistances(rows: 256, others: 256, width: 2048),
      radialBasisKernel(rows: 256, others: 256, width: 2048),
      assignClusters(points: 2048, clusters: 20, width: 2048),
      updateCentroids(points: 2048, clusters: 20, width: 2048),
      weightedSum([.bfloat16, .bfloat16, .bfloat16], .bfloat16, rows: 2048, columns: 4096),
      weightedSum([.float16, .float16, .float16], .float16, rows: 2048, columns: 4096),
      weightedSum([.float32, .float32, .float32], .float32, rows: 2048, columns: 4096),
      weightedSum([ElementType](repeating: .bfloat16, count: 8), .bfloat16, rows: 2048, columns: 2048),
    ]
  }
}
