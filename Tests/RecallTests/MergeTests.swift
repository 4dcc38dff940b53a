import Checkpoint
import Compute
import ComputeCPU
import Foundation
import JSON
import Recall
import TestSupport
import Testing

/// The whole merge on small checkpoints.
@Suite struct MergeTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// The bytes of every file of an output but the report, whose timings differ.
  private func contents(of output: String) throws -> [String: [UInt8]] {
    let names = try FileManager.default.contentsOfDirectory(atPath: output).filter { $0 != MergeReport.fileName }
    return Dictionary(uniqueKeysWithValues: try names.map { ($0, try readFile("\(output)/\($0)")) })
  }

  /// The report without its timings.
  private func report(of output: String) throws -> String {
    let path = "\(output)/\(MergeReport.fileName)"
    var json = try #require(try JSONValue(parsing: readFile(path), from: path).object)
    json["timings"] = nil
    return JSONValue.object(json).compact
  }

  @Test(
    "the four stages give the weights and the bytes of the merge",
    arguments: [
      ("mean", "anchor-median", true), ("last", "anchor-median", true), ("mean", "global-median", true),
      ("mean", "layer-median", false), ("last", "anchor-median", false), ("mean", "0.4", false),
    ])
  func stages(pooling: String, bandwidth: String, hasAnchor: Bool) throws {
    var recipe = siblingRecipe()
    recipe.pooling = Pooling(rawValue: pooling)
    recipe.weighing.bandwidth = try #require(BandwidthRule(name: bandwidth))
    if !hasAnchor {
      recipe.models.append(Fixtures.sibling("third"))
      recipe.anchor = nil
      recipe.base = Fixtures.sibling("base")
    }
    let whole = try merge(recipe, into: directory("whole"))

    let backend = try CPUBackend()
    let typical = try HierarchicalMerge(recipe, on: backend).select(
      model: hasAnchor ? Fixtures.sibling("third") : Fixtures.sibling("base"), scratchDirectory: directory.path)
    let lines = [typical.header.json] + typical.samples.map(\.sample.json)
    let samples = try directory.write(lines.map { $0.compact + "\n" }.joined(), to: "typical.jsonl")
    var extraction = MergeRecipe()
    extraction.samples = samples
    for name in ["first", "second", "third"] {
      try HierarchicalMerge(extraction, on: backend).extract(model: Fixtures.sibling(name))
        .write(to: directory("\(name).safetensors"), overwrite: false)
    }
    let files = try ["third", "second", "first"].map { try HiddenStateFile(path: directory("\($0).safetensors")) }
    var weighing = MergeRecipe()
    weighing.weighing = recipe.weighing
    let weighed = try HierarchicalMerge(weighing, on: backend).weigh(
      anchor: hasAnchor ? files[0] : nil, others: hasAnchor ? Array(files.dropFirst()) : files)
    #expect(weighed.layers == whole.layers)

    let path = try directory.write(JSONValue.object(weighed.json).formatted, to: "recall.json")
    _ = try HierarchicalMerge(MergeRecipe(), on: backend).fuse(
      MergeReport(path: path), from: path, moved: [], into: directory("fused"), overwrite: false)
    #expect(try contents(of: directory("fused")) == contents(of: directory("whole")))

    // A merge may also start from typical samples that were selected before.
    recipe.samples = samples
    recipe.typical = 20
    let again = try merge(recipe, into: directory("from-typical"))
    #expect(try contents(of: directory("from-typical")) == contents(of: directory("whole")))
    #expect(again.recipe.pooling?.rawValue == pooling && again.recipe.typical == typical.samples.count)
  }

  @Test("the order of the models changes no byte, neither of the model nor of the report")
  func order() throws {
    var recipe = siblingRecipe()
    try merge(recipe, into: directory("one"))
    recipe.models.reverse()
    try merge(recipe, into: directory("other"))
    #expect(try contents(of: directory("one")) == contents(of: directory("other")))
    #expect(try report(of: directory("one")) == report(of: directory("other")))
  }

  @Test("a second run gives the same bytes, whatever the memory for the selection")
  func repeatable() throws {
    var recipe = siblingRecipe()
    let lines = (0..<40).map { number in
      let ids = (0..<100).map { "\(3 + (number * 7 + $0 * (number + 1)) % 250)" }.joined(separator: ",")
      return "{\"input_ids\":[\(ids)]}\n"
    }
    recipe.samples = try directory.write(lines.joined(), to: "pool.jsonl")
    try merge(recipe, into: directory("one"))
    // The least budget makes the selection pass over the pool several times.
    let refusal = try #require(failure { try merge(recipe, into: directory("small"), memory: 1) })
    let least = try #require(Int(refusal.expected.filter(\.isNumber)))
    try merge(recipe, into: directory("other"), memory: least)
    #expect(try contents(of: directory("one")) == contents(of: directory("other")))
    #expect(try report(of: directory("one")) == report(of: directory("other")))
  }

  @Test("merging a model with itself returns its bytes", arguments: Fixtures.families)
  func itself(family: String) throws {
    var recipe = MergeRecipe()
    recipe.anchor = Fixtures.checkpoint(family)
    recipe.models = [Fixtures.checkpoint(family), Fixtures.checkpoint(family)]
    recipe.samples = "\(Fixtures.root)/representations/\(family).input_ids.jsonl"
    recipe.typical = 2
    let report = try merge(recipe, into: directory("out"))
    for layer in report.layers {
      #expect(layer.similarity.values.joined().allSatisfy { $0 == 1 })
      #expect(layer.weights.allSatisfy { abs($0 - 1.0 / 3) < 1e-12 })
    }
    let original = try Checkpoint(directory: Fixtures.checkpoint(family))
    let merged = try Checkpoint(directory: directory("out"))
    #expect(merged.shards.map(\.fileName) == original.shards.map(\.fileName))
    #expect(merged.tensors.map(\.name) == original.tensors.map(\.name))
    for tensor in original.tensors {
      let counterpart = try #require(merged.tensor(named: tensor.name))
      #expect(counterpart.shape == tensor.shape && counterpart.type == tensor.type)
      let (before, after) = (try original.bytes(of: tensor), try merged.bytes(of: counterpart))
      if tensor.type == .float32 {
        // Three times a third of a float32 may miss by one unit in the last place.
        #expect(zip(floats(before), floats(after)).allSatisfy { abs($0 - $1) <= $0.ulp })
      } else {
        #expect(before == after, "\(tensor.name)")
      }
    }
  }

  @Test("every rule of the RBF step makes a merge, and weights sum to 1")
  func rules() throws {
    let rules: [(DistanceMeasure, String)] = [
      (.relative, "anchor-median"), (.relative, "global-median"), (.relative, "layer-median"), (.relative, "0.5"),
      (.absolute, "anchor-median"), (.absolute, "global-median"), (.absolute, "layer-median"), (.absolute, "dimension"),
    ]
    var outputs: Set<[UInt8]> = []
    for (number, (measure, bandwidth)) in rules.enumerated() {
      for hasAnchor in [true, false] {
        var recipe = siblingRecipe()
        recipe.weighing.distance = measure
        recipe.weighing.bandwidth = try #require(BandwidthRule(name: bandwidth))
        recipe.weighing.temperature = 0.5
        recipe.clusterLayer = .block(1)
        if !hasAnchor {
          recipe.models.append(Fixtures.sibling("third"))
          recipe.anchor = nil
          recipe.base = Fixtures.sibling("base")
        }
        let output = directory("\(number).\(hasAnchor)")
        let report = try merge(recipe, into: output)
        #expect(report.layers.allSatisfy { abs($0.weights.reduce(0, +) - 1) < 1e-12 })
        #expect(report.models.contains(where: \.isAnchor) == hasAnchor)
        outputs.insert(try readFile("\(output)/model.safetensors"))
      }
    }
    #expect(outputs.count == 2 * rules.count, "every option has an effect")
  }

  @Test("tensors are fused with the weights of their layer, and the output keeps types, files and companions")
  func output() throws {
    let report = try merge(siblingRecipe(), into: directory("out"))
    let merged = try Checkpoint(directory: directory("out"))
    let models = try report.models.map { try Checkpoint(directory: $0.path) }
    let assignment = LayerAssignment(try Model(directory: directory("out")).configuration)
    let weights = Dictionary(uniqueKeysWithValues: report.layers.map { ($0.layer, $0.weights) })
    for tensor in merged.tensors {
      let layer = try #require(assignment.layer(of: tensor.name))
      let weights = try #require(weights[layer]).map(Float.init)
      let inputs = try models.map { model in
        bfloats(try model.bytes(of: try #require(model.tensor(named: tensor.name))))
      }
      let expected = inputs[0].indices.map { element in
        var sum = weights[0] * inputs[0][element]
        for (weight, input) in zip(weights, inputs).dropFirst() { sum = sum.addingProduct(weight, input[element]) }
        return roundedToBFloat16(sum)
      }
      #expect(bfloats(try merged.bytes(of: tensor)) == expected, "\(tensor.name)")
    }
    for name in ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"] {
      #expect(try readFile("\(directory("out"))/\(name)") == readFile("\(Fixtures.sibling("third"))/\(name)"))
    }
    let json = try JSONValue(parsing: readFile("\(directory("out"))/recall.json"), from: "recall.json")
    let files = try #require(json["files"]?.array)
    for file in files {
      let path = "\(directory("out"))/\(try #require(file["name"]?.string))"
      #expect(try file["digest"]?.string == "\(fileDigest(path))")
    }
    #expect(files.contains { $0["name"]?.string == "README.md" })
    #expect(!FileManager.default.fileExists(atPath: directory("out.partial")))
  }

  @Test("--dtype changes fused tensors and the configuration")
  func elementType() throws {
    var recipe = siblingRecipe()
    recipe.elementType = .float32
    try merge(recipe, into: directory("out"))
    let merged = try Model(directory: directory("out"))
    #expect(merged.checkpoint.tensors.allSatisfy { $0.type == .float32 })
    let configuration = try #require(merged.directory.configuration)
    #expect((configuration["dtype"] ?? configuration["torch_dtype"])?.string == "float32")
  }

  @Test("float64 models run and merge; their types are kept")
  func float64() throws {
    let copies = try ["first", "third"].map { name in
      try widened(Fixtures.sibling(name), as: directory("\(name)-float64"))
    }
    var recipe = siblingRecipe()
    recipe.models = [Fixtures.sibling("first")]
    let narrow = try merge(recipe, into: directory("narrow"))
    recipe.anchor = copies[1]
    recipe.models = [copies[0]]
    let wide = try merge(recipe, into: directory("wide"))
    // The same numbers in another type, so the same states and weights.
    #expect(wide.layers == narrow.layers)
    #expect(try Checkpoint(directory: directory("wide")).tensors.allSatisfy { $0.type == .float64 })
  }

  /// A copy of a bfloat16 checkpoint in float64.
  private func widened(_ source: String, as copy: String) throws -> String {
    let checkpoint = try Checkpoint(directory: source)
    let layouts = checkpoint.tensors.map { TensorLayout(name: $0.name, type: .float64, shape: $0.shape) }
    let writer = try CheckpointWriter(
      output: copy, shards: [ShardLayout(fileName: "model.safetensors", tensors: layouts)])
    for tensor in checkpoint.tensors {
      let values = bfloats(try checkpoint.bytes(of: tensor)).map(Double.init)
      let span = values.span
      try writer.write(tensor.name, at: 0, bytes: span.bytes)
    }
    for name in ["config.json", "tokenizer.json"] { try writer.copyFile(from: "\(source)/\(name)", as: name) }
    try writer.finish()
    return copy
  }

  @Test("models that have moved are found by the name of their directory")
  func moved() throws {
    let report = try merge(siblingRecipe(), into: directory("out"))
    for name in ["first", "second", "third"] { _ = try directory.copy(of: Fixtures.sibling(name), as: name) }
    var elsewhere = report
    for index in elsewhere.models.indices {
      elsewhere.models[index].path = "/nowhere/" + (report.models[index].path.split(separator: "/").last ?? "")
    }
    let fusion = HierarchicalMerge(MergeRecipe(), on: try CPUBackend())
    let moved = ["second", "third", "first"].map { directory($0) }
    _ = try fusion.fuse(elsewhere, from: "recall.json", moved: moved, into: directory("fused"), overwrite: false)
    #expect(
      try readFile("\(directory("fused"))/model.safetensors") == readFile("\(directory("out"))/model.safetensors"))
    let refusal = try #require(
      failure {
        _ = try fusion.fuse(
          elsewhere, from: "recall.json", moved: Array(moved.dropLast()), into: directory("two"), overwrite: false)
      })
    #expect(refusal.category == .usage)
  }

  private func floats(_ bytes: [UInt8]) -> [Float] {
    bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
  }

  private func bfloats(_ bytes: [UInt8]) -> [Float] {
    bytes.withUnsafeBytes { $0.bindMemory(to: UInt16.self).map { Float(bitPattern: UInt32($0) << 16) } }
  }

  private func roundedToBFloat16(_ value: Float) -> Float {
    let bits = value.bitPattern
    return Float(bitPattern: (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000)
  }
}
