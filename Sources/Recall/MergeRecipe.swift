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

  /// Looks for options that contradict each other.
  ///
  /// - Throws: `Failure` of category `usage`.
  func check() throws(Failure) {
    try checkChanges()
    guard weights.allSatisfy({ $0 == nil }) else {
      throw Failure(
        .usage, operation: "read the recipe", subject: "--weight", expected: "a method whose weights are given",
        got: "--method \(method), which finds them", advice: "Leave --weight out, or choose --method linear.")
    }
    guard weighing.bandwidth == .dimension, weighing.distance == .relative else { return }
    throw Failure(
      .usage, operation: "read the recipe", subject: "--bandwidth", expected: "--distance absolute beside dimension",
      got: "relative distances", advice: "Half the width is a bandwidth for absolute distances only.")
  }

  /// Makes sure that there is a base where something is scaled from it, and that something of every change is kept.
  ///
  /// - Throws: `Failure` of category `usage`.
  func checkChanges() throws(Failure) {
    guard density > 0, density <= 1 else {
      throw Failure(
        .usage, operation: "read the recipe", subject: "--density", expected: "a number above 0, up to 1",
        got: "\(density)")
    }
    guard scale != 1, base == nil else { return }
    throw Failure(
      .usage, operation: "read the recipe", subject: "--scale", expected: "--base beside it", got: "none",
      advice: "Name the model that all were fine-tuned from: its distance to the merge is what is scaled.")
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

  /// The options that the method uses, as used.
  public var json: JSONValue {
    let used = MergeMethods.all.first { $0.name == method }?.recipeKeys ?? []
    let members = allMembers.filter { $0.key == "method" || used.contains($0.key) }
    return .object(JSONObject(members.map { ($0.key, $0.value) }))
  }

  /// The models with their weights and samples where they have some, sorted by path.
  private var modelList: JSONValue {
    let entries = zip(models, weights(of: models.count)).map { (path: $0, weight: $1) }
    let sorted = entries.sorted { left, right in
      left.path == right.path
        ? (left.weight ?? 0) < (right.weight ?? 0) : left.path.utf8.lexicographicallyPrecedes(right.path.utf8)
    }
    return .array(sorted.map { entry(of: $0, weight: $1) })
  }

  /// A model as its path, or with more to say as an object.
  private func entry(of path: String, weight: Double?) -> JSONValue {
    var members = [("path", JSONValue.string(path))]
    if let weight { members.append(("weight", .double(weight))) }
    if let samples = samplesOfModels[path] { members.append(("samples", .string(samples))) }
    return members.count > 1 ? .object(JSONObject(members)) : .string(path)
  }

  /// The weight given to each of so many models.
  func weights(of count: Int) -> [Double?] { (0..<count).map { $0 < weights.count ? weights[$0] : nil } }

  private var allMembers: [JSONObject.Member] {
    func optional(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }
    let json: JSONValue = [
      "method": .string(method), "anchor": anchor.map { entry(of: $0, weight: nil) } ?? .null, "models": modelList,
      "base": optional(base), "typicalFrom": optional(typicalFrom), "samples": optional(samples),
      "typical": .integer(typical), "clusterLayer": .string(clusterLayer.name),
      "pooling": .string(poolingOrDefault.rawValue), "maxTokens": .integer(maxTokensOrDefault),
      "distance": .string(weighing.distance.rawValue), "bandwidth": .string(weighing.bandwidth.name),
      "temperature": .double(weighing.temperature), "seed": .integer(seed),
      "requireSimilarity": requiredSimilarity.map(JSONValue.double) ?? .null,
      "alignShare": .double(alignment.share), "ridge": .double(alignment.ridge),
      "fitSteps": .integer(alignment.fitSteps), "balance": .string(alignment.balance.rawValue),
      "normalize": normalize.map(JSONValue.bool) ?? .null, "scale": .double(scale),
      "shallowScale": shallowScale.map(JSONValue.double) ?? .null, "deepScale": .double(deepScale),
      "t": .double(t), "density": .double(density), "rescale": .string(rescale.rawValue),
      "dtype": optional(elementType?.rawValue), "allowNonFinite": .bool(allowsNonFinite),
    ]
    return json.object?.members ?? []
  }

  /// All keys of recipes.
  public static var keys: [String] { MergeRecipe().allMembers.map(\.key) }
}
