import Compute
import Diagnostics

/// Where a merge goes, and what becomes of what is there.
public struct MergeTarget: Sendable {
  /// The directory to be created.
  public let output: String
  /// Whether it may replace one that exists.
  public let overwrite: Bool
  /// Whether the leftover of a run that was stopped is taken up.
  public let resume: Bool
  /// Ends the merge early, with what is finished saved.
  public let stop: StopRequest

  /// Describes a target.
  public init(_ output: String, overwrite: Bool = false, resume: Bool = false, stop: StopRequest = StopRequest()) {
    self.output = output
    self.overwrite = overwrite
    self.resume = resume
    self.stop = stop
  }
}

/// A way to merge: how the weights of models are found and what is done with them.
///
/// A method is one file beside this one and an entry in `MergeMethods.all`; command line, recipes and help follow.
public protocol MergeMethod: Sendable {
  /// The name in `--method` and recipes.
  var name: String { get }
  /// What it does, in a few words.
  var summary: String { get }
  /// The options that it uses beside `method`; others are refused.
  var fields: [RecipeField] { get }
  /// What its merges have in place of weights of every layer, which `plan`, `batch` and `fuse` work with; `nil` where
  /// the stages `select`, `extract`, `weigh` and `fuse` give the bytes of the merge.
  var obstacleToStages: String? { get }

  /// What the fused change from the base is multiplied by where the recipe does not say.
  func standardScale(_ recipe: MergeRecipe) -> Double

  /// How a model came about, in a sentence or two for its card.
  ///
  /// - Parameter report: What a merge by this method decided and did.
  /// - Returns: Markdown, without a line break at its end.
  func origin(of report: MergeReport) -> String

  /// Describes what a merge would do, found without reading an element.
  ///
  /// - Throws: `Failure` or `DeviceError`, the same as the merge would.
  func plan(_ recipe: MergeRecipe, output: String?, memoryBudget: Int?, on backend: any ComputeBackend) throws -> String

  /// Merges into a directory.
  ///
  /// - Throws: `Failure` or `DeviceError`; then nothing new stands under the name of the output.
  func merge(
    _ recipe: MergeRecipe, into target: MergeTarget, memoryBudget: Int?, on backend: any ComputeBackend,
    progress: MergeProgress
  ) throws -> MergeOutcome
}

extension MergeMethod {
  /// Whether it uses an option.
  public func uses(_ field: RecipeField) -> Bool { field == .method || fields.contains(field) }

  /// Name and summary.
  public func origin(of report: MergeReport) -> String { "Made with Recall by the method \(name): \(summary)." }

  /// 1, which leaves it as it is.
  public func standardScale(_ recipe: MergeRecipe) -> Double { 1 }
}

/// The methods of this build.
public enum MergeMethods {
  /// All methods; the first is the default.
  public static let all: [any MergeMethod] = [
    RecallMethod(), AlignedRecallMethod(), RegressionMeanMethod(), LinearMethod(), SlerpMethod(),
    TaskArithmeticMethod(),
    TIESMethod(), DAREMethod(name: "dare-linear", votes: false), DAREMethod(name: "dare-ties", votes: true),
    LayerIncreasingMethod(), LMCocktailMethod(),
  ]

  /// The name of the default.
  public static var standard: String { all[0].name }

  /// The names as a user reads them.
  public static var names: String { all.map(\.name).joined(separator: ", ") }

  /// The method of a name.
  ///
  /// - Throws: `Failure` of category `usage` that names the nearest method.
  public static func named(_ name: String) throws(Failure) -> any MergeMethod {
    if let method = all.first(where: { $0.name == name }) { return method }
    throw Failure(
      .usage, operation: "read the recipe", subject: "--method", expected: "one of \(names)", got: "\"\(name)\"",
      advice: nearest(to: name, among: all.map(\.name)).map { "Did you mean \($0)?" } ?? "")
  }
}

/// A method whose weights are given and need no hidden states: it streams from the inputs to the output, and models of any
/// architecture will do.
public protocol WeightsOnlyMethod: MergeMethod {
  /// Whether weights are those of the models' changes from a base, `θ₀ + Σ wᵢ (θᵢ − θ₀)`, so that a base has to be given; else
  /// those of the models themselves, `Σ wᵢ θᵢ`.
  var weighsChanges: Bool { get }
  /// Whether weights are divided by their sum where the recipe does not say.
  var normalizesByDefault: Bool { get }

