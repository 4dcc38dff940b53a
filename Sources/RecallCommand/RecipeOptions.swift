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
    name: "--method", placeholder: "METHOD",
    help: "how to merge (default: \(MergeMethods.standard)): "
      + MergeMethods.all.map { "\($0.name), \($0.summary)" }.joined(separator: "; "))
  static let anchor = CommandOption(
    name: "--anchor", placeholder: "DIR", help: "the newly fine-tuned model, which the others are compared with")
  static let model = CommandOption(name: "--model", placeholder: "DIR", help: "another model; repeats", repeats: true)
  static let weight = CommandOption(
    name: "--weight", placeholder: "W",
    help: "the weight of the --model before it, for methods whose weights are given (default: 1/K; of changes: 1)",
    repeats: true)
  static let normalize = CommandOption(
    name: "--normalize", placeholder: "true|false",
    help: "divide the given weights by their sum (default: true, of changes false)")
  static let base = CommandOption(
    name: "--base", placeholder: "DIR",
    help: "the model all were fine-tuned from; the base of adapters; stands in for a missing anchor")
  static let scale = CommandOption(
    name: "--scale", placeholder: "λ",
    help: "what the fused change from the --base is multiplied by (default: 1; recall-align: the number of models)")
  static let shallowScale = CommandOption(
    name: "--shallow-scale", placeholder: "α",
    help: "lines: what changes in the first block are multiplied by (our default: 1/K)")
  static let deepScale = CommandOption(
    name: "--deep-scale", placeholder: "α+β",
    help: "lines: what changes in the last block are multiplied by (our default: 1)")
  static let t = CommandOption(
    name: "--t", placeholder: "T", help: "slerp: from 0, the first --model, to 1, the second (our default: 0.5)")
  static let density = CommandOption(
    name: "--density", placeholder: "D", help: "the share of every change that is kept, above 0 up to 1 (default: 1)")
  static let rescale = CommandOption(
    name: "--rescale", placeholder: "density|norm|none",
    help: "dare: divide what is kept by the density, give it the L1 norm of all, or leave it (default: density)")
  static let adapterBase = CommandOption(
    name: "--base", placeholder: "DIR", help: "the base of an adapter")
  static let typicalFrom = CommandOption(
    name: "--typical-from", placeholder: "DIR", help: "the model that selects the samples without anchor and base")
  static let samples = CommandOption(
    name: "--samples", placeholder: "FILE",
    help: "JSON lines with text or input_ids, or plain text; or what select wrote")
  static let samplesFor = CommandOption(
    name: "--samples-for", placeholder: "MODEL=FILE",
    help: "a model's own samples, for methods that fit it to them; repeats (default: what the merge that made it kept)",
    repeats: true)
  static let alignShare = CommandOption(
    name: "--align-share", placeholder: "α",
    help: "how much samples count against changes of weights, 0 (no data) to 1 (our default: 0.9)")
  static let ridge = CommandOption(
    name: "--ridge", placeholder: "ρ", help: "how firmly solved maps are held at the fused ones (our default: 0.005)")
  static let fitSteps = CommandOption(
    name: "--fit-steps", placeholder: "N",
    help: "how often maps whose outputs meet are tried together, first as they were solved for: 0 and 1 leave them so "
      + "(our default: 24)")
  static let balance = CommandOption(
    name: "--balance", placeholder: "learned|equal",
    help: "find by trials what every model's samples have to count for the least to be lost, or let all count the same "
      + "(our default: learned)")
  static let typical = CommandOption(
    name: "--typical", placeholder: "M", help: "how many typical samples (our default: 20)")
  static let clusterLayer = CommandOption(
    name: "--cluster-layer", placeholder: "N|last", help: "the block whose states are clustered (our default: last)")
  static let pooling = CommandOption(
    name: "--pooling", placeholder: "mean|last", help: "how a text's states become one vector (our default: mean)")
  static let maxTokens = CommandOption(
    name: "--max-tokens", placeholder: "N", help: "where texts are cut, special tokens included (our default: 512)")
  static let seed = CommandOption(
    name: "--seed", placeholder: "N", help: "seeds the clustering, or random elements (our default: 0)")
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

  static let changing = [scale, shallowScale, deepScale, t, density, rescale]
  static let selection = [samples, typical, clusterLayer, pooling, maxTokens, seed]
  static let aligning = [samplesFor, alignShare, ridge, fitSteps, balance]
  static let weighing = [distance, bandwidth, temperature, requireSimilarity]

  /// Builds a recipe from a recipe file and the options given, which outrank it.
  ///
  /// - Throws: `Failure` that names the option or the key.
  static func recipe(from options: ParsedOptions) throws(Failure) -> MergeRecipe {
    var recipe = MergeRecipe()
    if let path = options.value("--recipe") { try read(path, into: &recipe) }
    if let name = options.value("--method") { recipe.method = try MergeMethods.named(name).name }
    if let anchor = options.value("--anchor") { recipe.anchor = anchor }
    if options.has("--model") || options.has("--weight") { try readModels(options, into: &recipe) }
    try set(&recipe, \.normalize, options.parsed("--normalize", "true or false") { Bool($0) })
    if let base = options.value("--base") { recipe.base = base }
    try set(&recipe, \.scale, options.parsed("--scale", "a finite number", weight))
    try set(&recipe, \.shallowScale, options.parsed("--shallow-scale", "a finite number", weight))
    try set(&recipe, \.deepScale, options.parsed("--deep-scale", "a finite number", weight))
    try set(&recipe, \.t, options.parsed("--t", "a number from 0 to 1", alignShare))
    try set(&recipe, \.density, options.parsed("--density", "a number above 0, up to 1", similarity))
    try set(&recipe, \.rescale, options.parsed("--rescale", "density, norm or none", ChangeRescale.init(rawValue:)))
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
    for value in options.all("--samples-for") { try readSamples(value, into: &recipe) }
    try set(&recipe, \.alignment.share, options.parsed("--align-share", "a number from 0 to 1", alignShare))
    try set(&recipe, \.alignment.ridge, options.parsed("--ridge", "a positive number", temperature))
    try set(&recipe, \.alignment.fitSteps, options.parsed("--fit-steps", "a whole number of at least 0", count))
    try set(
      &recipe, \.alignment.balance,
      options.parsed("--balance", "learned or equal", AlignmentRule.Balance.init(rawValue:)))
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
    let files = recipe.samplesOfModels.map { (absolutePath($0), absolutePath($1)) }
    recipe.samplesOfModels = Dictionary(files, uniquingKeysWith: { first, _ in first })
  }

  /// Reads MODEL=FILE; the first sign of equality separates.
  private static func readSamples(_ value: String, into recipe: inout MergeRecipe) throws(Failure) {
    guard let sign = value.firstIndex(of: "="), sign != value.startIndex, value.index(after: sign) != value.endIndex
    else {
      throw Failure(
        .usage, operation: "read the options", subject: "--samples-for", expected: "MODEL=FILE", got: "\"\(value)\"")
    }
    recipe.samplesOfModels[absolutePath(String(value[..<sign]))] = String(value[value.index(after: sign)...])
  }

  /// Reads the models, and the weights behind them.
  private static func readModels(_ options: ParsedOptions, into recipe: inout MergeRecipe) throws(Failure) {
    recipe.models = []
    recipe.weights = []
    for (name, value) in options.sequence {
      switch name {
      case "--model":
        recipe.models.append(value)
        recipe.weights.append(nil)
      case "--weight":
        guard let weight = weight(value) else {
          throw weightFailure(expected: "a finite number", got: "\"\(value)\"")
        }
        guard let last = recipe.weights.indices.last, recipe.weights[last] == nil else {
          throw weightFailure(expected: "one behind a --model", got: "\(value) behind none")
        }
        recipe.weights[last] = weight
      default: break
      }
    }
  }

  private static func weightFailure(expected: String, got: String) -> Failure {
    Failure(
      .usage, operation: "read the weights", subject: "--weight", expected: expected, got: got,
      advice: "Every --weight belongs to the --model before it.")
  }

  /// Makes sure that the method has a use for what was asked for.
  ///
  /// - Throws: `Failure` of category `usage` that names the option.
  static func checkUse(of options: ParsedOptions, by recipe: MergeRecipe) throws(Failure) {
    let method = try MergeMethods.named(recipe.method)
    guard recipe.samplesOfModels.isEmpty || method.recipeKeys.contains("samplesFor") else {
      throw Failure(
        .usage, operation: "merge", subject: samplesFor.name, expected: "an option of --method \(method.name)",
        got: "one that it has no use for", advice: "Leave it out, or choose --method recall-align or regmean.")
    }
    let all =
      [anchor, base, typicalFrom] + changing + selection + aligning + weighing + [normalize]
    for option in all where options.has(option.name) {
      guard !method.recipeKeys.contains(key(of: option)) else { continue }
      throw Failure(
        .usage, operation: "merge", subject: option.name, expected: "an option of --method \(method.name)",
        got: "one that it has no use for",
        advice: option.name == anchor.name ? "Give every model with --model." : "Leave it out.")
    }
  }

  /// The key in recipes: `--max-tokens` is `maxTokens`.
  private static func key(of option: CommandOption) -> String {
    let words = option.name.dropFirst(2).split(separator: "-")
    return words.enumerated().map { $0 == 0 ? String($1) : $1.prefix(1).uppercased() + $1.dropFirst() }.joined()
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
    let method = try object["method"]?.string.map { name throws(Failure) in try MergeMethods.named(name) }
    for member in object.members {
      guard MergeRecipe.keys.contains(member.key) else {
        let meant = nearest(to: member.key, among: MergeRecipe.keys)
        throw failure(
          path, "the key \"\(member.key)\"", expected: "one of \(MergeRecipe.keys.joined(separator: ", "))",
          got: "an unknown one", advice: meant.map { "Did you mean \"\($0)\"?" } ?? "")
      }
      guard !member.value.isNull else { continue }
      if let method, member.key != "method", !method.recipeKeys.contains(member.key) {
        throw failure(
          path, "the key \"\(member.key)\"", expected: "keys of the method \(method.name)",
          got: "one that it has no use for")
      }
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
    case "method":
      recipe.method = try MergeMethods.named(try value("one of \(MergeMethods.names)", \.string)).name
    case "anchor":
      let entry = try value("a path, or an object with path and samples") { modelEntry($0, hasWeight: false) }
      recipe.anchor = entry.path
      if let samples = entry.samples { recipe.samplesOfModels[absolutePath(entry.path)] = samples }
    case "models":
      let entries = try value("a list of paths, or of objects with path, weight and samples") { json -> [ModelEntry]? in
        json.array?.map { modelEntry($0, hasWeight: true) }
          .reduce([]) { list, entry in entry.flatMap { entry in list.map { $0 + [entry] } } }
      }
      recipe.models = entries.map(\.path)
      recipe.weights = entries.map(\.weight)
      for entry in entries {
        if let samples = entry.samples { recipe.samplesOfModels[absolutePath(entry.path)] = samples }
      }
    case "alignShare":
      recipe.alignment.share = try value("a number from 0 to 1") { alignShare($0.compact) }
    case "ridge": recipe.alignment.ridge = try value("a positive number") { temperature($0.compact) }
    case "fitSteps":
      recipe.alignment.fitSteps = try value("a whole number of at least 0") { count($0.compact) }
    case "balance":
      recipe.alignment.balance = try value("learned or equal") { json in
        json.string.flatMap(AlignmentRule.Balance.init(rawValue:))
      }
    case "normalize": recipe.normalize = try value("true or false", \.bool)
    case "scale": recipe.scale = try value("a finite number") { weight($0.compact) }
    case "shallowScale": recipe.shallowScale = try value("a finite number") { weight($0.compact) }
    case "deepScale": recipe.deepScale = try value("a finite number") { weight($0.compact) }
    case "t": recipe.t = try value("a number from 0 to 1") { alignShare($0.compact) }
    case "density": recipe.density = try value("a number above 0, up to 1") { similarity($0.compact) }
    case "rescale":
      recipe.rescale = try value("density, norm or none") { $0.string.flatMap(ChangeRescale.init(rawValue:)) }
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

  private typealias ModelEntry = (path: String, weight: Double?, samples: String?)

  /// A model of a recipe: its path, or an object with path, weight and samples and nothing else.
  private static func modelEntry(_ json: JSONValue, hasWeight: Bool) -> ModelEntry? {
    if let path = json.string { return (path, nil, nil) }
    let keys = ["path", "samples"] + (hasWeight ? ["weight"] : [])
    guard let object = json.object, let path = object["path"]?.string,
      object.members.allSatisfy({ keys.contains($0.key) })
    else { return nil }
    let (weight, samples) = (object["weight"]?.double, object["samples"]?.string)
    // What is there has to be of its kind.
    guard (weight == nil) == (object["weight"] == nil), (samples == nil) == (object["samples"] == nil),
      weight?.isFinite ?? true
    else { return nil }
    return (path, weight, samples)
  }

  private static func weight(_ text: String) -> Double? { Double(text).flatMap { $0.isFinite ? $0 : nil } }

  /// A whole number above 0.
  static func positive(_ text: String) -> Int? { Int(text).flatMap { $0 > 0 ? $0 : nil } }

  private static func count(_ text: String) -> Int? { Int(text).flatMap { $0 >= 0 ? $0 : nil } }

  private static func temperature(_ text: String) -> Double? {
    Double(text).flatMap { $0 > 0 && $0.isFinite ? $0 : nil }
  }

  private static func alignShare(_ text: String) -> Double? {
    Double(text).flatMap { $0 >= 0 && $0 <= 1 ? $0 : nil }
  }

  private static func similarity(_ text: String) -> Double? {
    Double(text).flatMap { $0 > 0 && $0 <= 1 ? $0 : nil }
  }

  private static func elementType(_ text: String) -> ElementType? {
    ElementType(rawValue: text).flatMap { [.float32, .float16, .bfloat16].contains($0) ? $0 : nil }
  }
}
