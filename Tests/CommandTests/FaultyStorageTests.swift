import Foundation
import TestSupport
import Testing

/// Merges on storage that moves less than it was asked to, is interrupted, or fails.
@Suite(.serialized) struct FaultyStorageTests {
  /// What runs on the storage; every kind takes other ways through reader and writer.
  enum Job: CaseIterable {
    case merge, linear, parts
  }

  private let directory: TemporaryDirectory

  /// The models lie beside the outputs, so that both are concerned.
  init() throws {
    directory = try TemporaryDirectory()
    for name in ["first", "second", "third"] { _ = try directory.copy(of: Fixtures.sibling(name), as: name) }
    _ = try directory.copy(of: Fixtures.siblingSamples, as: "samples.jsonl")
  }

  @Test("short reads and writes and interruptions change no byte", arguments: Job.allCases)
  func shortAndInterrupted(job: Job) throws {
    let expected = try undisturbed(job)
    for seed in 0..<4 {
      let output = directory("out-\(seed)")
      let storage = FaultyStorage(directory: directory.path, seed: seed, short: 40, interrupted: 30)
      for command in commands(job, output) {
        let outcome = try storage.run(command).outcome
        #expect(outcome.code == 0, "seed \(seed): \(outcome.diagnostics)")
      }
      #expect(try contents(of: output) == expected.contents, "seed \(seed)")
      #expect(try storage.run(["verify", output]).outcome.code == 0)
    }
  }

  @Test(
    "a read, write or save that fails ends with 74 and the name of the file; --resume goes on to the same bytes",
    arguments: Job.allCases)
  func failing(job: Job) throws {
    let expected = try undisturbed(job)
    var generator = SeededGenerator(seed: 7)
    var failures = 0
    for number in 0..<12 {
      let output = directory("out-\(number)")
      for (command, calls) in zip(commands(job, output), expected.calls) {
        let storage = FaultyStorage(
          directory: directory.path, failingCall: Int.random(in: 1...calls, using: &generator),
          isLasting: Bool.random(using: &generator))
        let (outcome, log) = try storage.run(command)
        guard let failed = log.failed else { continue }
        // The cache of digests is an aid: a merge goes on without it.
        if outcome.code == 0, failed.hasPrefix(directory("cache")) { continue }
        failures += 1
        #expect(outcome.code == 74, "\(failed): \(outcome.diagnostics)")
        // With all calls failing at once, another one may be the first that is reported.
        let named = storage.isLasting ? directory.path : visible(failed)
        #expect(outcome.diagnostics.contains(named), "\(failed): \(outcome.diagnostics)")
        #expect(outcome.diagnostics.contains("Input/output error"), "\(failed): \(outcome.diagnostics)")
        #expect(outcome.diagnostics.split(separator: "\n").count == 1, "\(failed): \(outcome.diagnostics)")
        let again = try RecallProcess.run(command + ["--resume"])
        #expect(again.code == 0, "after \(failed): \(again.diagnostics)")
      }
      #expect(try contents(of: output) == expected.contents, "output \(number)")
      #expect(!FileManager.default.fileExists(atPath: output + ".partial"))
    }
    #expect(failures >= 6, "most of the calls have to be met")
  }

  // MARK: Helpers

  /// What the job writes on sound storage, and the calls of each of its commands.
  private func undisturbed(_ job: Job) throws -> (contents: [String: Data], calls: [Int]) {
    if job == .parts { try #require(RecallProcess.run(merge(directory("weights"))).code == 0) }
    let calls = try commands(job, directory("whole")).map { command in
      let (outcome, log) = try FaultyStorage(directory: directory.path).run(command)
      try #require(outcome.code == 0, "\(outcome.diagnostics)")
      return log.calls
    }
    return (try contents(of: directory("whole")), calls)
  }

  private func commands(_ job: Job, _ output: String) -> [[String]] {
    switch job {
    case .merge: [merge(output)]
    case .linear:
      [
        ["merge", "--method", "linear", "--model", directory("first"), "--model", directory("second")]
          + ["--output", output, "--progress", "none"]
      ]
    case .parts:
      (1...2).map { part in
        ["fuse", "--weights", directory("weights/recall.json"), "--part", "\(part)/2"]
          + ["--output", output, "--progress", "none"]
      }
    }
  }

  private func merge(_ output: String) -> [String] {
    [
      "merge", "--anchor", directory("third"), "--model", directory("first"), "--model", directory("second"),
      "--samples", directory("samples.jsonl"), "--typical", "3", "--output", output, "--progress", "none",
    ]
  }

  /// What a message can call a file: one without a name is known by its directory.
  private func visible(_ path: String) -> String {
    path.hasSuffix(" (deleted)") ? URL(fileURLWithPath: path).deletingLastPathComponent().path : path
  }
}
