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

  /// The name of the method.
  public var method = MergeMethods.standard
  /// The newly fine-tuned model that the others are compared with.
  public var anchor: String?
  /// The other models.
  public var models: [String] = []
  /// The weight given to each of `models`, in the same order; `nil`, or nothing at the end, where none is given.
  public var weights: [Double?] = []
  /// Whether weights are divided by their sum; `nil` for what is usual with the method.
  public var normalize: Bool?
  /// The model that all were fine-tuned from.
  public var base: String?
  /// λ, what the fused change from the base is multiplied by, as it was given; `nil` for the method's own.
  public var givenScale: Double?
  /// λ, what the fused change from the base is multiplied by; other than 1 only with a base.
  public var scale: Double {
    get { givenScale ?? MergeMethods.all.first { $0.name == method }?.standardScale(self) ?? 1 }
    set { givenScale = newValue }
  }
  /// What changes in the first block are multiplied by, where scales grow with depth; `nil` for one over their number.
  public var shallowScale: Double?
  /// What changes in the last block are multiplied by, where scales grow with depth.
  public var deepScale = 1.0
  /// Where between two models the result lies, from 0, the first, to 1, the second.
  public var t = 0.5
  /// How much of every change from the base is kept, above 0 and up to 1.
  public var density = 1.0
  /// How changes of which only some elements are kept are made up for the others.
  public var rescale = ChangeRescale.density
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
  /// How the linear maps of a merge are solved for, by methods that do.
  public var alignment = AlignmentRule()
  /// The files of models' own samples, by the models' absolute paths.
  public var samplesOfModels: [String: String] = [:]
  /// The similarity that no pair of models may stay below in most layers; `nil` for no such condition.
  public var requiredSimilarity: Double?
  /// Seeds the clustering, or the choice of random elements.
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

  /// Looks for options that contradict each other, or that models carry and the method has no use for.
  ///
  /// - Throws: `Failure` of category `usage`.
  func check() throws(Failure) {
    try checkUse(of: [])
    guard density > 0, density <= 1 else {
      throw Failure(
        .usage, operation: "read the recipe", subject: "--density", expected: "a number above 0, up to 1",
        got: "\(density)")
    }
    guard scale == 1 || base != nil else {
      throw Failure(
        .usage, operation: "read the recipe", subject: "--scale", expected: "--base beside it", got: "none",
        advice: "Name the model that all were fine-tuned from: its distance to the merge is what is scaled.")
    }
    guard weighing.bandwidth != .dimension || weighing.distance != .relative else {
      throw Failure(
        .usage, operation: "read the recipe", subject: "--bandwidth", expected: "--distance absolute beside dimension",
        got: "relative distances", advice: "Half the width is a bandwidth for absolute distances only.")
    }
  }

  /// Makes sure that the method has a use for the fields that were given, and for what models carry.
  ///
  /// - Parameter given: The fields that a user asked for, be it with their standard values.
  /// - Throws: `Failure` of category `usage` that names the option.
  public func checkUse(of given: [RecipeField]) throws(Failure) {
    let method = try MergeMethods.named(method)
    let carried = RecipeField.all.filter { $0.place == .models && !$0.write(self).isNull }
    if let unused = (carried + given).first(where: { !method.uses($0) }) { throw unused.failure(unusedBy: method) }
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

  /// The weight given to each of so many models.
  func weights(of count: Int) -> [Double?] { (0..<count).map { $0 < weights.count ? weights[$0] : nil } }
}
