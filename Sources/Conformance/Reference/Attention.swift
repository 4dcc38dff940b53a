import Compute
import Glibc

extension Reference {
  /// The magnitude of an element is its weighted sum of magnitudes, times one more than the largest magnitude of its
  /// row's scores: an error in a score changes a weight by as much, relatively.
  static func attention(
    queries: HostMatrix, keys: HostMatrix, values: HostMatrix, lengths: [Int], shape: AttentionShape
  ) -> Expectation {
    let dimension = shape.headDimension
    let group = shape.queryHeads / shape.keyValueHeads
    var results = [Double](repeating: 0, count: queries.rows * queries.columns)
    var magnitudes = results
    var start = 0
    for length in lengths {
      for query in 0..<length {
        for head in 0..<shape.queryHeads {
          let (queryColumn, keyColumn) = (head * dimension, head / group * dimension)
          let visible = (0..<length).filter { key in
            (!shape.causal || key <= query) && key > query - (shape.window ?? .max)
          }
          let products = visible.map { key in
            (0..<dimension).map { queries[start + query, queryColumn + $0] * keys[start + key, keyColumn + $0] }
          }
          let scores = products.map { capped($0.reduce(0, +) * Double(shape.scale), shape.softCap) }
          let steepest = products.map { $0.reduce(0) { $0 + $1.magnitude } * Double(shape.scale) }.max() ?? 0
          let largest = scores.max() ?? 0
          let weights = scores.map { exp($0 - largest) }
          let sum = weights.reduce(0, +)
          for column in 0..<dimension {
            let terms = zip(visible, weights).map { values[start + $0, keyColumn + column] * $1 / sum }
            let place = (start + query) * queries.columns + queryColumn + column
            results[place] = terms.reduce(0, +)
            magnitudes[place] = terms.reduce(0) { $0 + $1.magnitude } * (1 + steepest)
          }
        }
      }
      start += length
    }
    return Expectation(results, magnitudes: magnitudes)
  }

  private static func capped(_ score: Double, _ cap: Float?) -> Double {
    guard let cap else { return score }
    return Double(cap) * tanh(score / Double(cap))
  }
}
