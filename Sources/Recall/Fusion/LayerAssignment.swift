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
  /// Whether the output head is the embedding; then a stored copy of it is fused like the embedding.
  public let tiesHead: Bool
  /// The number of blocks.
  public let blockCount: Int

  /// The assignment for one model.
  public init(_ configuration: ModelConfiguration) {
    tiesHead = configuration.tiesHead
    blockCount = configuration.blockCount
  }

  /// The layer of a tensor; `nil` when its name is of no layer.
  ///
  /// Tensors of block l belong to block l, the embedding to `embedding`, final norm and output head to `head`.
  public func layer(of name: String) -> Layer? {
    switch name {
    case Architecture.embedding: return .embedding
    case Architecture.outputHead: return tiesHead ? .embedding : .head
    case Architecture.finalNorm: return .head
    default:
      let parts = name.split(separator: ".", maxSplits: 3, omittingEmptySubsequences: false)
      guard parts.count == 4, parts[0] == "model", parts[1] == "layers", let number = Int(parts[2]),
        (0..<blockCount).contains(number)
      else { return nil }
      return .block(number)
    }
  }

  /// Whether a tensor holds rotary frequencies that old releases stored beside the parameters.
  public static func isRotaryTable(_ name: String) -> Bool { name.hasSuffix("rotary_emb.inv_freq") }
}
