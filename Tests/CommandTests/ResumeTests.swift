import Checkpoint
import Foundation
import TestSupport
import Testing

/// Runs that are stopped, and what the next ones make of them.
@Suite(.serialized) struct ResumeTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  // MARK: kill −9

  /// Kills a run when it has written so many tensors, or when so much time has passed; goes on with `--resume`, is killed
  /// again, and so on; in the end the output is that of a run that nobody disturbed.
  @Test("a merge killed at any moment goes on to the same bytes", arguments: 0..<2)
  func killedMerge(seed: Int) throws {
    try expectSameBytes(seed: seed, kills: 25, of: mergeArguments)
  }

  @Test("a fusion killed at any moment goes on to the same bytes", arguments: 0..<2)
  func killedFusion(seed: Int) throws {
    #expect(try RecallProcess.run(mergeArguments(directory("weights"))).code == 0)
    let weights = directory("weights/recall.json")
    try expectSameBytes(seed: seed, kills: 25) { output in
      ["fuse", "--weights", weights, "--output", output, "--progress", "none"]
    }
  }

  private func expectSameBytes(seed: Int, kills: Int, of arguments: (_ output: String) throws -> [String]) throws {
    let whole = directory("whole")
    let start = Date()
    #expect(try RecallProcess.run(arguments(whole)).code == 0)
    let duration = Date().timeIntervalSince(start)
    let expected = try contents(of: whole)
    var generator = SeededGenerator(seed: seed)
    var taken = Set<Moment>()
    var number = 0
    // Between two looks at its journal a busy machine may run all of the program: it writes slowly where that is looked at.
    let slowly = ["LD_PRELOAD": try FaultyStorage.library.get(), "SLOW_WRITES": "1000"]
    let phases: Set<Moment> = [.nothing, .someTensors]
    var remaining = kills
    while remaining > 0 || !taken.isSuperset(of: phases) && number < 8 * kills {
      number += 1
      let output = directory("out-\(number)")
      // Some outputs are killed once, some several times before they are left to finish.
      for _ in 0..<min(max(1, remaining), Int.random(in: 1...4, using: &generator)) {
        remaining -= 1
        // Half of the moments by time, over all phases; half by progress in the journal, around the writing. Never by both:
        // a machine that has become busier since has nothing to show when the time of the whole run is over.
        let isByTime = Bool.random(using: &generator)
        let delay = Double.random(in: 0...duration, using: &generator)
        let tensors = Int.random(in: 0...60, using: &generator)
        try RecallProcess.kill(arguments(output) + ["--resume"], environment: isByTime ? [:] : slowly) { seconds in
          isByTime ? seconds > delay : journaledTensors(output) >= tensors
        }
        taken.insert(moment(output))
        if FileManager.default.fileExists(atPath: output) { break }
      }
      let outcome = try RecallProcess.run(arguments(output) + ["--resume"])
      #expect(outcome.code == 0, "\(outcome.diagnostics)")
      #expect(try contents(of: output) == expected, "output \(number) of seed \(seed)")
      #expect(!FileManager.default.fileExists(atPath: output + ".partial"))
      try FileManager.default.removeItem(atPath: output)
    }
    #expect(taken.isSuperset(of: phases), "the moments must fall into different phases: \(taken)")
  }

  /// What a killed run had done.
  private enum Moment {
    case nothing, noTensor, someTensors, finished
  }

  private func moment(_ output: String) -> Moment {
    if FileManager.default.fileExists(atPath: output) { return .finished }
    guard FileManager.default.fileExists(atPath: output + ".partial") else { return .nothing }
    return journaledTensors(output) == 0 ? .noTensor : .someTensors
  }

  private func journaledTensors(_ output: String) -> Int {
    let journal = FileManager.default.contents(atPath: "\(output).partial/.recall-part-1-of-1.journal") ?? Data()
    return String(decoding: journal, as: UTF8.self).components(separatedBy: "{\"tensor\":").count - 1
  }

  // MARK: Signals

  @Test(
    "SIGTERM and SIGINT end with 75 and one line; what is finished is not done again", arguments: [SIGTERM, SIGINT])
  func signal(number: Int32) throws {
    let whole = directory("whole")
    #expect(try RecallProcess.run(mergeArguments(whole)).code == 0)
    let output = directory("out")
    let stopped = try RecallProcess.signal(number, mergeArguments(output)) { journaledTensors(output) >= 2 }
    guard stopped.code != 0 else { return }  // It was faster than the signal.
    #expect(stopped.code == 75)
    #expect(stopped.diagnostics.split(separator: "\n").count == 1)
    #expect(stopped.diagnostics.contains("--resume") && stopped.diagnostics.contains("out.partial"))
    let refusal = try RecallProcess.run(mergeArguments(output))
    #expect(refusal.code == 73 && refusal.diagnostics.contains("--resume"))
    #expect(try RecallProcess.run(mergeArguments(output) + ["--resume"]).code == 0)
    #expect(try contents(of: output) == contents(of: whole))
  }

  @Test("work that is done again from its start ends with 75 in the middle of whatever it computes")
  func signalWhileComputing() throws {
    let repository = URL(fileURLWithPath: Fixtures.root).deletingLastPathComponent().deletingLastPathComponent().path
    let continual = "\(repository)/Benchmarks/continual"
    let extract = [
      "extract", "--model", "\(continual)/family/expert-sentiment", "--samples",
      "\(continual)/data/medical-choice.train.jsonl", "--output", directory("states"), "--progress", "none",
    ]
    let start = Date()
    #expect(try RecallProcess.run(extract).code == 0)
    let duration = Date().timeIntervalSince(start)
    try FileManager.default.moveItem(atPath: directory("states"), toPath: directory("whole"))
    // The first tenth belongs to the loader, before anything listens to signals.
    for moment in stride(from: 0.1, to: 1, by: 0.03) {
      let start = Date()
      let outcome = try RecallProcess.signal(SIGTERM, extract) { Date().timeIntervalSince(start) > moment * duration }
      #expect([75, 0, SIGTERM].contains(outcome.code), "at \(moment) of \(duration) s: \(outcome.code)")
      #expect(outcome.code != 75 || outcome.diagnostics.contains("run the same command again"))
      // The signal may come just after the output has got its name; half an output never has it.
      guard FileManager.default.fileExists(atPath: directory("states")) else { continue }
      #expect(FileManager.default.contentsEqual(atPath: directory("states"), andPath: directory("whole")))
      try FileManager.default.removeItem(atPath: directory("states"))
    }
  }

  // MARK: What is taken up and what is not

  @Test("a finished output is told apart from another one")
  func finished() throws {
    let output = directory("out")
    #expect(try RecallProcess.run(mergeArguments(output) + ["--resume"]).code == 0)
    let again = try RecallProcess.run(mergeArguments(output) + ["--resume"])
    #expect(again.code == 0 && again.output.contains("finished before"))
    let other = try RecallProcess.run(mergeArguments(output) + ["--resume", "--temperature", "2"])
    #expect(other.code == 73 && other.diagnostics.contains("recipe.temperature"), "\(other.diagnostics)")
  }

  @Test("a leftover of another recipe or of models that changed is explained")
  func otherLeftover() throws {
    let model = try directory.copy(of: Fixtures.sibling("first"), as: "first")
    let output = directory("out")
    let arguments = mergeArguments(output).map { $0 == Fixtures.sibling("first") ? model : $0 } + ["--resume"]
    var kept = false
    for attempt in 1...20 where !kept {
      try RecallProcess.kill(arguments) { _ in journaledTensors(output) >= attempt % 5 + 1 }
      kept = FileManager.default.fileExists(atPath: output + ".partial")
      if !kept { try? FileManager.default.removeItem(atPath: output) }
    }
    try #require(kept)
    let recipe = try RecallProcess.run(arguments + ["--dtype", "float32"])
    #expect(recipe.code == 73 && recipe.diagnostics.contains("recipe.dtype"), "\(recipe.diagnostics)")
    try FileManager.default.setAttributes(
      [.modificationDate: Date(timeIntervalSince1970: 1)], ofItemAtPath: "\(model)/model.safetensors")
    let changed = try RecallProcess.run(arguments)
    #expect(changed.code == 73 && changed.diagnostics.contains("shards[0].modified"), "\(changed.diagnostics)")
    #expect(try RecallProcess.run(arguments + ["--overwrite"]).code == 0)
  }

  @Test("of two processes on one output the second is refused")
  func locked() throws {
    let output = directory("out")
    let first = try RecallProcess.start(mergeArguments(output))
    defer { first.waitUntilExit() }
    while first.isRunning, journaledTensors(output) == 0 { usleep(200) }
    let second = try RecallProcess.run(mergeArguments(output) + ["--resume"])
    // The first may be done by the time that the second looks.
    guard second.code != 0 else { return }
    #expect(second.code == 75 && second.diagnostics.contains("process \(first.processIdentifier)"), "\(second)")
  }

  // MARK: Parts

  @Test("parts in any order, repeated and killed, give the bytes of one fusion", arguments: ["expert", "sharded"])
  func parts(shape: String) throws {
    let arguments = shape == "sharded" ? shardedArguments(directory("weights")) : mergeArguments(directory("weights"))
    #expect(try RecallProcess.run(arguments).code == 0)
    func fuse(_ output: String, _ more: [String] = []) -> [String] {
      ["fuse", "--weights", directory("weights/recall.json"), "--output", output, "--progress", "none"] + more
    }
    #expect(try RecallProcess.run(fuse(directory("whole"))).code == 0)
    for (parts, order) in [
      (2, [2, 1]), (3, [3, 1, 3, 2]), (7, [4, 1, 7, 2, 6, 3, 5]), (40, Array((1...40).reversed())),
    ] {
      let output = directory("out-\(parts)")
      for part in order.prefix(shape == "sharded" && parts == 40 ? 3 : order.count) {
        let outcome = try RecallProcess.run(fuse(output, ["--part", "\(part)/\(parts)"]))
        #expect(outcome.code == 0, "\(outcome.diagnostics)")
      }
      if parts == 40, shape == "sharded" { continue }
      #expect(try contents(of: output) == contents(of: directory("whole")), "\(parts) parts")
      let again = try RecallProcess.run(fuse(output, ["--part", "1/\(parts)"]))
      #expect(again.code == 0 && again.output.contains("finished before"))
    }
  }

  @Test("parts that do not belong together are refused; a missing part is named; verify completes what is all there")
  func strangeParts() throws {
    #expect(try RecallProcess.run(shardedArguments(directory("weights"))).code == 0)
    let output = directory("out")
    let fuse = ["fuse", "--weights", directory("weights/recall.json"), "--output", output, "--progress", "none"]
    for part in ["0/3", "4/3", "1/0", "x", "1/10001", "-1/2"] {
      #expect(try RecallProcess.run(fuse + ["--part", part]).code == 64)
    }
    #expect(try RecallProcess.run(fuse + ["--part", "1/3", "--overwrite"]).code == 64)
    #expect(try RecallProcess.run(fuse + ["--part", "1/3"]).output.contains("missing: 2, 3"))
    let other = try RecallProcess.run(fuse + ["--part", "1/2"])
    #expect(other.code == 73 && other.diagnostics.contains("parts is 2 here and 3 there"), "\(other.diagnostics)")
    let type = try RecallProcess.run(fuse + ["--part", "2/3", "--dtype", "float32"])
    #expect(type.code == 73 && type.diagnostics.contains("dtype"))
    let early = try RecallProcess.run(["verify", output])
    #expect(early.code == 65 && early.diagnostics.contains("missing, among them 2, 3"), "\(early.diagnostics)")
    // The last part is killed just before it could complete the output.
    #expect(try RecallProcess.run(fuse + ["--part", "2/3"]).code == 0)
    try FileManager.default.copyItem(atPath: "\(output).partial", toPath: directory("kept.partial"))
    #expect(try RecallProcess.run(fuse + ["--part", "3/3"]).code == 0)
    let journal = ".recall-part-3-of-3.journal"
    #expect(!FileManager.default.fileExists(atPath: "\(output)/\(journal)"))
    try FileManager.default.moveItem(atPath: output, toPath: directory("whole"))
    try FileManager.default.moveItem(atPath: directory("kept.partial"), toPath: "\(output).partial")
    #expect(try RecallProcess.run(fuse + ["--part", "3/3"]).code == 0)
    #expect(try contents(of: output) == contents(of: directory("whole")))
    #expect(try RecallProcess.run(["verify", output]).code == 0)
  }

  // MARK: Helpers

  private func mergeArguments(_ output: String) -> [String] {
    [
      "merge", "--anchor", Fixtures.sibling("third"), "--model", Fixtures.sibling("first"), "--model",
      Fixtures.sibling("second"), "--samples", Fixtures.siblingSamples, "--typical", "3", "--output", output,
      "--progress", "none",
    ]
  }

  private func shardedArguments(_ output: String) -> [String] {
    let model = Fixtures.checkpoint("llama-sharded")
    return [
      "merge", "--anchor", model, "--model", model, "--samples",
      "\(Fixtures.root)/representations/llama-sharded.input_ids.jsonl", "--typical", "2", "--output", output,
      "--progress", "none",
    ]
  }
}
