/// What one block of a decoder is made of: the one description that the tensor check, the walk, the forward pass, its scratch,
/// the costs, the layers of tensors and the solution for linear maps all derive from.
package struct Block: Sendable, Equatable {
  /// The first half.
  package var attention: AttentionHalf
  /// The second half.
  package var feedForward: FeedForwardHalf
  /// Whether both halves read the stream that enters the block, so that neither sees what the other adds.
  var isParallel = false
  /// What both halves' outputs are multiplied by before they are added.
  var residualScale: Float = 1

  /// What is stored, each tensor once, in the order of the pass.
  package var tensors: [TensorSpec] {
    var seen: Set<String> = []
    return (attention.tensors + feedForward.tensors).filter { seen.insert($0.name).inserted }
  }

  /// All linear maps, in the order of the pass.
  var maps: [LinearMap] { attention.maps + feedForward.maps }

  /// All norms, in the order of the pass.
  package var norms: [Norm] { attention.norms + feedForward.norms }

  /// The floating point operations for packed texts: two for each weight of a map and token, and what attention adds.
  ///
  /// - Parameter lengths: The tokens of each text.
  /// - Returns: Multiplications and additions.
  package func operations(lengths: [Int]) -> Int {
    let weights = maps.reduce(0) { $0 + $1.outputs * $1.inputs }
    return 2 * weights * lengths.reduce(0, +) + attention.pairOperations(lengths: lengths)
  }

  /// The block but for how far back its tokens see, which changes no parameter.
  var withoutWindow: Block {
    var block = self
    block.attention.shape.window = nil
    return block
  }
}
