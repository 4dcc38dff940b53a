/// One step of depth at which models are compared and fused.
public enum Layer: Hashable, Sendable {
  /// The embedding output, which is the input of the first block.
  case embedding
  /// The residual stream after a block, counted from 0.
  case block(Int)
  /// The output of the final norm.
  case head
  /// All of a model at once, for methods that know no layers.
  case whole

  /// All layers of a model, shallow to deep.
  public static func all(blocks: Int) -> [Layer] { [.embedding] + (0..<blocks).map(Layer.block) + [.head] }

  /// The name that files use: `embedding`, `block.N`, `head`, or `all` for the whole.
  public var name: String {
    switch self {
    case .embedding: "embedding"
    case .block(let number): "block.\(number)"
    case .head: "head"
    case .whole: "all"
    }
  }

  /// The layer of a name that `name` gives.
  public init?(name: String) {
    switch name {
    case "embedding": self = .embedding
    case "head": self = .head
    case "all": self = .whole
    default:
      guard name.hasPrefix("block."), let number = Int(name.dropFirst("block.".count)), number >= 0 else { return nil }
      self = .block(number)
    }
  }
}
