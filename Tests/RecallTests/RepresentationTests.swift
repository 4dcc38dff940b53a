import Checkpoint
import Compute
import ComputeCPU
import Recall
import TestSupport
import Testing

/// Representations against those of transformers in float32.
@Suite struct RepresentationTests {
  /// Both sum in float32, in another order; a layer of these models loses at most some 1e-6.
  private static let tolerance: Float = 1e-5

  @Test("equal those of transformers at every layer", arguments: Fixtures.families, Pooling.allCases)
  func everyLayer(family: String, pooling: Pooling) throws {
    for (maxTokens, suffix) in [(nil, ""), (12, ".truncated")] as [(Int?, String)] {
      for samples in ["input_ids", "texts"] {
        var recipe = MergeRecipe()
        recipe.samples = "\(Fixtures.root)/representations/\(family).\(samples).jsonl"
        recipe.pooling = pooling
        recipe.maxTokens = maxTokens
        let states = try HierarchicalMerge(recipe, on: CPUBackend()).extract(model: Fixtures.checkpoint(family))
        let golden = try Fixtures.tensors("representations/\(family).safetensors")
        let expected = try #require(golden[pooling.rawValue + suffix])
        let values = states.layers.flatMap(\.values)
        try #require(values.count == expected.values.count)
        let width = expected.shape[2]
        for row in 0..<values.count / width {
          let range = row * width..<(row + 1) * width
          let error = relativeError(values[range], expected.values[range])
          #expect(error < Self.tolerance, "\(samples), row \(row) of [layers · samples]")
        }
      }
    }
  }

  @Test("both vocabularies of config.json mean the same model")
  func olderWords() throws {
    let directory = try TemporaryDirectory()
    let copy = try directory.copy(of: Fixtures.checkpoint("llama-3.1"), as: "older")
    let older = try readFile("\(copy)/config.older-words.json")
    try writeFile(older, to: "\(copy)/config.json", overwrite: true)
    #expect(
      try Model(directory: copy).configuration == Model(directory: Fixtures.checkpoint("llama-3.1")).configuration)
  }

  @Test("batches do not mix texts: a text alone has the states it has among others")
  func alone() throws {
    let directory = try TemporaryDirectory()
    let path = "\(Fixtures.root)/representations/qwen3.input_ids.jsonl"
    let lines = String(decoding: try readFile(path), as: UTF8.self).split(separator: "\n").map(String.init)
    var recipe = MergeRecipe()
    recipe.samples = path
    let together = try HierarchicalMerge(recipe, on: CPUBackend()).extract(model: Fixtures.checkpoint("qwen3"))
    for (index, line) in lines.enumerated() {
      recipe.samples = try directory.write(line + "\n", to: "\(index).jsonl")
      let alone = try HierarchicalMerge(recipe, on: CPUBackend()).extract(model: Fixtures.checkpoint("qwen3"))
      for (one, all) in zip(alone.layers, together.layers) {
        let row = all.values[index * all.width..<(index + 1) * all.width]
        #expect(relativeError(one.values[...], row) < Self.tolerance)
      }
    }
  }

  private func relativeError(_ values: ArraySlice<Float>, _ expected: ArraySlice<Float>) -> Float {
    let difference = zip(values, expected).reduce(Float(0)) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    let norm = expected.reduce(Float(0)) { $0 + $1 * $1 }
    return (difference / norm).squareRoot()
  }
}
