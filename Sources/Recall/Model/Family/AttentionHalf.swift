import Compute

/// The half of a block in which tokens see each other.
///
///     x += norm(attention(turn(norm(q)), turn(norm(k)), v) · W_outputᵀ)   with q, k, v maps of norm(x)
///
/// Every norm may be missing, and so may the turning.
package struct AttentionHalf: Sendable, Equatable {
  /// The norm of the residual stream before the maps.
  var input: Norm?
  /// The query map, to `queryHeads · headDimension` elements.
  var query: LinearMap
  /// The key map, to `keyValueHeads · headDimension` elements.
  var key: LinearMap
  /// The value map, to as many.
  var value: LinearMap
  /// The norm of queries: head by head, or of all heads together, as wide as its gain is.
  var queryNorm: Norm?
  /// The norm of keys.
  var keyNorm: Norm?
  /// How queries and keys are turned by their positions.
  package var rotary: RotaryEmbedding?
  /// Who sees whom, and how sharply.
  package var shape: AttentionShape
  /// The output map, to the width of the residual stream.
  var output: LinearMap
  /// The norm of what is added to the residual stream.
  var outputNorm: Norm?

  /// The maps that share the input.
  var inner: [LinearMap] { [query, key, value] }
  /// All maps, in the order of the pass.
  var maps: [LinearMap] { inner + [output] }
  /// All norms, in the order of the pass.
  var norms: [Norm] { [input, queryNorm, keyNorm, outputNorm].compactMap { $0 } }

  /// What is stored, in the order of the pass.
  var tensors: [TensorSpec] {
    func of(_ norm: Norm?) -> [TensorSpec] { norm?.tensors ?? [] }
    return of(input) + inner.flatMap(\.tensors) + of(queryNorm) + of(keyNorm) + output.tensors + of(outputNorm)
  }

  /// The multiplications and additions of who sees whom in texts of these lengths: four for each query element and pair of
  /// tokens that see each other.
  func pairOperations(lengths: [Int]) -> Int {
    let pairs = lengths.reduce(0) { sum, length in
      let window = min(shape.window ?? length, length)
      // The first tokens see all before them, the others a whole window.
      return sum + window * (window + 1) / 2 + (length - window) * window
    }
    return 4 * pairs * shape.queryHeads * shape.headDimension
  }
}
