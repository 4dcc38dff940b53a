import Checkpoint
import Compute
import Diagnostics
import JSON

// The table. A new option is a property of `MergeRecipe`, a row here with its place in `all`, and a word in the methods
// that use it.
extension RecipeField {
  // MARK: Models and method

  /// How to merge.
  public static let method = RecipeField(
    "method", .models, .names(MergeMethods.all.map(\.name), placeholder: "METHOD"), \.method,
    help: "how to merge, see Methods")

  /// The newly fine-tuned model.
  public static let anchor = RecipeField(
    "anchor", .models, type: .text, placeholder: "DIR", expected: "a path, or an object with path and samples",
    instead: "Give every model with --model.", help: "the newly fine-tuned model, which the others are compared with",
    read: { json, recipe in
      guard let entry = ModelEntry(json), entry.weight == nil else { return false }
      recipe.anchor = entry.path
      if let samples = entry.samples { recipe.samplesOfModels[entry.path] = samples }
      return true
    },
    write: { recipe in
      recipe.anchor.map { ModelEntry(path: $0, samples: recipe.samplesOfModels[$0]).json } ?? .null
    })

  /// The other models.
  public static let models = RecipeField(
    "models", option: "--model", .models, type: .list, placeholder: "DIR",
    expected: "a list of paths, or of objects with path, weight and samples", repeats: true,
    help: "another model; repeats",
    read: { json, recipe in
      guard let list = json.array else { return false }
      let entries = list.compactMap(ModelEntry.init)
      guard entries.count == list.count else { return false }
      recipe.models = entries.map(\.path)
      recipe.weights = entries.map(\.weight)
      for entry in entries {
        if let samples = entry.samples { recipe.samplesOfModels[entry.path] = samples }
      }
      return true
    },
    write: { recipe in .array(ModelEntry.all(of: recipe).map(\.json)) })

  /// The weight of each model; on the command line that of the model before it.
  public static let weights = RecipeField(
    "weight", .models, type: .number, placeholder: "W", expected: FieldValues.finite("W").expected, repeats: true,
    place: .models, standard: .described("1/K; of changes: 1"),
    help: "the weight of the --model before it, for methods whose weights are given",
    read: { json, recipe in
      guard let list = json.array else { return false }
      let weights = list.map(FieldValues.finite("W").read)
      guard zip(list, weights).allSatisfy({ $0.isNull || $1 != nil }) else { return false }
      recipe.weights = weights
      return true
    },
    write: { recipe in
      recipe.weights.contains { $0 != nil }
        ? .array(recipe.weights.map { $0.map(JSONValue.double) ?? .null }) : .null
    })

  /// Whether weights are divided by their sum.
  public static let normalize = RecipeField(
    "normalize", .models, .truth, \.normalize, standard: .described("true, of changes false"),
    help: "divide the given weights by their sum")

  /// The model that all were fine-tuned from.
  public static let base = RecipeField(
    "base", .models, .directory, \.base,
    help: "the model all were fine-tuned from; the base of adapters; stands in for a missing anchor")

  /// The model that selects the samples.
  public static let typicalFrom = RecipeField(
    "typicalFrom", .models, .directory, \.typicalFrom,
    help: "the model that selects the samples without anchor and base")

  // MARK: Changes from the base

  /// λ.
  public static let scale = RecipeField(
    "scale", .changes, .finite("λ"), \.givenScale, asUsed: { $0.scale },
    standard: .described("1; recall-align: the number of models"),
    help: "what the fused change from the --base is multiplied by")

  /// α of LiNeS.
  public static let shallowScale = RecipeField(
    "shallowScale", .changes, .finite("α"), \.shallowScale, standard: .oursDescribed("1/K"),
    help: "lines: what changes in the first block are multiplied by")

  /// α + β of LiNeS.
  public static let deepScale = RecipeField(
    "deepScale", .changes, .finite("α+β"), \.deepScale, standard: .ours,
    help: "lines: what changes in the last block are multiplied by")

  /// Where between two models the result lies.
  public static let t = RecipeField(
    "t", .changes, .zeroToOne("T"), \.t, standard: .ours, help: "slerp: from 0, the first --model, to 1, the second")

  /// How much of every change is kept.
  public static let density = RecipeField(
    "density", .changes, .aboveZeroToOne("D"), \.density,
    help: "the share of every change that is kept, above 0 up to 1")

  /// How kept changes are made up for dropped ones.
  public static let rescale = RecipeField(
    "rescale", .changes, .cases(ChangeRescale.allCases), \.rescale,
    help: "dare: divide what is kept by the density, give it the L1 norm of all, or leave it")

  // MARK: Samples

  /// The pool, or what `select` wrote.
  public static let samples = RecipeField(
    "samples", .samples, .file, \.samples,
    help: "JSON lines with text or input_ids, or plain text; or what select wrote")

  /// m, the number of clusters.
  public static let typical = RecipeField(
    "typical", .samples, .positive("M"), \.typical, standard: .ours, help: "how many typical samples")

