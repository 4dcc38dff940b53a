import Checkpoint
import Compute
import ComputeCPU
import Diagnostics
import Foundation
import JSON
import Recall
import TestSupport
import Testing

/// Merges whose linear maps are solved for, against transformers and float64, and where there is little to go by.
@Suite(.serialized) struct AlignmentTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  // MARK: Recipes

  /// A case of the fixtures as a recipe, with its samples written to files.
  private func recipe(_ name: String) throws -> MergeRecipe {
    let json = try #require(try Fixtures.json("alignment/cases.json")[name])
    let lines = try readFile("\(Fixtures.root)/siblings/samples.input_ids.jsonl").split(separator: 0x0a)
    func path(_ json: JSONValue?) -> String? { json?.string.map { "\(Fixtures.root)/\($0)" } }
    var recipe = MergeRecipe()
    recipe.method = json["method"]?.string ?? "recall-align"
    recipe.models = (json["models"]?.array ?? []).compactMap(path)
    (recipe.base, recipe.typicalFrom) = (path(json["base"]), path(json["typicalFrom"]))
    for (number, own) in (json["samples"]?.object?.members ?? []).enumerated() {
      let chosen = (own.value.array ?? []).compactMap(\.integer).map { String(decoding: lines[$0], as: UTF8.self) }
      let file = try directory.write(chosen.joined(separator: "\n"), to: "\(name)-\(number).jsonl")
      recipe.samplesOfModels["\(Fixtures.root)/\(own.key)"] = file
    }
    if let share = json["alignShare"]?.double { recipe.alignment.share = share }
    if let ridge = json["ridge"]?.double { recipe.alignment.ridge = ridge }
    if let steps = json["fitSteps"]?.integer { recipe.alignment.fitSteps = steps }
    recipe.givenScale = json["scale"]?.double
    recipe.alignment.balance = json["balance"]?.string == "learned" ? .learned : .equal
    recipe.elementType = .float32
    return recipe
  }

  @discardableResult
  private func merge(
    _ recipe: MergeRecipe, into name: String, memory: Int? = nil, on backend: (any ComputeBackend)? = nil
  ) throws -> MergeReport {
    try MergeMethods.named(recipe.method).merge(
      recipe, into: MergeTarget(directory(name)), memoryBudget: memory, on: backend ?? CPUBackend(),
      progress: .unwatched
    ).report
  }

  private func tensors(of output: String) throws -> [String: [Float]] {
    let file = try FloatTensorFile(reading: "\(output)/model.safetensors")
    return Dictionary(uniqueKeysWithValues: file.tensors.map { ($0.name, $0.values) })
  }

  private func distance(_ x: [Float], _ y: [Float]) -> Double {
    zip(x, y).reduce(0) { $0 + pow(Double($1.0) - Double($1.1), 2) }.squareRoot()
  }

  private func length(_ x: [Float]) -> Double { distance(x, x.map { _ in 0 }) }

  // MARK: The oracle

  @Test(
    "every tensor is what transformers and float64 make of the formula",
    arguments: ["llama", "qwen2", "qwen3", "wide", "samples-only", "regression-mean"])
  func oracle(name: String) throws {
    let report = try merge(recipe(name), into: "out")
    // A float32 solution is off by some roundings times the condition of its own system. What reached the map is off as well:
    // what float64 makes of models whose weights are rounded once says how much of a rounding arrives, through the maps and
    // fits before. Every sum on the way rounds too, one of n terms by some √n of that; the longest here have some 256.
    let conditions = Dictionary(
      report.layers.flatMap(\.alignment).map { ($0.tensor, max($0.condition, 8)) }, uniquingKeysWith: max)
    let spread = try #require(try Fixtures.json("alignment/spread.json")[name])
    let (merged, expected) = (
      try tensors(of: directory("out")), try Fixtures.tensors("alignment/\(name).safetensors")
    )
    #expect(Set(merged.keys) == Set(expected.keys))
    for (tensor, golden) in expected {
      let (values, moved) = (try #require(merged[tensor]), try #require(spread[tensor]?.double))
      let bound = 4 * (conditions[tensor] ?? 0) * 0x1p-24 + 16 * moved
      #expect(distance(values, golden.values) <= bound * length(golden.values), "\(tensor)")
    }
    #expect(report.layers.flatMap(\.alignment).allSatisfy { $0.residual < 1e-5 && $0.condition >= 1 })
  }

  @Test("OpenCL gives what the processor gives", arguments: OpenCLDevices.numbers)
  func openCL(number: Int) throws {
    for name in ["llama", "regression-mean"] {
      let recipe = try recipe(name)
      try merge(recipe, into: "cpu-\(name)")
      try merge(recipe, into: "opencl-\(name)", on: OpenCLDevices.open(number))
      let (expected, merged) = (
        try tensors(of: directory("cpu-\(name)")), try tensors(of: directory("opencl-\(name)"))
      )
      for (tensor, golden) in expected {
        #expect(distance(merged[tensor] ?? [], golden) <= 1e-5 * length(golden), "\(tensor)")
      }
    }
  }

  @Test("a dry run says what rehearsals read, and a single model with samples needs none")
  func rehearsals() throws {
    var recipe = try recipe("llama")
    func plan() throws -> String {
      try MergeMethods.named(recipe.method).plan(recipe, output: nil, memoryBudget: nil, on: CPUBackend())
    }
    #expect(try plan().contains("more for 12 rehearsals"))
    recipe.alignment.balance = .equal
    #expect(try !plan().contains("rehearsals"))
    recipe.alignment.balance = .learned
    recipe.samplesOfModels = recipe.samplesOfModels.filter { $0.key == Fixtures.sibling("first") }
    #expect(try !plan().contains("rehearsals"))
    let report = try merge(recipe, into: "out")
    #expect(report.models.allSatisfy { $0.alignmentWeight == 1 })
  }

  @Test("models come to count what keeps most of what they learned, and recall.json says how much")
  func balance() throws {
    let report = try merge(recipe("llama"), into: "out")
    let weights = report.models.compactMap(\.alignmentWeight)
    #expect(weights.count == 3 && abs(weights.reduce(0, +) - 3) < 1e-9)
    #expect(Set(weights).count == 3)
    let written = try MergeReport(mergeAt: directory("out/recall.json"))
    #expect(written.models.compactMap(\.alignmentWeight) == weights)
  }

  @Test("maps whose outputs meet come closer to the models together, and recall.json says how close")
  func fits() throws {
    for name in ["llama", "qwen3"] {
      var recipe = try recipe(name)
      recipe.alignment.balance = .equal
      try merge(recipe, into: name)
      let maps = try MergeReport(mergeAt: directory("\(name)/recall.json")).layers.flatMap(\.alignment)
      #expect(maps.count > 7)
      for map in maps {
        let isFitted = ["q_proj", "k_proj", "gate_proj", "up_proj"].contains { map.tensor.contains($0) }
        #expect((map.fit != nil) == isFitted, "\(map.tensor)")
        if let fit = map.fit { #expect(fit.after < fit.before && fit.after > 0, "\(map)") }
      }
      recipe.alignment.fitSteps = 0
      let solved = try merge(recipe, into: "\(name)-solved").layers.flatMap(\.alignment)
      #expect(solved.allSatisfy { $0.fit == nil })
    }
  }

  @Test("the balance comes close to the least sum of losses, in no more trials than announced")
  func leastLoss() {
    // What is lost of a group falls with a power of its share, down to what no share brings back.
    let groups: [(scale: Double, power: Double, rest: Double)] = [
      (0.02, 1, 0), (0.3, 0.2, 0.4), (0.2, 1.5, 0), (0.6, 0.8, 0.05),
    ]
    var trials = 0
    func lost(_ weights: [Double]) -> [Double] {
      zip(groups, weights).map { $0.scale * pow($1, -$0.power) + $0.rest }
    }
    let found = SampleBalance.find(groups: groups.count) { weights in
      trials += 1
      #expect(abs(weights.reduce(0, +) - 4) < 1e-9)
      return lost(weights)
    }
    func sum(_ weights: [Double]) -> Double { lost(weights).reduce(0, +) }
    // The least sum, by a search over a fine grid of shares.
    let grid = stride(from: 0.05, through: 3.85, by: 0.05)
    var least = Double.infinity
    for first in grid {
      for second in grid where first + second < 4 {
        for third in grid where first + second + third < 3.99 {
          least = min(least, sum([first, second, third, 4 - first - second - third]))
        }
      }
    }
    let equal = sum([1, 1, 1, 1])
    #expect(trials == SampleBalance.trials(of: groups.count))
    #expect(sum(found) - least < 0.15 * (equal - least), "\(sum(found)), least \(least), equal \(equal)")
  }

  @Test("where nothing is lost, or there is one group, all count the same")
  func nothingLost() {
    #expect(SampleBalance.find(groups: 3) { _ in [0, 0, 0] } == [1, 1, 1])
    #expect(SampleBalance.find(groups: 1) { _ in [1] } == [1])
  }

  @Test("the order of the models changes no byte", arguments: ["llama", "regression-mean"])
  func order(name: String) throws {
    var recipe = try recipe(name)
    try merge(recipe, into: "one")
    recipe.models.reverse()
    try merge(recipe, into: "other")
    #expect(
      try readFile(directory("one/model.safetensors")) == readFile(directory("other/model.safetensors")))
  }

  @Test("in the type of the models, later maps see the rounded ones, and the least memory gives the same bytes")
  func memory() throws {
    var recipe = try recipe("llama")
    recipe.elementType = nil
    try merge(recipe, into: "one")
    let refusal = try #require(failure { try merge(recipe, into: "small", memory: 1) })
    let least = try #require(Int(refusal.expected.filter(\.isNumber)))
    try merge(recipe, into: "other", memory: least)
    #expect(
      try readFile(directory("one/model.safetensors")) == readFile(directory("other/model.safetensors")))
  }

  // MARK: Little to go by

  @Test("without any samples the models weigh the same, and their changes of weights are what is fitted")
  func noSamples() throws {
    var recipe = try recipe("llama")
    recipe.samplesOfModels = [:]
    recipe.alignment.share = 0
    recipe.scale = 1
    let report = try merge(recipe, into: "out")
    #expect(report.typicalSamples.isEmpty)
    for layer in report.layers { #expect(layer.weights.allSatisfy { abs($0 - 1.0 / 3) < 1e-12 }) }
    #expect(report.layers.flatMap(\.alignment).count == 3 * 7 + 1)
    #expect(report.table.contains("residual") && !report.table.contains("S [1]"))
    // Held firmly, the maps stay where the mean is.
    recipe.alignment.ridge = 1e6
    try merge(recipe, into: "held")
    var mean = MergeRecipe()
    (mean.method, mean.models, mean.elementType) = ("linear", recipe.models, .float32)
    try merge(mean, into: "mean")
    let (held, expected, free) = (
      try tensors(of: directory("held")), try tensors(of: directory("mean")), try tensors(of: directory("out"))
    )
    for (tensor, golden) in expected {
      #expect(distance(held[tensor] ?? [], golden) <= 1e-5 * length(golden), "\(tensor)")
    }
    let map = "model.layers.0.mlp.up_proj.weight"
    #expect(distance(free[map] ?? [], expected[map] ?? []) > 1e-3 * length(expected[map] ?? []))
  }

  @Test("one token moves a map in one direction, and leaves all others at the fusion")
  func oneToken() throws {
    var recipe = try recipe("llama")
    for path in recipe.models {
      recipe.samplesOfModels[path] = try directory.write("{\"input_ids\": [7]}\n", to: "token.jsonl")
    }
    (recipe.alignment.share, recipe.alignment.ridge) = (1, 0.1)
    try merge(recipe, into: "free")
    recipe.alignment.ridge = 1e7
    try merge(recipe, into: "held")
    let (free, held) = (try tensors(of: directory("free")), try tensors(of: directory("held")))
    let map = "model.layers.0.self_attn.q_proj.weight"
    let moved = zip(free[map] ?? [], held[map] ?? []).map { Double($0) - Double($1) }
    let width = 32
    let rows = stride(from: 0, to: moved.count, by: width).map { Array(moved[$0..<$0 + width]) }
    let longest = try #require(rows.max { $0.reduce(0) { $0 + $1 * $1 } < $1.reduce(0) { $0 + $1 * $1 } })
    let square = longest.reduce(0) { $0 + $1 * $1 }
    #expect(square > 0)
    for row in rows {
      let share = zip(row, longest).reduce(0) { $0 + $1.0 * $1.1 } / square
      let rest = zip(row, longest).reduce(0) { $0 + pow($1.0 - share * $1.1, 2) }
      #expect(rest <= 1e-8 * square)
    }
  }

  @Test("a model merged with itself stays as it is", arguments: ["recall-align", "regmean"])
  func itself(method: String) throws {
    var recipe = try recipe("llama")
    recipe.method = method
    recipe.models = [Fixtures.sibling("first"), Fixtures.sibling("first")]
    recipe.base = Fixtures.sibling("first")
    recipe.samplesOfModels = recipe.samplesOfModels.filter { $0.key == Fixtures.sibling("first") }
    recipe.elementType = nil
    try merge(recipe, into: "out")
    #expect(
      try readFile(directory("out/model.safetensors"))
        == readFile("\(Fixtures.sibling("first"))/model.safetensors"))
  }

  // MARK: Chains

  @Test("a chain of merges needs no old samples: each keeps the texts of all before it")
  func chain() throws {
    var first = try recipe("llama")
    let third = first.models.removeLast()
    let samples = try #require(first.samplesOfModels[third])
    first.samplesOfModels[third] = nil
    first.base = Fixtures.sibling("base")
    let earlier = try merge(first, into: "first")
    #expect(earlier.typicalSamples.count == 4)

    var second = MergeRecipe()
    (second.method, second.base) = ("recall-align", first.base)
    second.models = [directory("first")]
    // The anchor's samples are those that all are compared on.
    (second.anchor, second.samples, second.typical) = (third, samples, 2)
    let report = try merge(second, into: "second")
    let owners = report.typicalSamples.compactMap { $0["model"]?.string }
    // Every text stays with the model that first brought it.
    #expect(first.models.allSatisfy { model in owners.count { $0 == model } == 2 } && owners.count { $0 == third } == 2)
    let texts = { (report: MergeReport) in report.typicalSamples.map { $0["input_ids"]?.compact ?? "" } }
    #expect(Set(texts(earlier)).isSubset(of: Set(texts(report))))
    #expect(try MergeReport(mergeAt: directory("second/recall.json")).lineage.merges.count == 1)

    // Samples that are given outrank those that were kept.
    second.samplesOfModels = [directory("first"): samples]
    let other = try merge(second, into: "other")
    #expect(other.typicalSamples.count { $0["model"]?.string == directory("first") } == 2)
  }

  @Test("a pool is clustered by the model whose own it is")
  func selection() throws {
    var recipe = try recipe("llama")
    recipe.typical = 3
    recipe.samplesOfModels[Fixtures.sibling("third")] = Fixtures.siblingSamples
    let report = try merge(recipe, into: "out")
    let own = report.typicalSamples.filter { $0["model"]?.string == Fixtures.sibling("third") }
    var alone = MergeRecipe()
    (alone.samples, alone.typical) = (Fixtures.siblingSamples, 3)
    let expected = try HierarchicalMerge(alone, on: CPUBackend())
      .select(model: Fixtures.sibling("third"), scratchDirectory: directory.path)
    #expect(own.compactMap { $0["index"]?.integer } == expected.samples.map(\.sample.index))
    #expect(own.allSatisfy { $0["clusterSize"]?.integer != nil })
  }

  // MARK: Stops

  @Test(
    "a merge that was stopped reads back what it solved and gives the same bytes",
    arguments: ["llama", "regression-mean"])
  func resumed(name: String) throws {
    var recipe = try recipe(name)
    recipe.elementType = nil
    try merge(recipe, into: "whole")
    let method = try MergeMethods.named(recipe.method)
    for bytes in [1, 20_000, 40_000] {
      let stop = StopRequest()
      let progress = MergeProgress { event in
        if event.unit == "bytes", event.done >= bytes { stop.make("the test") }
      }
      let stopped = failure {
        _ = try method.merge(
          recipe, into: MergeTarget(directory("out"), resume: true, stop: stop), memoryBudget: nil, on: CPUBackend(),
          progress: progress)
      }
      #expect(stopped?.category == .tryAgain)
    }
    let outcome = try method.merge(
      recipe, into: MergeTarget(directory("out"), resume: true), memoryBudget: nil, on: CPUBackend(),
      progress: .unwatched)
    #expect(outcome.state == .finished)
    #expect(
      try readFile(directory("out/model.safetensors")) == readFile(directory("whole/model.safetensors")))
    func report(_ name: String) throws -> String {
      let path = directory("\(name)/recall.json")
      var json = try #require(try JSONValue(parsing: readFile(path), from: path).object)
      json["timings"] = nil
      return JSONValue.object(json).compact
    }
    #expect(try report("out") == report("whole"))
  }

  @Test("a merge that is stopped between rehearsals goes on with the next trial")
  func resumedRehearsals() throws {
    let recipe = try recipe("llama")
    let whole = try merge(recipe, into: "whole")
    let (stop, method) = (StopRequest(), try MergeMethods.named(recipe.method))
    let progress = MergeProgress { event in
      if event.stage == "balance", event.done == 4 { stop.make("the test") }
    }
    let stopped = failure {
      _ = try method.merge(
        recipe, into: MergeTarget(directory("out"), stop: stop), memoryBudget: nil, on: CPUBackend(), progress: progress
      )
    }
    #expect(stopped?.category == .tryAgain)
    let journal = try readFile(directory("out.partial/.recall-part-1-of-1.journal"))
    #expect(String(decoding: journal, as: UTF8.self).components(separatedBy: "\"trial\"").count == 3)
    let resumed = try method.merge(
      recipe, into: MergeTarget(directory("out"), resume: true), memoryBudget: nil, on: CPUBackend(),
      progress: .unwatched
    ).report
    #expect(resumed.models.map(\.alignmentWeight) == whole.models.map(\.alignmentWeight))
    #expect(
      try readFile(directory("out/model.safetensors")) == readFile(directory("whole/model.safetensors")))
  }

  @Test("a base among the models has learned nothing since, and counts as it is")
  func baseAmongModels() throws {
    let report = try merge(recipe("samples-only"), into: "out")
    #expect(report.models.compactMap(\.alignmentWeight) == [1, 1])
  }

  // MARK: Mistakes

  @Test("samples of strangers, too few samples, too many models, no selector, weights that are none")
  func mistakes() throws {
    func expect(_ subject: String, _ words: String, _ change: (inout MergeRecipe) -> Void) throws {
      var recipe = try recipe("llama")
      change(&recipe)
      let failure = try #require(failure { try merge(recipe, into: "out") })
      #expect(failure.category == .usage && failure.subject == subject, "\(failure)")
      #expect("\(failure)".contains(words), "\(failure)")
      #expect(!FileManager.default.fileExists(atPath: directory("out")))
    }
    try expect("--samples-for", "/stranger") { $0.samplesOfModels["/stranger"] = Fixtures.siblingSamples }
    try expect("--samples-for", "--align-share 0") { $0.samplesOfModels = [:] }
    try expect("--samples-for", "every model") {
      $0.samplesOfModels[Fixtures.sibling("first")] = nil
      $0.alignment.share = 1
    }
    try expect("--samples-for", "every model") {
      $0.samplesOfModels[Fixtures.sibling("first")] = nil
      $0.method = "regmean"
    }
    try expect("--anchor", "--typical-from") { $0.base = nil }
    try expect("--model", "at most 14") { $0.models = [String](repeating: Fixtures.sibling("first"), count: 15) }

    try merge(recipe("llama"), into: "solved")
    let path = directory("solved/recall.json")
    let refused = failure {
      _ = try HierarchicalMerge(MergeRecipe(), on: CPUBackend()).fuse(
        MergeReport(path: path), from: path, moved: [], into: directory("fused"), overwrite: false)
    }
    #expect(refused?.got.contains("solved for its linear maps") == true)
  }
}
