import Compute
import Diagnostics
import JSON

/// Everything that decides the result of a merge, as a user writes it down.
public struct MergeRecipe: Sendable, Equatable {
  /// The layer whose representations are clustered.
  public enum ClusterLayer: Sendable, Equatable {
    /// The last block.
    case last
    /// A block, counted from 0.
    case block(Int)

    /// The spelling on the command line and in recipes.
    public var name: String {
      switch self {
      case .last: "last"
      case .block(let number): "\(number)"
      }
    }

    /// The number of the block in a model of so many blocks.
    func block(of blocks: Int) -> Int {
      switch self {
      case .last: blocks - 1
      case .block(let number): number
      }
    }

    /// The layer of a spelling.
    public init?(name: String) {
      if name == "last" {
        self = .last
      } else if let number = Int(name), number >= 0 {
        self = .block(number)
      } else {
        return nil
      }
    }
  }

  /// The newly fine-tuned model that the others are compared with.
  public var anchor: String?
  /// The other models.
  public var models: [String] = []
  /// The model that all were fine-tuned from.
  public var base: String?
  /// Which model selects the typical samples where there is neither anchor nor base.
  public var typicalFrom: String?
  /// The pool of texts, or the typical samples that `select` wrote.
  public var samples: String?
  /// m, the number of clusters.
  public var typical = 20
  /// The layer that is clustered.
  public var clusterLayer = ClusterLayer.last
  /// How hidden states become vectors; `nil` for what the samples' header says, else the mean.
  public var pooling: Pooling?
  /// Where texts are cut, in tokens; `nil` for what the samples' header says, else 512.
  public var maxTokens: Int?
  /// Distance, bandwidth and temperature.
  public var weighing = WeighingRule(distance: .relative, bandwidth: .anchorMedian, temperature: 1)
  /// The similarity that no pair of models may stay below in most layers; `nil` for no such condition.
  public var requiredSimilarity: Double?
  /// Seeds the clustering.
  public var seed = 0
  /// The type of fused tensors; `nil` for that of the reference, tensor by tensor.
  public var elementType: ElementType?
  /// Whether NaNs and infinities are let through.
  public var allowsNonFinite = false

  /// `pooling`, or the mean where nothing is said.
  var poolingOrDefault: Pooling { pooling ?? .mean }
  /// `maxTokens`, or 512 where nothing is said.
  var maxTokensOrDefault: Int { maxTokens ?? 512 }

  /// A recipe with the defaults and no models.
  public init() {}

  /// Looks for options that contradict each other.
  ///
  /// - Throws: `Failure` of category `usage`.
  func check() throws(Failure) {
    guard weighing.bandwidth == .dimension, weighing.distance == .relative else { return }
    throw Failure(
      .usage, operation: "read the recipe", subject: "--bandwidth", expected: "--distance absolute beside dimension",
      got: "relative distances", advice: "Half the width is a bandwidth for absolute distances only.")
  }

  /// The recipe with the options that samples were selected with in place of its own.
  func asUsed(with selection: SelectionHeader?, samples: Int) -> MergeRecipe {
    guard let selection else { return self }
    var used = self
    used.pooling = selection.pooling
    used.maxTokens = selection.maxTokens
    used.seed = selection.seed
    used.typical = samples
    if case .block(let number) = Layer(name: selection.clusterLayer) { used.clusterLayer = .block(number) }
    return used
  }

  /// All options as used.
  public var json: JSONValue {
    func optional(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }
    return [
      "method": "recall", "anchor": optional(anchor), "models": .array(models.sorted().map(JSONValue.string)),
      "base": optional(base), "typicalFrom": optional(typicalFrom), "samples": optional(samples),
      "typical": .integer(typical), "clusterLayer": .string(clusterLayer.name),
      "pooling": .string(poolingOrDefault.rawValue), "maxTokens": .integer(maxTokensOrDefault),
      "distance": .string(weighing.distance.rawValue), "bandwidth": .string(weighing.bandwidth.name),
      "temperature": .double(weighing.temperature), "seed": .integer(seed),
      "requireSimilarity": requiredSimilarity.map(JSONValue.double) ?? .null,
      "dtype": optional(elementType?.rawValue), "allowNonFinite": .bool(allowsNonFinite),
    ]
  }

  /// The keys of a recipe, in the order of `json`.
  public static var keys: [String] { MergeRecipe().json.object?.members.map(\.key) ?? [] }
}
