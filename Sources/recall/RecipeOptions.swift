import Checkpoint
import Compute
import Diagnostics
import JSON
import Recall

/// The options that make a recipe, for the commands that take one.
enum RecipeOptions {
  static let recipe = CommandOption(
    name: "--recipe", placeholder: "FILE", help: "a JSON recipe, as recall.json keeps it; options outrank it")
  static let method = CommandOption(
    name: "--method", placeholder: "recall", help: "how to merge; this build has the method of the paper")
  static let anchor = CommandOption(
    name: "--anchor", placeholder: "DIR", help: "the newly fine-tuned model, which the others are compared with")
  static let model = CommandOption(name: "--model", placeholder: "DIR", help: "another model; repeats", repeats: true)
  static let base = CommandOption(
    name: "--base", placeholder: "DIR", help: "the model all were fine-tuned from; stands in for a missing anchor")
  static let typicalFrom = CommandOption(
    name: "--typical-from", placeholder: "DIR", help: "the model that selects the samples without anchor and base")
  static let samples = CommandOption(
    name: "--samples", placeholder: "FILE",
    help: "JSON lines with text or input_ids, or plain text; or what select wrote")
  static let typical = CommandOption(
    name: "--typical", placeholder: "M", help: "how many typical samples (our default: 20)")
  static let clusterLayer = CommandOption(
    name: "--cluster-layer", placeholder: "N|last", help: "the block whose states are clustered (our default: last)")
  static let pooling = CommandOption(
    name: "--pooling", placeholder: "mean|last", help: "how a text's states become one vector (our default: mean)")
  static let maxTokens = CommandOption(
    name: "--max-tokens", placeholder: "N", help: "where texts are cut, special tokens included (our default: 512)")
  static let seed = CommandOption(name: "--seed", placeholder: "N", help: "seeds the clustering (our default: 0)")
  static let distance = CommandOption(
    name: "--distance", placeholder: "relative|absolute",
    help: "squared distance over the mean squared norm, or as it is (our default: relative)")
  static let bandwidth = CommandOption(
    name: "--bandwidth", placeholder: "RULE",
    help: "anchor-median, global-median, layer-median, dimension, or a number σ (our default: anchor-median)")
  static let temperature = CommandOption(
    name: "--temperature", placeholder: "T", help: "of the softmax over models (our default: 1)")
  static let requireSimilarity = CommandOption(
    name: "--require-similarity", placeholder: "X",
    help: "stop when two models are less similar than X in most layers (default: such models are warned about)")
  static let elementType = CommandOption(
    name: "--dtype", placeholder: "TYPE", help: "float32, float16 or bfloat16 (default: the anchor's, tensor by tensor)"
  )
  static let allowNonFinite = CommandOption(
    name: "--allow-non-finite", placeholder: nil,
    help: "let NaNs and infinities through where no hidden state depends on them")

  static let selection = [samples, typical, clusterLayer, pooling, maxTokens, seed]
  static let weighing = [distance, bandwidth, temperature, requireSimilarity]

  /// Builds a recipe from a recipe file and the options given, which outrank it.
  ///
  /// - Throws: `Failure` that names the option or the key.
  static func recipe(from options: ParsedOptions) throws(Failure) -> MergeRecipe {
    var recipe = MergeRecipe()
    if let path = options.value("--recipe") { try read(path, into: &recipe) }
    _ = try options.parsed("--method", "recall", method)
    if let anchor = options.value("--anchor") { recipe.anchor = anchor }
    if options.has("--model") { recipe.models = options.all("--model") }
    if let base = options.value("--base") { recipe.base = base }
    if let typicalFrom = options.value("--typical-from") { recipe.typicalFrom = typicalFrom }
    if let samples = options.value("--samples") { recipe.samples = absolutePath(samples) }
    try set(&recipe, \.typical, options.parsed("--typical", "a positive whole number", positive))
    try set(
      &recipe, \.clusterLayer,
      options.parsed("--cluster-layer", "last or a block", MergeRecipe.ClusterLayer.init(name:)))
    try set(&recipe, \.pooling, options.parsed("--pooling", "mean or last", Pooling.init(rawValue:)))
    try set(&recipe, \.maxTokens, options.parsed("--max-tokens", "a positive whole number", positive))
    try set(&recipe, \.seed, options.parsed("--seed", "a whole number") { Int($0) })
    try set(
      &recipe, \.weighing.distance,
      options.parsed("--distance", "relative or absolute", DistanceMeasure.init(rawValue:)))
    try set(
      &recipe, \.weighing.bandwidth,
      options.parsed(
        "--bandwidth", "anchor-median, global-median, layer-median, dimension or a positive number",
        BandwidthRule.init(name:)))
    try set(&recipe, \.weighing.temperature, options.parsed("--temperature", "a positive number", temperature))
    try set(
      &recipe, \.requiredSimilarity, options.parsed("--require-similarity", "a number above 0, up to 1", similarity))
    try set(&recipe, \.elementType, options.parsed("--dtype", "float32, float16 or bfloat16", elementType))
    if options.has("--allow-non-finite") { recipe.allowsNonFinite = true }
    makeAbsolute(&recipe)
    return recipe
  }

  /// Makes the paths of a recipe absolute.
  static func makeAbsolute(_ recipe: inout MergeRecipe) {
    recipe.anchor = recipe.anchor.map(absolutePath)
    recipe.models = recipe.models.map(absolutePath)
    recipe.base = recipe.base.map(absolutePath)
    recipe.typicalFrom = recipe.typicalFrom.map(absolutePath)
  }