  /// The layer that is clustered.
  public static let clusterLayer = RecipeField(
    "clusterLayer", .samples, .clusterLayer, \.clusterLayer, standard: .ours,
    help: "the block whose states are clustered")

  /// How states become vectors.
  public static let pooling = RecipeField(
    "pooling", .samples, .cases(Pooling.allCases), \.pooling, asUsed: { $0.poolingOrDefault }, standard: .ours,
    help: "how a text's states become one vector")

  /// Where texts are cut.
  public static let maxTokens = RecipeField(
    "maxTokens", .samples, .positive("N"), \.maxTokens, asUsed: { $0.maxTokensOrDefault }, standard: .ours,
    help: "where texts are cut, special tokens included")

  /// The seed of the clustering, or of random elements.
  public static let seed = RecipeField(
    "seed", .samples, .whole, \.seed, standard: .ours, help: "seeds the clustering, or random elements")

  // MARK: Similarity and weights

  /// How far two representations are from each other.
  public static let distance = RecipeField(
    "distance", .similarity, .cases(DistanceMeasure.allCases), \.weighing.distance, standard: .ours,
    help: "squared distance over the mean squared norm, or as it is")

  /// How σ is found.
  public static let bandwidth = RecipeField(
    "bandwidth", .similarity, .bandwidth, \.weighing.bandwidth, standard: .ours,
    help: "anchor-median, global-median, layer-median, dimension, or a number σ")

  /// T of the softmax.
  public static let temperature = RecipeField(
    "temperature", .similarity, .positive("T"), \.weighing.temperature, standard: .ours,
    help: "of the softmax over models")

  /// The similarity that no pair may stay below.
  public static let requireSimilarity = RecipeField(
    "requireSimilarity", .similarity, .aboveZeroToOne("X"), \.requiredSimilarity,
    standard: .described("such models are warned about"),
    help: "stop when two models are less similar than X in most layers")

  // MARK: Linear maps

  /// The files of models' own samples.
  public static let samplesFor = RecipeField(
    "samples", option: "--samples-for", .maps, type: .text, placeholder: "MODEL=FILE", expected: "MODEL=FILE",
    repeats: true, place: .models, standard: .described("what the merge that made it kept"),
    argument: { text in
      // The first sign of equality separates.
      guard let sign = text.firstIndex(of: "=") else { return .string(text) }
      let (model, file) = (String(text[..<sign]), String(text[text.index(after: sign)...]))
      return model.isEmpty || file.isEmpty ? .string(text) : .object(JSONObject([(model, .string(file))]))
    },
    help: "a model's own samples, for methods that fit it to them; repeats",
    read: { json, recipe in
      guard let members = json.object?.members, members.allSatisfy({ $0.value.string != nil }) else { return false }
      for member in members {
        recipe.samplesOfModels[absolutePath(member.key)] = member.value.string.map(absolutePath)
      }
      return true
    },
    write: { recipe in
      let files = recipe.samplesOfModels.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      return files.isEmpty ? .null : .object(JSONObject(files.map { ($0.key, .string($0.value)) }))
    })

  /// α, how much samples count.
  public static let alignShare = RecipeField(
    "alignShare", .maps, .zeroToOne("α"), \.alignment.share, standard: .ours,
    help: "how much samples count against changes of weights, 0 (no data) to 1")

  /// ρ, how firmly maps are held.
  public static let ridge = RecipeField(
    "ridge", .maps, .positive("ρ"), \.alignment.ridge, standard: .ours,
    help: "how firmly solved maps are held at the fused ones")

  /// How often maps are tried together.
  public static let fitSteps = RecipeField(
    "fitSteps", .maps, .natural, \.alignment.fitSteps, standard: .ours,
    help: "how often maps whose outputs meet are tried together, first as they were solved for: 0 and 1 leave them so")

  /// What samples count.
  public static let balance = RecipeField(
    "balance", .maps, .cases(AlignmentRule.Balance.allCases), \.alignment.balance, standard: .ours,
    help: "find by trials what every model's samples have to count for the least to be lost, or let all count the same")

  // MARK: Output

  /// The type of fused tensors.
  public static let elementType = RecipeField(
    "dtype", .output, .cases([ElementType.float32, .float16, .bfloat16]), \.elementType,
    standard: .described("the anchor's, tensor by tensor"), help: "the type of every fused tensor")

  /// Whether NaNs and infinities are let through.
  public static let allowNonFinite = RecipeField(
    "allowNonFinite", .output, .presence, \.allowsNonFinite,
    help: "let NaNs and infinities through where no hidden state depends on them")

  // MARK: All

  /// Every field; documents have them in this order, which the bytes of recall.json depend on.
  public static let all: [RecipeField] = [
    method, anchor, models, weights, base, typicalFrom, samples, typical, clusterLayer, pooling, maxTokens, distance,
    bandwidth, temperature, seed, requireSimilarity, samplesFor, alignShare, ridge, fitSteps, balance, normalize, scale,
    shallowScale, deepScale, t, density, rescale, elementType, allowNonFinite,
  ]

  /// The fields of a group.
  public static func all(in group: Group) -> [RecipeField] { all.filter { $0.group == group } }
}
