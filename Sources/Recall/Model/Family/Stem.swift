/// What stands before and behind the blocks of a decoder.
package struct Stem: Sendable, Equatable {
  /// The token embeddings, `[vocabulary, d]`.
  var embedding: TensorSpec
  /// What they are multiplied by.
  var embeddingScale: Float = 1
  /// The norm of the last block's output.
  package var finalNorm: Norm
  /// The output head, `[vocabulary, d]`; a tied one need not be stored.
  var head: TensorSpec
  /// Whether the head is the embedding.
  package var tiesHead: Bool
  /// What logits are multiplied by.
  var logitScale: Float = 1

  /// d, the width of the residual stream.
  var width: Int { embedding.shape[1] }
  /// The number of token identifiers.
  var vocabulary: Int { embedding.shape[0] }
}