  private static func set<Value>(
    _ recipe: inout MergeRecipe, _ path: WritableKeyPath<MergeRecipe, Value>, _ value: Value?
  ) { if let value { recipe[keyPath: path] = value } }

  private static func set<Value>(
    _ recipe: inout MergeRecipe, _ path: WritableKeyPath<MergeRecipe, Value?>, _ value: Value?
  ) { if let value { recipe[keyPath: path] = value } }

  // MARK: A recipe file

  /// Reads a recipe: the document itself, or the `recipe` of a recall.json.
  private static func read(_ path: String, into recipe: inout MergeRecipe) throws(Failure) {
    let document = try JSONValue(parsing: readFile(path), from: path, operation: "read the recipe")
    try apply(document["recipe"] ?? document, from: path, to: &recipe)
  }

  /// Sets what a document says of a recipe.
  ///
  /// - Throws: `Failure` that names the key.
  static func apply(_ json: JSONValue, from path: String, to recipe: inout MergeRecipe) throws(Failure) {
    guard let object = json.object else {
      throw failure(path, "the document", expected: "a JSON object", got: json.kind)
    }
    for member in object.members {
      guard MergeRecipe.keys.contains(member.key) else {
        let meant = nearest(to: member.key, among: MergeRecipe.keys)
        throw failure(
          path, "the key \"\(member.key)\"", expected: "one of \(MergeRecipe.keys.joined(separator: ", "))",
          got: "an unknown one", advice: meant.map { "Did you mean \"\($0)\"?" } ?? "")
      }
      guard !member.value.isNull else { continue }
      try apply(member, path: path, to: &recipe)
    }
  }

  private static func apply(
    _ member: JSONObject.Member, path: String, to recipe: inout MergeRecipe
  ) throws(Failure) {
    func value<Value>(_ expected: String, _ read: (JSONValue) -> Value?) throws(Failure) -> Value {
      guard let value = read(member.value) else {
        throw failure(path, "\"\(member.key)\"", expected: expected, got: member.value.compact)
      }
      return value
    }
    switch member.key {
    case "method": _ = try value("\"recall\"") { $0.string.flatMap(method) }
    case "anchor": recipe.anchor = try value("a path", \.string)
    case "models":
      recipe.models = try value("a list of paths") {
        $0.array.flatMap { $0.contains { $0.string == nil } ? nil : $0.compactMap(\.string) }
      }
    case "base": recipe.base = try value("a path", \.string)
    case "typicalFrom": recipe.typicalFrom = try value("a path", \.string)
    case "samples": recipe.samples = absolutePath(try value("a path", \.string))
    case "typical": recipe.typical = try value("a positive whole number") { $0.integer.flatMap { $0 > 0 ? $0 : nil } }
    case "clusterLayer":
      recipe.clusterLayer = try value("\"last\" or a block") {
        ($0.string ?? $0.integer.map(String.init)).flatMap(MergeRecipe.ClusterLayer.init(name:))
      }
    case "pooling": recipe.pooling = try value("mean or last") { $0.string.flatMap(Pooling.init(rawValue:)) }
    case "maxTokens":
      recipe.maxTokens = try value("a positive whole number") { $0.integer.flatMap { $0 > 0 ? $0 : nil } }
    case "distance":
      recipe.weighing.distance = try value("relative or absolute") {
        $0.string.flatMap(DistanceMeasure.init(rawValue:))
      }
    case "bandwidth":
      recipe.weighing.bandwidth = try value("a rule or a positive number") {
        ($0.string ?? $0.double.map { "\($0)" }).flatMap(BandwidthRule.init(name:))
      }
    case "temperature":
      recipe.weighing.temperature = try value("a positive number") {
        $0.double.flatMap { $0 > 0 && $0.isFinite ? $0 : nil }
      }
    case "requireSimilarity":
      recipe.requiredSimilarity = try value("a number above 0, up to 1") { similarity($0.compact) }
    case "seed": recipe.seed = try value("a whole number", \.integer)
    case "dtype":
      recipe.elementType = try value("float32, float16 or bfloat16") { $0.string.flatMap(elementType) }
    case "allowNonFinite": recipe.allowsNonFinite = try value("true or false", \.bool)
    default: break
    }
  }

  private static func failure(
    _ path: String, _ what: String, expected: String, got: String, advice: String = ""
  ) -> Failure {
    Failure(
      .usage, operation: "read the recipe", subject: "\(path), \(what)", expected: expected, got: got, advice: advice)
  }

  // MARK: Values

  private static func method(_ text: String) -> String? { text == "recall" ? text : nil }

  /// A whole number above 0.
  static func positive(_ text: String) -> Int? { Int(text).flatMap { $0 > 0 ? $0 : nil } }

  private static func temperature(_ text: String) -> Double? {
    Double(text).flatMap { $0 > 0 && $0.isFinite ? $0 : nil }
  }

  private static func similarity(_ text: String) -> Double? {
    Double(text).flatMap { $0 > 0 && $0 <= 1 ? $0 : nil }
  }

  private static func elementType(_ text: String) -> ElementType? {
    ElementType(rawValue: text).flatMap { [.float32, .float16, .bfloat16].contains($0) ? $0 : nil }
  }
}
