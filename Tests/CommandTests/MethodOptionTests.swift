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
}
