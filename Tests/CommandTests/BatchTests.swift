import Foundation
import TestSupport
import Testing

/// `recall batch`: many merges that share their hidden states.
@Suite struct BatchTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private var defaults: String {
    """
    {"defaults": {"anchor": "\(Fixtures.sibling("third"))", "models": ["\(Fixtures.sibling("first"))", \
    "\(Fixtures.sibling("second"))"], "samples": "\(Fixtures.siblingSamples)", "typical": 3}}
    """
  }

  private func job(_ output: String, _ keys: String = "") -> String {
    "{\(keys.isEmpty ? "" : "\(keys), ")\"output\": \"\(directory(output))\"}"
  }

  private func run(_ lines: [String], _ more: [String] = []) throws -> RecallProcess.Outcome {
    let jobs = try directory.write(lines.joined(separator: "\n") + "\n", to: "jobs.jsonl")
    return try RecallProcess.run(["batch", jobs, "--cache", directory("cache"), "--progress", "none"] + more)
  }

  /// The last thing noted about a line.
  private func record(line: Int) throws -> [String: Any] {
    let text = try String(contentsOfFile: directory("jobs.jsonl.record"), encoding: .utf8)
    let entries = try text.split(separator: "\n").map {
      try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
    }
    return try #require(entries.compactMap { $0 }.last { $0["line"] as? Int == line })
  }

  private func extracts(line: Int) throws -> [String: Int] {
    try record(line: line)["extracts"] as? [String: Int] ?? [:]
  }

  private func sameTensors(_ left: String, _ right: String) -> Bool {
    FileManager.default.contentsEqual(
      atPath: directory("\(left)/model.safetensors"), andPath: directory("\(right)/model.safetensors"))
  }

  @Test("a sweep extracts once, and every line gives the bytes of its merge")
  func sweep() throws {
    let outcome = try run([
      defaults, job("plain"), job("warm", "\"temperature\": 0.1"), job("layer", "\"bandwidth\": \"layer-median\""),
      job("other", "\"typical\": 2"),
    ])
    #expect(outcome.code == 0, "\(outcome.diagnostics)")
    #expect(try extracts(line: 2) == ["computed": 3, "reused": 0])
    for line in [3, 4] { #expect(try extracts(line: line) == ["computed": 0, "reused": 3]) }
    #expect(try extracts(line: 5) == ["computed": 3, "reused": 0], "other samples are other states")
    for (name, options) in [("plain", [String]()), ("warm", ["--temperature", "0.1"]), ("other", ["--typical", "2"])] {
      let single = try RecallProcess.run(
        [
          "merge", "--anchor", Fixtures.sibling("third"), "--model", Fixtures.sibling("first"), "--model",
          Fixtures.sibling("second"), "--samples", Fixtures.siblingSamples, "--output", directory("single-\(name)"),
        ] + (options.contains("--typical") ? options : ["--typical", "3"] + options))
      #expect(single.code == 0, "\(single.diagnostics)")
      #expect(sameTensors(name, "single-\(name)"), "\(name)")
    }
    #expect(!sameTensors("plain", "warm"))
  }

  @Test("a method that asks for no hidden states is a job among the others, and gives the bytes of its merge")
  func withoutStates() throws {
    let weights = [("first", 0.25), ("second", 0.75)]
    let models = weights.map { "{\"path\": \"\(Fixtures.sibling($0.0))\", \"weight\": \($0.1)}" }
    let linear = """
      "method": "linear", "models": [\(models.joined(separator: ", "))], "anchor": null, "samples": null, "typical": null
      """
    let outcome = try run([defaults, job("recall"), job("linear", linear)])
    #expect(outcome.code == 0, "\(outcome.diagnostics)")
    #expect(try extracts(line: 3) == ["computed": 0, "reused": 0])
    let single = try RecallProcess.run(
      ["merge", "--method", "linear", "--output", directory("single")]
        + weights.flatMap { ["--model", Fixtures.sibling($0.0), "--weight", "\($0.1)"] })
    #expect(single.code == 0, "\(single.diagnostics)")
    #expect(sameTensors("linear", "single") && !sameTensors("linear", "recall"))
  }

  @Test("one failing job stops no other, the exit code tells, and a rerun goes on")
  func failures() throws {
    let lines = [
      defaults, job("first"), "not JSON", "{\"seed\": 1}", job("third", "\"temprature\": 2"),
      job("fourth", "\"typical\": 99"), job("last"),
    ]
    let outcome = try run(lines)
    #expect(outcome.code == 70)
    for (line, code) in [(2, 0), (3, 65), (4, 65), (5, 64), (6, 65), (7, 0)] {
      #expect(try record(line: line)["code"] as? Int == code, "line \(line)")
    }
    for words in ["line 3", "\"output\"", "\"temperature\"", "at least 99 samples", "4 that failed"] {
      #expect(outcome.diagnostics.contains(words), "\(words): \(outcome.diagnostics)")
    }
    var mended = lines
    mended[2...5] = [job("b"), job("c"), job("third", "\"temperature\": 2"), job("fourth", "\"typical\": 1")]
    let again = try run(mended)
    #expect(again.code == 0, "\(again.diagnostics)")
    #expect(again.output.contains("line 2: finished before"))
    #expect(again.output.contains("line 7: finished before"))
    #expect(try extracts(line: 5) == ["computed": 0, "reused": 3])
    // What was removed since is made again.
    try FileManager.default.removeItem(atPath: directory("last"))
    #expect(try run(mended).output.contains("line 7: merged"))
  }

  @Test("a batch that was stopped goes on; it ends with 75 when it was asked to", arguments: [SIGTERM, SIGKILL])
  func stopped(signal: Int32) throws {
    let lines = [defaults] + (1...40).map { job("out-\($0)", "\"temperature\": \($0)") }
    let jobs = try directory.write(lines.joined(separator: "\n"), to: "jobs.jsonl")
    let arguments = ["batch", jobs, "--cache", directory("cache"), "--progress", "none"]
    let outcome = try RecallProcess.signal(signal, arguments) {
      FileManager.default.fileExists(atPath: directory("out-3"))
    }
    #expect(outcome.code == (signal == SIGTERM ? 75 : SIGKILL), "\(outcome.diagnostics)")
    #expect(!FileManager.default.fileExists(atPath: directory("out-40")))
    let again = try run(lines)
    #expect(again.code == 0, "\(again.diagnostics)")
    #expect(again.output.contains("line 2: finished before") && again.output.contains("line 41: merged"))
    let undisturbed = try RecallProcess.run(
      [
        "merge", "--anchor", Fixtures.sibling("third"), "--model", Fixtures.sibling("first"), "--model",
        Fixtures.sibling("second"), "--samples", Fixtures.siblingSamples, "--typical", "3", "--temperature", "4",
        "--output", directory("single"),
      ])
    #expect(undisturbed.code == 0)
    #expect(sameTensors("out-4", "single"))
  }

  @Test("the cache stays within its bound, and what it no longer holds is computed again")
  func bounded() throws {
    #expect(try run([defaults, job("first")], ["--cache-size", "1"]).code == 0)
    let entries = try FileManager.default.contentsOfDirectory(atPath: directory("cache"))
    #expect(entries.count == 3, "beside cache.json what was used last, states and samples: \(entries)")
    #expect(try run([defaults, job("second")], ["--cache-size", "1G"]).code == 0)
    #expect((try extracts(line: 2)["computed"] ?? 0) >= 2)
  }

  @Test("a cache of another version, with damaged entries, or that is no cache is refused")
  func otherCaches() throws {
    try FileManager.default.createDirectory(atPath: directory("cache"), withIntermediateDirectories: true)
    _ = try directory.write("{\"format\": \"recall-extracts/0\"}", to: "cache/cache.json")
    let version = try run([defaults, job("a")])
    #expect(version.code == 65 && version.diagnostics.contains("recall-extracts/1"), "\(version.diagnostics)")
    try FileManager.default.removeItem(atPath: directory("cache/cache.json"))
    _ = try directory.write("precious", to: "cache/letter.txt")
    let stranger = try run([defaults, job("a")])
    #expect(stranger.code == 64 && stranger.diagnostics.contains("letter.txt"))
    #expect(FileManager.default.fileExists(atPath: directory("cache/letter.txt")))
    try FileManager.default.removeItem(atPath: directory("cache"))

    #expect(try run([defaults, job("a")]).code == 0)
    let entries = try FileManager.default.contentsOfDirectory(atPath: directory("cache"))
    let damaged = try #require(entries.first { $0.hasSuffix(".safetensors") })
    let other = try #require(entries.last { $0.hasSuffix(".safetensors") && $0 != damaged })
    try FileManager.default.removeItem(atPath: directory("cache/\(damaged)"))
    try FileManager.default.copyItem(atPath: directory("cache/\(other)"), toPath: directory("cache/\(damaged)"))
    let outcome = try run([defaults, job("a"), job("b")])
    #expect(outcome.code == 70)
    #expect(try record(line: 3)["code"] as? Int == 65)
    #expect(outcome.diagnostics.contains(damaged) && outcome.diagnostics.contains("remove the file"))
  }

  @Test("a batch without jobs, a record that is none, and the wrong number of files")
  func usage() throws {
    #expect(try run([defaults]).code == 65)
    #expect(try run([""]).code == 65)
    #expect(try run(["{\"defaults\": {\"output\": \"x\"}}", job("a")]).code == 65)
    #expect(try run(["{\"defaults\": {\"modles\": []}}", job("a")]).code == 64)
    #expect(try RecallProcess.run(["batch"]).code == 64)
    #expect(try RecallProcess.run(["batch", directory("nowhere.jsonl")]).code == 66)
    _ = try directory.write("{\"text\": \"a sample\"}\n", to: "jobs.jsonl.record")
    let record = try run([defaults, job("a")])
    #expect(record.code == 65 && record.diagnostics.contains("--record"))
  }
}
