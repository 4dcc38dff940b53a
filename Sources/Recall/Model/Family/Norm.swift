/// A norm of as many elements at a time as its gain has: a whole state, or head by head.
package struct Norm: Sendable, Equatable {
  /// What elements are divided by.
  enum Kind: Sendable {
    /// `x / √(mean(x²) + ε)`
    case rootMeanSquare
    /// `(x − mean) / √(variance + ε)`
    case layer
  }

  var kind: Kind
  /// The gain as stored, `[elements]`.
  var gain: TensorSpec
  /// What is added at last, `[elements]`; only layer norms can have it.
  var bias: TensorSpec?
  /// ε.
  package var epsilon: Float
  /// What is added to every element of the stored gain: 1 in families that store how far the gain is from 1.
  var offset: Float

  /// How many elements are normed at a time.
  var width: Int { gain.shape[0] }
  /// What is stored.
  var tensors: [TensorSpec] { [gain] + [bias].compactMap { $0 } }
}
