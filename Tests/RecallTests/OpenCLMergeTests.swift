import Checkpoint
import Compute
import ComputeCPU
import Foundation
import JSON
import Recall
import TestSupport
import Testing

/// The whole merge of trained checkpoints on OpenCL, beside the processor's.
@Suite(.serialized) struct OpenCLMergeTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private static let continual = URL(fileURLWithPath: Fixtures.root)
    .appendingPathComponent("../../Benchmarks/continual").standardized.path

  @Test(
    "weights within a thousandth of the processor's; the same bytes from the same weights",
    arguments: OpenCLDevices.numbers)
  func family(number: Int) throws {
    var recipe = MergeRecipe()
    recipe.anchor = "\(Self.continual)/family/expert-translation"
    recipe.models = ["sentiment", "reading-choice"].map { "\(Self.continual)/family/expert-\($0)" }
    recipe.samples = "\(Self.continual)/data/translation.train.jsonl"
    let expected = try merge(recipe, into: directory("cpu"))
    let backend = try OpenCLDevices.open(number)
    let report = try HierarchicalMerge(recipe, on: backend).merge(
      into: directory("opencl"), overwrite: false
    ).report

    #expect(report.layers.count == expected.layers.count)
    for (layer, reference) in zip(report.layers, expected.layers) {
      #expect(layer.layer == reference.layer)
      for (weight, other) in zip(layer.weights, reference.weights) { #expect(abs(weight - other) <= 1e-3) }
    }
    #expect(report.typicalSamples.map(\.compact) == expected.typicalSamples.map(\.compact))

    let path = "\(directory("cpu"))/recall.json"
    _ = try HierarchicalMerge(MergeRecipe(), on: backend).fuse(
      MergeReport(path: path), from: path, moved: [], into: directory("fused"), overwrite: false)
    #expect(
      try readFile("\(directory("fused"))/model.safetensors") == readFile("\(directory("cpu"))/model.safetensors"))
  }
}