  /// Whether the elements of the models are compared with those of the base: then the base is an input of its own even where it
  /// is one of the models, and what weights are divided by is up to the rules.
  var takesBaseApart: Bool { get }

  /// Looks for options that make no sense.
  ///
  /// - Throws: `Failure` of category `usage`.
  func check(_ recipe: MergeRecipe) throws(Failure)

  /// The weight of each model in the sum.
  ///
  /// - Parameters:
  ///   - given: What the recipe gives, model by model; `nil` where it gives nothing.
  ///   - recipe: The recipe.
  /// - Returns: One weight per model, as it enters the sum.
  /// - Throws: `Failure` of category `usage` for weights that make no sense.
  func weights(given: [Double?], recipe: MergeRecipe) throws(Failure) -> [Double]

  /// What the weights of every layer are multiplied by, where that depends on depth; `nil` where it does not, and models of
  /// unknown architectures will do.
  ///
  /// - Parameters:
  ///   - recipe: The recipe.
  ///   - blocks: The number of blocks.
  /// - Returns: A factor for each layer.
  func depthScales(_ recipe: MergeRecipe, blocks: Int) -> [Layer: Double]?

  /// How tensors are made where that is more than a sum with the weights; `nil` where it is not.
  ///
  /// - Parameters:
  ///   - weights: The weight of each model in canonical order.
  ///   - recipe: The recipe.
  ///   - plan: What is made of what.
  /// - Returns: The rules.
  /// - Throws: `Failure` for a plan that the method cannot fuse.
  func rules(weights: [Double], recipe: MergeRecipe, plan: FusionPlan) throws(Failure) -> (any FusionRules)?

  /// The recipe as it is recorded, for models in canonical order.
  ///
  /// - Parameters:
  ///   - recipe: The recipe with its models in canonical order.
  ///   - weights: The weight of each of them.
  /// - Returns: A recipe that gives the same bytes.
  func recorded(_ recipe: MergeRecipe, weights: [Double]) -> MergeRecipe
}

extension WeightsOnlyMethod {
  /// One weight for a whole model is no weight of a layer.
  public var obstacleToStages: String? { "the same for all tensors" }

  /// As given.
  public var normalizesByDefault: Bool { false }

  /// One of the models, where it is one.
  public var takesBaseApart: Bool { false }

  /// All options make sense.
  public func check(_ recipe: MergeRecipe) throws(Failure) {}

  /// The same at every depth.
  public func depthScales(_ recipe: MergeRecipe, blocks: Int) -> [Layer: Double]? { nil }

  /// Sums.
  public func rules(
    weights: [Double], recipe: MergeRecipe, plan: FusionPlan
  ) throws(Failure) -> (any FusionRules)? { nil }

  /// As it is.
  public func recorded(_ recipe: MergeRecipe, weights: [Double]) -> MergeRecipe { recipe }

  /// The weight of a model that none is given for: 1 for changes, and the mean of models.
  func defaultWeight(models: Int) -> Double { weighsChanges ? 1 : 1 / Double(models) }

  /// The weights as given, or the default, divided by their sum where that is asked for and does not depend on the element.
  public func weights(given: [Double?], recipe: MergeRecipe) throws(Failure) -> [Double] {
    let weights = given.map { $0 ?? defaultWeight(models: given.count) }
    guard !takesBaseApart, recipe.normalize ?? normalizesByDefault else { return weights }
    let sum = weights.reduce(0, +)
    // mergekit divides by whatever the sum is; by next to nothing, the result is noise.
    guard abs(sum) >= 1e-8 else {
      throw Failure(
        .usage, operation: "normalise the weights", subject: "--weight", expected: "weights whose sum is not 0",
        got: "\(sum)", advice: "Give other weights, or --normalize false.")
    }
    return weights.map { $0 / sum }
  }

  /// Describes what the merge would do.
  public func plan(
    _ recipe: MergeRecipe, output: String?, memoryBudget: Int?, on backend: any ComputeBackend
  ) throws -> String {
    try WeightsOnlyPlan(recipe, method: self, output: output, memoryBudget: memoryBudget, on: backend).text
  }

  /// Merges chunk by chunk.
  public func merge(
    _ recipe: MergeRecipe, into target: MergeTarget, memoryBudget: Int?, on backend: any ComputeBackend,
    progress: MergeProgress
  ) throws -> MergeOutcome {
    try WeightsOnlyMerge(recipe, method: self, memoryBudget: memoryBudget, on: backend, progress: progress)
      .merge(into: target)
  }
}
