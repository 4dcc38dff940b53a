import JSON

/// What happens to a tensor of the output.
public enum TensorRule: Sendable, Equatable {
  /// Fused with the weights of a layer.
  case fused(Layer)
  /// Copied from the model that gives shard layout and configuration, for the reason named.
  case copied(CopyReason)
}

/// Why a tensor is not fused.
public enum CopyReason: String, Sendable {
  /// Integers and truth values have no weighted mean.
  case notFloatingPoint = "not floating point"
  /// A buffer that old releases stored; the configuration determines it.
  case rotaryTable = "rotary table, determined by the configuration"
}

/// Assigns the tensors of a decoder to the layers whose weights fuse them.
public struct LayerAssignment: Sendable {
  private let layers: [ExactString: Layer]

  /// The assignment for one model: tensors of block l belong to block l, the embedding to `embedding`, final norm and output
  /// head to `head`; a stored copy of a head that is the embedding is fused like the embedding.
  public init(_ configuration: ModelConfiguration) {
    let stem = configuration.stem
    var layers: [ExactString: Layer] = [:]
    for (number, block) in configuration.blocks.enumerated() {
      for tensor in block.tensors { layers[ExactString(tensor.name)] = .block(number) }
    }
    for tensor in stem.finalNorm.tensors { layers[ExactString(tensor.name)] = .head }
    layers[ExactString(stem.head.name)] = stem.tiesHead ? .embedding : .head
    layers[ExactString(stem.embedding.name)] = .embedding
    self.layers = layers
  }

  /// The layer of a tensor; `nil` when it is of none.
  public func layer(of name: String) -> Layer? { layers[ExactString(name)] }

  /// Whether a tensor holds rotary frequencies that old releases stored beside the parameters.
  public static func isRotaryTable(_ name: String) -> Bool { name.hasSuffix("rotary_emb.inv_freq") }
}
