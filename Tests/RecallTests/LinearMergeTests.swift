import Checkpoint
import Compute
import ComputeCPU
import Diagnostics
import Foundation
import JSON
import Recall
import TestSupport
import Testing

/// Merges with given weights, on checkpoints of an architecture that nobody knows.
@Suite struct LinearMergeTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Whole numbers that differ from model to model, element to element, and fill the digits of bfloat16.
  private func values(_ count: Int, model: Int) -> [Double] {
    (0..<count).map { Double((($0 * 37 + model * 101) % 511 - 255)) }.map { abs($0) > 255 ? 0 : $0 }
  }

  /// Every floating type, a scalar, an empty tensor, a row longer than pieces may be cut, and integers.
  private func tensors(model: Int, types: [StoredType] = [.bfloat16, .float16, .float32, .float64]) -> [StrangeTensor] {
    types.enumerated().map { number, type in
      StrangeTensor(
        name: "tower.\(number).kernel", type: type, shape: [71, 1009], values: values(71 * 1009, model: model + number))
    } + [
      StrangeTensor(name: "tower.scale", type: .bfloat16, shape: [], values: [Double(model + 1)]),
      StrangeTensor(name: "tower.nothing", type: .float32, shape: [0, 3], values: []),
      StrangeTensor(
        name: "tower.long", type: .bfloat16, shape: [1, 300_007], values: values(300_007, model: model + 7)),
      StrangeTensor(name: "tower.steps", type: .int64, shape: [3], values: [1, 2, 3]),
    ]
  }

  private func models(_ count: Int = 3) throws -> [String] {
    try (0..<count).map { try writeStrangeModel([tensors(model: $0)], to: directory("model-\($0)")) }
  }

  private func recipe(_ models: [String], _ weights: [Double?] = [], normalize: Bool? = nil) -> MergeRecipe {
    var recipe = MergeRecipe()
    recipe.method = "linear"
    recipe.models = models
    recipe.weights = weights
    recipe.normalize = normalize
    return recipe
  }

  @discardableResult
  private func merge(
    _ recipe: MergeRecipe, into name: String, threads: Int? = nil, memory: Int? = nil
  ) throws -> MergeReport {
    let backend = try CPUBackend(.init(threads: threads))
    return try WeightsOnlyMerge(recipe, method: LinearMethod(), memoryBudget: memory, on: backend)
      .merge(into: MergeTarget(directory(name))).report
  }

  private func weights(of name: String) throws -> [String: [UInt8]] {
    let checkpoint = try Checkpoint(directory: directory(name))
    return Dictionary(uniqueKeysWithValues: try checkpoint.tensors.map { ($0.name, try checkpoint.bytes(of: $0)) })
  }

  @Test(
    "sums equal exact integer arithmetic bit by bit, and integers are copied",
    arguments: [
      ([0.5, 0.25, 0.25], Bool?.none), ([2, -1, 0.5], false), ([8, 4, 4], true), ([0, 0, 1], nil),
    ])
  func exact(given: [Double], normalize: Bool?) throws {
    let paths = try models()
    let report = try merge(recipe(paths, given, normalize: normalize), into: "out")
    let sum = normalize == false ? 1 : given.reduce(0, +)
    let used = given.map { $0 / sum }
    #expect(report.layers.map(\.weights) == [used])
    let output = try Checkpoint(directory: directory("out"))
    #expect(output.layout == (try Checkpoint(directory: paths[0]).layout))
    for (number, tensor) in tensors(model: 0).enumerated() where tensor.type != .int64 {
      let record = try #require(output.tensor(named: tensor.name))
      let inputs = (0..<3).map { tensors(model: $0)[number].values }
      let expected = tensor.values.indices.map { element in
        rounded(zip(used, inputs).reduce(0) { $0 + $1.0 * $1.1[element] }, to: tensor.type)
      }
      let merged = numbers(try output.bytes(of: record), tensor.type)
      let wrong = zip(merged, expected).filter { $0 != $1 }.count
      #expect(merged.count == expected.count && wrong == 0, "\(tensor.name)")
    }
    #expect(try weights(of: "out")["tower.steps"] == tensors(model: 0).last?.bytes)
    let written = try JSONValue(parsing: readFile("\(directory("out"))/recall.json"), from: "recall.json")
    #expect(written["tensors"]?["copied"]?.compact == "[\"tower.steps\"]")
    #expect(written["recipe"]?["models"]?.array?.map { $0["weight"]?.double } == given.map(Optional.init))
    #expect(written["recipe"]?["samples"] == nil)
    let configuration = try JSONValue(parsing: readFile("\(directory("out"))/config.json"), from: "config.json")
    #expect(configuration.compact == "{\"model_type\":\"stranger\"}")
  }

  @Test("neither threads, nor memory, nor the order of the models changes a byte")
  func sameBytes() throws {
    let paths = try models()
    var recipe = recipe(paths, [0.3, 0.3, 0.4])
    recipe.base = paths[1]
    let first = try merge(recipe, into: "first")
    let expected = try weights(of: "first")
    for (number, threads) in [1, 2, 5].enumerated() {
      let report = try merge(recipe, into: "threads-\(number)", threads: threads)
      #expect(try weights(of: "threads-\(number)") == expected, "\(threads) threads")
      #expect(report.models.map(\.digest) == first.models.map(\.digest))
    }
    try merge(recipe, into: "small", memory: 100 << 20)
    #expect(try weights(of: "small") == expected)
    recipe.models.reverse()
    recipe.weights.reverse()
    try merge(recipe, into: "reversed")
    #expect(try weights(of: "reversed") == expected)
  }

  @Test("digests of the inputs are found while reading, and equal those of reading alone")
  func digests() throws {
    let paths = try models(2)
    let none = CheckpointDigestCache(directory: nil)
    let expected = try paths.map { try Checkpoint(directory: $0).digest(cache: none) }
    #expect(try merge(recipe(paths), into: "out").models.map(\.digest) == expected)
  }

  @Test("shards of another cut and order are matched by name")
  func otherShards() throws {
    let whole = try models(2)
    let other = tensors(model: 1)
    let cut = try writeStrangeModel([Array(other[4...].reversed()), Array(other[..<4])], to: directory("cut"))
    try merge(recipe(whole), into: "out")
    var second = recipe([whole[0], cut])
    second.base = whole[0]
    try merge(second, into: "from-cut")
    #expect(try weights(of: "from-cut") == weights(of: "out"))
    second.base = cut
    try merge(second, into: "as-cut")
    #expect(try Checkpoint(directory: directory("as-cut")).shards.count == 2)
    #expect(try weights(of: "as-cut") == weights(of: "out"))
  }

  @Test("models may be stored in other types than the reference")
  func mixedTypes() throws {
    let wide = tensors(model: 1, types: [.float32, .float32, .bfloat16, .float16])
    let narrow = try models(2)
    var recipe = recipe(narrow)
    try merge(recipe, into: "same")
    recipe.models[1] = try writeStrangeModel([wide], to: directory("wide"))
    try merge(recipe, into: "out")
    #expect(try weights(of: "out") == weights(of: "same"))
  }

  @Test("a tied head that one model does not store is its embedding")
  func tiedHead() throws {
    let tied = "{\"model_type\": \"stranger\", \"tie_word_embeddings\": true}"
    func tensor(_ name: String, _ value: Double) -> StrangeTensor {
      StrangeTensor(name: name, type: .float32, shape: [2, 2], values: [value, 1, 2, 3])
    }
    let stored = try writeStrangeModel(
      [[tensor("wte.weight", 8), tensor("lm_head.weight", 8)]], to: directory("stored"), configuration: tied)
    let absent = try writeStrangeModel([[tensor("wte.weight", 4)]], to: directory("absent"), configuration: tied)
    var recipe = recipe([stored, absent])
    try merge(recipe, into: "out")
    #expect(try weights(of: "out")["lm_head.weight"] == weights(of: "out")["wte.weight"])
    recipe.base = absent
    try merge(recipe, into: "without")
    #expect(try weights(of: "without").keys.sorted() == ["wte.weight"])
  }

  @Test("values that are not finite stop the merge, or are counted")
  func nonFinite() throws {
    var damaged = tensors(model: 1)
    damaged[0].values[71 * 1009 - 1] = .nan
    damaged[0].values[5] = .infinity
    let paths = [try models(1)[0], try writeStrangeModel([damaged], to: directory("damaged"))]
    var recipe = recipe(paths)
    let refusal = try #require(failure { try merge(recipe, into: "out") })
    #expect(refusal.category == .badData)
    #expect(refusal.subject.contains("damaged") && refusal.subject.contains("tower.0.kernel"))
    #expect(refusal.got.hasPrefix("2 "))
    #expect(!FileManager.default.fileExists(atPath: directory("out.partial")))
    recipe.allowsNonFinite = true
    try merge(recipe, into: "out")
    let written = try JSONValue(parsing: readFile("\(directory("out"))/recall.json"), from: "recall.json")
    #expect(written["tensors"]?["nonFinite"]?.integer == 2)
  }

  @Test("too little memory is refused with what is needed, and that is enough")
  func budget() throws {
    let paths = try models(2)
    let refusal = try #require(failure { try merge(recipe(paths), into: "out", memory: 1 << 20) })
    #expect(refusal.category == .usage && refusal.subject == "--memory")
    let least = try #require(refusal.expected.split(separator: " ").compactMap { Int($0) }.first)
    #expect(failure { try merge(recipe(paths), into: "out", memory: least - 1) } != nil)
    try merge(recipe(paths), into: "out", memory: least)
  }

  @Test("models that do not fit together are refused by name")
  func mismatches() throws {
    let sound = try models(1)[0]
    var cases: [(String, [StrangeTensor])] = []
    func add(_ word: String, _ change: (inout [StrangeTensor]) -> Void) {
      var tensors = tensors(model: 1)
      change(&tensors)
      cases.append((word, tensors))
    }
    add("tower.0.kernel") { $0[0].shape = [1009, 71] }
    add("tower.scale") { $0.remove(at: 4) }
    add("tower.more") { $0.append(StrangeTensor(name: "tower.more", type: .float32, shape: [1], values: [1])) }
    add("tower.steps") { $0[7].values[1] = 9 }
    add("tower.scale") { $0[4] = StrangeTensor(name: "tower.scale", type: .int64, shape: [], values: [2]) }
    for (number, (word, tensors)) in cases.enumerated() {
      let model = try writeStrangeModel([tensors], to: directory("odd-\(number)"))
      let refusal = try #require(failure { try merge(recipe([sound, model]), into: "out") }, "\(number)")
      #expect(refusal.category == .badData, "\(number): \(refusal)")
      #expect(refusal.subject.contains("odd-\(number)") && refusal.subject.contains(word), "\(refusal)")
      #expect(!FileManager.default.fileExists(atPath: directory("out")))
    }
  }

  @Test("tokenizers have to agree where there are two, also of kinds that are not run here")
  func tokenizers() throws {
    func model(_ name: String, _ tokenizer: String?) throws -> String {
      try writeStrangeModel([tensors(model: 0)], to: directory(name), tokenizer: tokenizer)
    }
    let pieces = "{\"model\": {\"type\": \"WordPiece\", \"vocab\": {\"a\": 0}}, \"added_tokens\": []}"
    let first = try model("first", pieces)
    try merge(recipe([first, try model("same", pieces)]), into: "same-out")
    try merge(recipe([first, try model("none", nil)]), into: "none-out")
    #expect(try readFile("\(directory("none-out"))/tokenizer.json") == Array(pieces.utf8))
    let other = try model("other", pieces.replacingOccurrences(of: "\"a\"", with: "\"b\""))
    let refusal = try #require(failure { try merge(recipe([first, other]), into: "out") })
    #expect(refusal.category == .badData && refusal.expected.contains("tokenizer"))
  }

  @Test("a known architecture gives what equal weights of every layer give")
  func knownArchitecture() throws {
    let siblings = ["first", "second"].map { Fixtures.sibling($0) }
    try merge(recipe(siblings), into: "linear")
    var report = try MergeReport(path: "\(directory("linear"))/recall.json")
    #expect(report.layers.map(\.weights) == [[0.5, 0.5]])
    report.recipe.method = "recall"
    report.layers = Layer.all(blocks: try Model(directory: siblings[0]).configuration.blockCount).map { layer in
      let similarity: JSONValue = [[1, 1], [1, 1]]
      let weights: JSONValue = [.double(0.5), .double(0.5)]
      let json: JSONValue = ["name": .string(layer.name), "similarity": similarity, "weights": weights]
      return LayerWeights(json: json, models: 2)
    }.compactMap { $0 }
    _ = try HierarchicalMerge(MergeRecipe(), on: CPUBackend()).fuse(
      report, from: "recall.json", moved: [], into: directory("fused"), overwrite: false)
    #expect(try weights(of: "fused") == weights(of: "linear"))
  }

  @Test("a merge that was finished before is known with --resume")
  func finishedBefore() throws {
    let paths = try models(2)
    try merge(recipe(paths), into: "out")
    let target = MergeTarget(directory("out"), resume: true)
    let backend = try CPUBackend()
    let outcome = try WeightsOnlyMerge(recipe(paths), method: LinearMethod(), on: backend).merge(into: target)
    #expect(outcome.state == .finishedBefore)
    let other = failure {
      _ = try WeightsOnlyMerge(recipe(paths, [0.1, 0.9]), method: LinearMethod(), on: backend).merge(into: target)
    }
    #expect(other?.category == .cannotCreate)
  }
}
