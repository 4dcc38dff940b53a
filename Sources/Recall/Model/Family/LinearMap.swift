/// `y = x · Wᵀ + b`, where W is some rows of a stored tensor.
package struct LinearMap: Sendable, Equatable {
  /// The stored tensor, `[outputs of all maps in it, inputs]`.
  package let tensor: TensorSpec
  /// The rows of it that are W.
  let rows: Range<Int>
  /// The stored bias, of which the same elements are b; `nil` for none.
  let bias: TensorSpec?

  /// The number of outputs.
  package var outputs: Int { rows.count }
  /// The number of inputs.
  package var inputs: Int { tensor.shape[1] }
  /// Whether the tensor holds nothing else.
  var isWholeTensor: Bool { rows == 0..<tensor.shape[0] }
  /// What is stored.
  var tensors: [TensorSpec] { [tensor] + [bias].compactMap { $0 } }
}
