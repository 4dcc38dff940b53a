import Foundation
import TestSupport
import Testing

/// `recall plan`: what it prints is run, and gives the bytes of the merge in one process.
@Suite struct PlanTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func recipe(_ more: [String: Any] = [:]) throws -> String {
    let recipe: [String: Any] = [
      "anchor": Fixtures.sibling("third"), "models": [Fixtures.sibling("first"), Fixtures.sibling("second")],
      "samples": Fixtures.siblingSamples, "typical": 3,
    ]
    let data = try JSONSerialization.data(withJSONObject: recipe.merging(more) { $1 })
    return try directory.write(String(decoding: data, as: UTF8.self), to: "recipe.json")
  }

  private func plan(_ more: [String]) throws -> RecallProcess.Outcome {
    try RecallProcess.run(["plan", "--recipe", recipe(), "--output", directory("merged")] + more)
  }

  /// The recall.json of an output without what differs from run to run.
  private func report(_ output: String) throws -> String {
    let text = try String(contentsOfFile: "\(output)/recall.json", encoding: .utf8)
    let start = try #require(text.range(of: "\"timings\": {"))
    let end = try #require(text.range(of: "}", range: start.upperBound..<text.endIndex))
    return text.replacingCharacters(in: start.lowerBound..<end.upperBound, with: "")
  }

  @Test("the stages that are printed give the bytes of the merge, the recipe in recall.json included")
  func stages() throws {
    let merged = ["merge", "--recipe", try recipe(), "--output", directory("once"), "--progress", "none"]
    #expect(try RecallProcess.run(merged).code == 0)
    try FileManager.default.createDirectory(atPath: directory("merged.stages"), withIntermediateDirectories: true)
    for stage in ["select", "extract", "weigh", "fuse"] {
      let printed = try plan(["--stage", stage])
      #expect(printed.code == 0, "\(printed.diagnostics)")
      for command in printed.output.split(separator: "\n") {
        let words = command.split(separator: " ").map(String.init)
        #expect(words.first == "recall")
        let outcome = try RecallProcess.run(Array(words.dropFirst()))
        #expect(outcome.code == 0, "\(command): \(outcome.diagnostics)")
      }
    }
    for file in ["model.safetensors", "config.json", "README.md", "recall.html"] {
      #expect(
        FileManager.default.contentsEqual(atPath: directory("once/\(file)"), andPath: directory("merged/\(file)")))
    }
    #expect(try report(directory("once")) == report(directory("merged")))
  }

  @Test("the JSON names every task with its command, files, bytes and memory")
  func json() throws {
    let printed = try plan(["--parts", "4", "--format", "json", "--task-rate", "1e6", "--storage-rate", "2e6"])
    let document = try #require(
      try JSONSerialization.jsonObject(with: Data(printed.output.utf8)) as? [String: Any])
    let stages = try #require(document["stages"] as? [[String: Any]])
    #expect(stages.compactMap { $0["name"] as? String } == ["select", "extract", "weigh", "fuse", "verify"])
    #expect(stages.compactMap { ($0["tasks"] as? [Any])?.count } == [1, 3, 1, 4, 1])
    #expect(stages.compactMap { $0["after"] as? String } == ["select", "extract", "weigh", "fuse"])
    for task in stages.flatMap({ $0["tasks"] as? [[String: Any]] ?? [] }) {
      #expect((task["command"] as? [String])?.first == "recall")
      #expect((task["inputs"] as? [String])?.isEmpty == false)
      #expect((task["memory"] as? Int ?? 0) > 0)
    }
    // Four parts share two megabytes a second, so each has half of one.
    let fuse = try #require(stages[3]["tasks"] as? [[String: Any]])
    let bytes = try #require(fuse[0]["bytes"] as? [String: Int])
    let seconds = try #require(stages[3]["seconds"] as? Double)
    #expect(abs(seconds - Double((bytes["read"] ?? 0) + (bytes["written"] ?? 0)) / 5e5) < 2e-3)
  }

  @Test("the Slurm script is one that bash accepts, with arrays and dependencies")
  func slurm() throws {
    let printed = try plan(["--parts", "4", "--format", "slurm"])
    for words in ["--array=1-3", "--array=1-4", "afterok:$weigh_job", "--part auto", "export RECALL_PARTS=4"] {
      #expect(printed.output.contains(words), "\(words)")
    }
    #expect(try plan(["--format", "slurm"]).output.contains("--part 1/1"), "outside of an array there is no auto")
    let script = try directory.write(printed.output, to: "submit.sh")
    #expect(try shell("bash -n '\(script)'") == 0)
    #expect(try shell("sh -n '\(directory.write(plan([]).output, to: "run.sh"))'") == 0)
  }

  private func shell(_ command: String) throws -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", command]
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus
  }

  @Test("samples that were selected before need no selection")
  func selectedBefore() throws {
    let select = [
      "select", "--anchor", Fixtures.sibling("third"), "--samples", Fixtures.siblingSamples, "--typical", "3",
      "--output", directory("typical.jsonl"),
    ]
    #expect(try RecallProcess.run(select).code == 0)
    let outcome = try RecallProcess.run([
      "plan", "--recipe", recipe(["samples": directory("typical.jsonl")]), "--output", directory("merged"),
    ])
    #expect(!outcome.output.contains("recall select"))
    #expect(outcome.output.contains("--samples \(directory("typical.jsonl"))"))
  }

  @Test("weights are refused when the extracts were selected by another recipe")
  func otherSelection() throws {
    try FileManager.default.createDirectory(atPath: directory("merged.stages"), withIntermediateDirectories: true)
    for stage in ["select", "extract"] {
      for command in try plan(["--stage", stage]).output.split(separator: "\n") {
        let words = command.split(separator: " ").dropFirst().map(String.init)
        #expect(try RecallProcess.run(words + (stage == "select" ? ["--seed", "7"] : [])).code == 0)
      }
    }
    let words = try plan(["--stage", "weigh"]).output.split(whereSeparator: \.isWhitespace).dropFirst().map(String.init)
    let outcome = try RecallProcess.run(words)
    #expect(outcome.code == 65)
    #expect(outcome.diagnostics.contains("\"seed\":7"), "\(outcome.diagnostics)")
  }

  @Test("methods that run in one process have no stages", arguments: ["linear", "recall-align", "regmean"])
  func otherMethods(method: String) throws {
    let models = [Fixtures.sibling("first"), Fixtures.sibling("second")]
    let recipe = ["method": "\"\(method)\"", "models": "\(models)", "base": "\"\(Fixtures.sibling("base"))\""]
    let text = recipe.map { "\"\($0)\": \($1)" }.joined(separator: ", ")
    let path = try directory.write("{\(text)}", to: "recipe.json")
    let outcome = try RecallProcess.run(["plan", "--recipe", path, "--output", directory("merged")])
    #expect(outcome.code == 64 && outcome.output.isEmpty)
    #expect(outcome.diagnostics.contains("recall merge --recipe \(path)"), "\(outcome.diagnostics)")
  }

  @Test(
    "what cannot be planned is an error",
    arguments: [
      (["--parts", "0"], "1 to 10000"), (["--parts", "three"], "1 to 10000"), (["--format", "pbs"], "slurm"),
      (["--stage", "evaluate"], "select, extract, weigh, fuse, verify"), (["--task-rate", "-1"], "positive"),
    ])
  func usage(arguments: [String], hint: String) throws {
    let outcome = try plan(arguments)
    #expect(outcome.code == 64)
    #expect(outcome.diagnostics.contains(hint), "\(outcome.diagnostics)")
  }
}
