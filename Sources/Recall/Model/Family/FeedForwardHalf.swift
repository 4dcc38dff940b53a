import Compute

/// The half of a block in which every token is by itself.
///
///     x += norm((activation(g) · u) · W_downᵀ)   with g and u maps of norm(x), or activation(u) without a gate
///
/// Every norm may be missing.
package struct FeedForwardHalf: Sendable, Equatable {
  /// The norm of the residual stream before the maps.
  var input: Norm?
  /// The map whose activations gate; `nil` where the activations themselves go on.
  var gate: LinearMap?
  /// The map to the hidden units.
  var up: LinearMap
  /// The nonlinearity.
  var activation: Activation
  /// The map back to the width of the residual stream.
  package var down: LinearMap
  /// The norm of what is added to the residual stream.
  var outputNorm: Norm?

  /// The maps that share the input.
  var inner: [LinearMap] { [gate, up].compactMap { $0 } }
  /// All maps, in the order of the pass.
  var maps: [LinearMap] { inner + [down] }
  /// All norms, in the order of the pass.
  var norms: [Norm] { [input, outputNorm].compactMap { $0 } }

  /// What is stored, in the order of the pass.
  var tensors: [TensorSpec] { (input?.tensors ?? []) + maps.flatMap(\.tensors) + (outputNorm?.tensors ?? []) }
}
