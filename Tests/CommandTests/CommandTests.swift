import Foundation
import JSON
import TestSupport
import Testing

/// The program as a user meets it: what it prints, where, and how it exits.
@Suite struct CommandTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func mergeArguments(output: String) -> [String] {
    [
      "merge", "--anchor", Fixtures.sibling("third"), "--model", Fixtures.sibling("first"), "--model",
      Fixtures.sibling("second"), "--samples", Fixtures.siblingSamples, "--typical", "3", "--output", output,
    ]
  }

  @Test("a merge prints models, samples, a table of all layers and where the result is")
  func merge() throws {
    let outcome = try RecallProcess.run(mergeArguments(output: directory("out")) + ["--progress", "none"])
    #expect(outcome.code == 0)
    #expect(outcome.diagnostics.isEmpty)
    for word in ["(anchor)", "typical samples (3", "embedding", "block.0", "block.2", "head", directory("out")] {
      #expect(outcome.output.contains(word), "\(word)")
    }
    #expect(FileManager.default.fileExists(atPath: directory("out/model.safetensors")))
  }

  @Test("the stages run as separate commands and give the bytes of the merge")
  func stages() throws {
    #expect(try RecallProcess.run(mergeArguments(output: directory("out"))).code == 0)
    let select = [
      "select", "--anchor", Fixtures.sibling("third"), "--samples", Fixtures.siblingSamples, "--typical", "3",
      "--output", directory("typical.jsonl"),
    ]
    #expect(try RecallProcess.run(select).code == 0)
    for name in ["first", "second", "third"] {
      let extract = [
        "extract", "--model", Fixtures.sibling(name), "--samples", directory("typical.jsonl"), "--output",
        directory("\(name).safetensors"),
      ]
      #expect(try RecallProcess.run(extract).code == 0)
    }
    let weigh = [
      "weigh", "--anchor", directory("third.safetensors"), "--model", directory("second.safetensors"), "--model",
      directory("first.safetensors"), "--output", directory("recall.json"),
    ]
    #expect(try RecallProcess.run(weigh).code == 0)
    let fuse = ["fuse", "--weights", directory("recall.json"), "--output", directory("fused")]
    #expect(try RecallProcess.run(fuse).code == 0)
    let names = try FileManager.default.contentsOfDirectory(atPath: directory("out"))
    #expect(try Set(names) == Set(FileManager.default.contentsOfDirectory(atPath: directory("fused"))))
    for name in names where name != "recall.json" {
      #expect(FileManager.default.contentsEqual(atPath: directory("out/\(name)"), andPath: directory("fused/\(name)")))
    }
  }

  @Test("a trained expert knows its own task, and the base is measured beside it")
  func evaluate() throws {
    let continual = URL(fileURLWithPath: Fixtures.root).deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Benchmarks/continual").path
    let models = ["base", "expert-reading-choice"].map { "\(continual)/family/\($0)" }
    let arguments =
      ["evaluate", "--reference", models[1], "--progress", "none"] + models.flatMap { ["--model", $0] }
      + ["extractive-qa", "reading-choice"].flatMap { ["--tasks", "\(continual)/data/\($0).test.jsonl"] }
    let outcome = try RecallProcess.run(arguments + ["--json"])
    #expect(outcome.code == 0)
    let report = try JSONValue(parsing: Array(outcome.output.utf8), from: "stdout")
    let rows = try #require(report["results"]?.array)
    #expect(rows.map { $0["model"]?.string } == [models[0], models[0], models[1], models[1]])
    #expect(rows.map { $0["task"]?.string }.suffix(2) == ["extractive-qa", "reading-choice"])
    #expect(rows.allSatisfy { $0["metric"]?.string == "exact-match" && $0["items"]?.integer == 400 })
    #expect(rows[3]["value"]?.double == 1)
    // Transformers, which counts the end token as part of the answer, finds 0.325 for the base.
    let value = try #require(rows[1]["value"]?.double)
    #expect((0.325...0.33).contains(value))
    #expect(report["averages"]?.array?[1]["forgetting"]?["value"]?.double == 0)

    let table = try RecallProcess.run(arguments).output
    for word in ["(reference)", "extractive-qa", "average", "forgetting", "transfer", "1.0000", "1.000…1.000"] {
      #expect(table.contains(word), "\(word)")
    }
  }

  @Test("a dry run prints the plan and writes nothing")
  func dryRun() throws {
    let outcome = try RecallProcess.run(mergeArguments(output: directory("out")) + ["--dry-run"])
    #expect(outcome.code == 0)
    let words = ["to read", "to write", "memory", "time: about"]
    for word in words + ["embedding:", "block.0 to block.2", "head:", "lm_head.weight"] {
      #expect(outcome.output.contains(word), "\(word)")
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).isEmpty)
  }

  @Test("a recipe file says what options say, and options outrank it")
  func recipe() throws {
    let recipe = try directory.write(
      """
      {"anchor": "\(Fixtures.sibling("third"))", "models": ["\(Fixtures.sibling("first"))"], "typical": 2,
       "samples": "\(Fixtures.siblingSamples)", "bandwidth": 0.7, "clusterLayer": 1, "dtype": "float32"}
      """, to: "recipe.json")
    let first = try RecallProcess.run(["merge", "--recipe", recipe, "--output", directory("first")])
    #expect(first.code == 0)
    #expect(first.output.contains("typical samples (2"))
    let again = try RecallProcess.run(
      ["merge", "--recipe", directory("first/recall.json"), "--typical", "4", "--output", directory("again")])
    #expect(again.code == 0)
    #expect(again.output.contains("typical samples (4"))
  }

  @Test("inspect prints architecture, element types, parameters, layers and shards")
  func inspect() throws {
    let outcome = try RecallProcess.run(["inspect", "--model", Fixtures.checkpoint("llama-sharded")])
    #expect(outcome.code == 0)
    for word in ["llama", "BF16", "parameters", "blocks", "model-00003-of-00003.safetensors"] {
      #expect(outcome.output.contains(word), "\(word)")
    }
  }

  @Test("a result that cannot be printed is a failure")
  func fullStandardOutput() throws {
    #expect(try RecallProcess.runOnFullDisk(["inspect", "--model", Fixtures.checkpoint("qwen2")]) == 74)
    #expect(
      try RecallProcess.runOnFullDisk(
        ["tokenize", "--model", Fixtures.checkpoint("qwen2"), "--samples", Fixtures.siblingSamples]) == 74)
  }

  @Test("progress is JSON lines where that is asked for")
  func progress() throws {
    let outcome = try RecallProcess.run(mergeArguments(output: directory("out")) + ["--progress", "json"])
    let lines = outcome.diagnostics.split(separator: "\n")
    #expect(lines.count > 3)
    for line in lines {
      let document = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      #expect(document?["stage"] is String && document?["done"] is Int && document?["total"] is Int)
    }
  }

  @Test(
    "an unknown word is an error that names the nearest known one",
    arguments: [
      (["merg"], "merge"), (["merge", "--ancor", "x"], "--anchor"), (["fuse", "--weight", "x"], "--weights"),
      (["merge", "--bandwidth", "anchor"], "anchor-median"), (["merge", "--temperature", "0"], "positive"),
      (["merge", "--device", "gpu", "--dry-run"], "auto|cpu"), (["select", "--overwrite=yes"], "no value"),
      (["merge", "--typical", "3", "--typical", "4"], "once"), (["merge", "stray"], "an option"),
      (["merge", "--output"], "a value"), (["merge", "--method", "slerp"], "recall"),
      (["merge", "--memory", "8X"], "8G"),
    ])
  func usage(arguments: [String], hint: String) throws {
    let outcome = try RecallProcess.run(arguments)
    #expect(outcome.code == 64)
    #expect(outcome.diagnostics.contains(hint), "\(outcome.diagnostics)")
    #expect(outcome.output.isEmpty)
  }

  @Test("an unknown key of a recipe is an error that names the nearest known one")
  func recipeKey() throws {
    let recipe = try directory.write("{\"temprature\": 1}", to: "recipe.json")
    let outcome = try RecallProcess.run(["merge", "--recipe", recipe, "--output", directory("out")])
    #expect(outcome.code == 64)
    #expect(outcome.diagnostics.contains("\"temperature\""))
  }

  @Test(
    "tokenize prints the identifiers that the tokenizers package gives", arguments: ["llama-2", "llama-3.1", "qwen2"])
  func tokenize(family: String) throws {
    let samples = "\(Fixtures.root)/representations/\(family)"
    let outcome = try RecallProcess.run([
      "tokenize", "--model", Fixtures.checkpoint(family), "--samples", "\(samples).texts.jsonl",
    ])
    #expect(outcome.code == 0)
    let expected = try identifiers(String(contentsOfFile: "\(samples).input_ids.jsonl", encoding: .utf8), "input_ids")
    #expect(try identifiers(outcome.output, "ids") == expected)
    let cut = try RecallProcess.run([
      "tokenize", "--model", Fixtures.checkpoint(family), "--samples", "\(samples).texts.jsonl", "--max-tokens", "4",
    ])
    #expect(try identifiers(cut.output, "ids") == expected.map { Array($0.prefix(4)) })
  }

  private func identifiers(_ lines: String, _ key: String) throws -> [[Int]] {
    try lines.split(separator: "\n").map { line in
      let document = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      return try #require(document?[key] as? [Int])
    }
  }

  @Test("the README's example prints what the README says")
  func readme() throws {
    let repository = URL(fileURLWithPath: Fixtures.root).deletingLastPathComponent().deletingLastPathComponent().path
    let readme = try String(contentsOfFile: "\(repository)/README.md", encoding: .utf8)
    let family = "Benchmarks/continual/family/expert-"
    let outcome = try RecallProcess.run(
      [
        "merge", "--output", directory("merged"), "--anchor", "\(family)medical-choice", "--model",
        "\(family)sentiment", "--model", "\(family)extractive-qa", "--model", "\(family)translation", "--model",
        "\(family)reading-choice", "--samples", "Benchmarks/continual/data/medical-choice.train.jsonl",
      ], in: repository)
    #expect(outcome.code == 0)
    #expect(outcome.output.contains("typical samples"))
    let shown = rows(of: readme)
    let printed = rows(of: outcome.output)
    #expect(shown.map(\.layer) == printed.map(\.layer) && shown.count == 8)
    // Another processor or CBLAS may round the last digit the other way.
    for (left, right) in zip(shown, printed) {
      #expect(zip(left.numbers, right.numbers).allSatisfy { abs($0 - $1) < 2e-4 })
      #expect(left.numbers.count == 10)
    }
  }

  /// The rows of the table of layers in a text.
  private func rows(of text: String) -> [(layer: String, numbers: [Double])] {
    text.split(separator: "\n").compactMap { line in
      let cells = line.split(separator: " ")
      let numbers = cells.dropFirst().compactMap { Double($0) }
      guard let layer = cells.first, numbers.count == 10, cells.count == 11 else { return nil }
      return (String(layer), numbers)
    }
  }
}
