import Checkpoint
import ComputeCPU
import Diagnostics
import Foundation
import JSON
import Recall
import TestSupport
import Testing

/// Weights from the losses on a few examples.
@Suite struct LMCocktailTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private let siblings = ["second", "first", "third"].map { Fixtures.sibling($0) }

  private func recipe(_ examples: String, temperature: Double) throws -> MergeRecipe {
    var recipe = MergeRecipe()
    recipe.method = "lm-cocktail"
    recipe.models = siblings
    recipe.samples = try directory.write(examples, to: "examples.jsonl")
    recipe.weighing.temperature = temperature
    return recipe
  }

  @discardableResult
  private func merge(_ recipe: MergeRecipe, into name: String, resume: Bool = false) throws -> MergeOutcome {
    try MergeMethods.named(recipe.method).merge(
      recipe, into: MergeTarget(directory(name), resume: resume), memoryBudget: nil, on: CPUBackend(),
      progress: .unwatched)
  }

  @Test("softmax of the losses that evaluate finds, which are those of transformers", arguments: [1, 0.05])
  func texts(temperature: Double) throws {
    let recipe = try recipe(
      "{\"text\": \"the dog is\"}\n{\"text\": \"a river of the forest\"}\n", temperature: temperature)
    let outcome = try merge(recipe, into: "out")
    let evaluation = try Evaluation(models: siblings.sorted(), tasks: [try #require(recipe.samples)], references: [])
    let losses = try evaluation.run(on: CPUBackend()).results.map { log($0[0].value) }
    let powers = losses.map { exp(-($0 - losses[0]) / temperature) }
    let weights = try #require(outcome.report.layers.first).weights
    #expect(outcome.report.models.map(\.path) == siblings.sorted())
    for (weight, power) in zip(weights, powers) { #expect(abs(weight - power / powers.reduce(0, +)) < 1e-5) }
    #expect(Set(weights).count == 3)

    var linear = MergeRecipe()
    linear.method = "linear"
    linear.models = siblings.sorted()
    linear.weights = weights
    linear.normalize = false
    linear.base = siblings[0]
    try merge(linear, into: "linear")
    #expect(
      try readFile("\(directory("linear"))/model.safetensors") == readFile("\(directory("out"))/model.safetensors"))
    #expect(try merge(recipe, into: "out", resume: true).state == .finishedBefore)
  }

  @Test("of a question with choices the right one is the example, of a prompt its answer")
  func answers() throws {
    let choice = try merge(
      recipe("{\"prompt\": \"the dog\", \"choices\": [\" is\", \" has a king\"], \"answer\": 1}\n", temperature: 1),
      into: "choice")
    let answer = try merge(
      recipe("{\"prompt\": \"the dog\", \"answer\": \" has a king\"}\n", temperature: 1), into: "answer")
    #expect(choice.report.layers.map(\.weights) == answer.report.layers.map(\.weights))
  }
}
