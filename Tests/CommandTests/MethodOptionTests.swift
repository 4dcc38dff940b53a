import Foundation
import TestSupport
import Testing

/// Methods and weights on the command line and in recipes.
@Suite struct MethodOptionTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private var first: [String] { ["--model", Fixtures.sibling("first")] }
  private var second: [String] { ["--model", Fixtures.sibling("second")] }
  private var linear: [String] { ["--method", "linear"] }

  private func merge(_ arguments: [String]) throws -> RecallProcess.Outcome {
    try RecallProcess.run(["merge", "--output", directory("out"), "--progress", "none"] + arguments)
  }

  private func expectRefusal(
    _ arguments: [String], code: Int32 = 64, naming words: [String], sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let outcome = try merge(arguments)
    #expect(outcome.code == code, "\(outcome.diagnostics)", sourceLocation: sourceLocation)
    for word in words {
      #expect(outcome.diagnostics.contains(word), "\(word): \(outcome.diagnostics)", sourceLocation: sourceLocation)
    }
    #expect(outcome.diagnostics.split(separator: "\n").count == 1, "one paragraph", sourceLocation: sourceLocation)
    #expect(!FileManager.default.fileExists(atPath: directory("out")), sourceLocation: sourceLocation)
    #expect(!FileManager.default.fileExists(atPath: directory("out.partial")), sourceLocation: sourceLocation)
  }

  @Test("weights that belong to no model, or make no sense")
  func weights() throws {
    try expectRefusal(linear + ["--weight", "0.5"] + first + second, naming: ["--weight", "0.5 behind none"])
    try expectRefusal(linear + first + ["--weight", "1", "--weight", "2"] + second, naming: ["2 behind none"])
    for number in ["heavy", "nan", "inf"] {
      try expectRefusal(linear + first + ["--weight", number] + second, naming: ["--weight", "finite", number])
    }
    try expectRefusal(
      linear + first + ["--weight", "1"] + second + ["--weight", "-1"], naming: ["--weight", "sum", "--normalize"])
    try expectRefusal(
      ["--anchor", Fixtures.sibling("third"), "--samples", Fixtures.siblingSamples] + first + ["--weight", "1"],
      naming: ["--weight", "--method recall"])
  }

  @Test("methods that do not exist, and options that a method has no use for")
  func methods() throws {
    try expectRefusal(["--method", "liner"] + first + second, naming: ["--method", "Did you mean linear?"])
    try expectRefusal(linear + first + second + ["--samples", "x"], naming: ["--samples", "linear"])
    try expectRefusal(linear + first + second + ["--temperature", "2"], naming: ["--temperature", "linear"])
    try expectRefusal(linear + first + ["--anchor", Fixtures.sibling("second")], naming: ["--anchor", "--model"])
    try expectRefusal(["--normalize", "true"] + first + second, naming: ["--normalize", "recall"])
    try expectRefusal(linear + first, naming: ["--model", "2 to 16"])
    try expectRefusal(linear, naming: ["--model"])
    try expectRefusal(linear + first + second + ["--memory", "1M"], naming: ["--memory", "at least"])
  }

  @Test("changes need a base, and what is asked of them has to make sense")
  func changes() throws {
    let base = ["--base", Fixtures.sibling("third")]
    for method in ["task-arithmetic", "ties", "dare-linear", "dare-ties", "lines"] {
      try expectRefusal(["--method", method] + first + second, naming: ["--base", method])
      try expectRefusal(["--method", method] + base, naming: ["--model", "1 to 15"])
    }
    try expectRefusal(linear + first + second + ["--scale", "2"], naming: ["--scale", "--base"])
    try expectRefusal(
      ["--anchor", Fixtures.sibling("third"), "--samples", Fixtures.siblingSamples, "--scale", "1.5"] + first,
      naming: ["--scale", "--base"])
    for density in ["0", "-0.5", "1.5", "nan", "half"] {
      try expectRefusal(
        ["--method", "ties", "--density", density] + base + first + second, naming: ["--density", density])
    }
    try expectRefusal(["--method", "dare-ties", "--rescale", "l1"] + base + first, naming: ["--rescale", "norm"])
    try expectRefusal(["--method", "ties", "--seed", "1"] + base + first, naming: ["--seed", "ties"])
    try expectRefusal(["--method", "lines", "--deep-scale", "inf"] + base + first, naming: ["--deep-scale"])
    try expectRefusal(linear + first + second + ["--density", "0.5"], naming: ["--density", "linear"])
  }

  @Test("slerp takes two models and a number from 0 to 1")
  func slerp() throws {
    let slerp = ["--method", "slerp"]
    try expectRefusal(
      slerp + first + second + ["--model", Fixtures.sibling("third")], naming: ["--model", "two", "3"])
    try expectRefusal(slerp + first, naming: ["--model", "two"])
    for t in ["-0.1", "1.01", "nan"] { try expectRefusal(slerp + first + second + ["--t", t], naming: ["--t", t]) }
    try expectRefusal(slerp + first + ["--weight", "1"] + second, naming: ["--weight", "slerp"])
  }

  @Test("lm-cocktail needs examples with something to score, and finds the weights itself")
  func examples() throws {
    let cocktail = ["--method", "lm-cocktail"] + first + second
    try expectRefusal(cocktail, naming: ["--samples"])
    let prompt = try directory.write("{\"prompt\": \"a\"}\n", to: "prompt.jsonl")
    try expectRefusal(cocktail + ["--samples", prompt], code: 65, naming: ["prompt.jsonl", "answer"])
    try expectRefusal(cocktail + ["--samples", prompt, "--weight", "1"], naming: ["--weight"])
  }

  @Test("a recipe has models with weights, and its report gives the same merge again")
  func recipe() throws {
    let text = """
      {"method": "linear", "normalize": false, "models": [{"path": "\(Fixtures.sibling("first"))", "weight": 0.75},
        "\(Fixtures.sibling("second"))"]}
      """
    let recipe = try directory.write(text, to: "recipe.json")
    let outcome = try merge(["--recipe", recipe])
    #expect(outcome.code == 0, "\(outcome.diagnostics)")
    for words in ["0.7500", "0.5000", "waited for: read", "Merged into"] { #expect(outcome.output.contains(words)) }
    let again = try RecallProcess.run([
      "merge", "--recipe", "\(directory("out"))/recall.json", "--output", directory("again"), "--progress", "none",
    ])
    #expect(again.code == 0, "\(again.diagnostics)")
    let files = ["out", "again"].map { FileManager.default.contents(atPath: "\(directory($0))/model.safetensors") }
    #expect(files[0] != nil && files[0] == files[1])
    let fused = try RecallProcess.run([
      "fuse", "--weights", "\(directory("out"))/recall.json", "--output", directory("fused"),
    ])
    #expect(fused.code == 65 && fused.diagnostics.contains("the same for all tensors"), "\(fused.diagnostics)")
  }

  @Test("recipes whose models or keys are wrong")
  func wrongRecipes() throws {
    let models = "\"models\": [\"\(Fixtures.sibling("first"))\", \"\(Fixtures.sibling("second"))\"]"
    let cases = [
      ("{\"method\": \"linear\", \"models\": [{\"weight\": 1}]}", "models"),
      ("{\"method\": \"linear\", \"models\": [{\"path\": \"a\", \"wait\": 1}]}", "models"),
      ("{\"method\": \"linear\", \"models\": [{\"path\": \"a\", \"weight\": \"1\"}]}", "models"),
      ("{\"method\": \"linear\", \"typical\": 3, \(models)}", "typical"),
      ("{\"method\": \"lineal\", \(models)}", "linear"),
      ("{\"method\": \"linear\", \"normalise\": true, \(models)}", "normalize"),
    ]
    for (text, word) in cases {
      try expectRefusal(["--recipe", try directory.write(text, to: "recipe.json")], naming: [word])
    }
  }

  @Test("a dry run prints the plan and writes nothing")
  func dryRun() throws {
    let outcome = try merge(linear + first + ["--weight", "3"] + second + ["--dry-run"])
    #expect(outcome.code == 0, "\(outcome.diagnostics)")
    for words in ["method: linear", "to read:", "memory: about", "time: about", "fused with these weights"] {
      #expect(outcome.output.contains(words), "\(words): \(outcome.output)")
    }
    #expect(!FileManager.default.fileExists(atPath: directory("out")))
  }

  // MARK: Solving for the linear maps

  private var aligned: [String] { ["--method", "recall-align", "--base", Fixtures.sibling("base")] + first + second }

  @Test("samples of models, shares and ridges that make no sense")
  func alignmentOptions() throws {
    for share in ["-0.1", "1.5", "nan", "half"] {
      try expectRefusal(aligned + ["--align-share", share], naming: ["--align-share", "from 0 to 1", share])
    }
    for ridge in ["0", "-1", "inf"] { try expectRefusal(aligned + ["--ridge", ridge], naming: ["--ridge", ridge]) }
    for steps in ["-1", "some", "2.5"] {
      try expectRefusal(aligned + ["--fit-steps", steps], naming: ["--fit-steps", "at least 0", steps])
    }
    for value in ["no-sign", "=file", "model="] {
      try expectRefusal(aligned + ["--samples-for", value], naming: ["--samples-for", "MODEL=FILE"])
    }
    let samples = Fixtures.siblingSamples
    try expectRefusal(
      aligned + ["--samples-for", "\(Fixtures.sibling("third"))=\(samples)"], naming: ["--samples-for", "merged"])
    try expectRefusal(
      aligned + ["--samples-for", "\(Fixtures.sibling("first"))=\(directory("nothing"))"], code: 66,
      naming: [directory("nothing")])
    try expectRefusal(aligned, naming: ["--samples-for", "--align-share 0"])
    try expectRefusal(
      linear + first + second + ["--samples-for", "\(Fixtures.sibling("first"))=\(samples)"],
      naming: ["--samples-for", "recall-align"])
    try expectRefusal(linear + first + second + ["--ridge", "1"], naming: ["--ridge", "linear"])
    try expectRefusal(aligned + ["--align-share", "0", "--memory", "1M"], naming: ["--memory", "at least"])
  }

  @Test("a recipe has models with samples, the dry run tells the plan, and the report gives the same merge again")
  func alignedRecipe() throws {
    let text = """
      {"method": "recall-align", "base": "\(Fixtures.sibling("base"))", "alignShare": 0.3, "ridge": 0.2, "fitSteps": 7,
      "typical": 2,
      "models": [{"path": "\(Fixtures.sibling("first"))", "samples": "\(Fixtures.siblingSamples)"},
      "\(Fixtures.sibling("second"))"]}
      """
    let path = try directory.write(text, to: "recipe.json")
    let plan = try merge(["--recipe", path, "--dry-run"])
    #expect(plan.code == 0, "\(plan.diagnostics)")
    for words in [
      "samples count 0.3", "ridge 0.2", "7 steps of fit", "6 of \(Fixtures.siblingSamples), 2 to be selected",
      "second: none",
    ] {
      #expect(plan.output.contains(words), "\(words): \(plan.output)")
    }
    let merged = try merge(["--recipe", path])
    #expect(merged.code == 0 && merged.output.contains("residual"), "\(merged.diagnostics)")
    let again = try RecallProcess.run(
      ["merge", "--recipe", directory("out/recall.json"), "--output", directory("again"), "--progress", "none"])
    #expect(again.code == 0, "\(again.diagnostics)")
    let contents = ["out", "again"].map { FileManager.default.contents(atPath: directory("\($0)/model.safetensors")) }
    #expect(contents[0] != nil && contents[0] == contents[1])
    let stages = try RecallProcess.run(["plan", "--recipe", path, "--output", directory("staged")])
    #expect(stages.code == 64 && stages.diagnostics.contains("recall-align"), "\(stages.diagnostics)")
  }
}
