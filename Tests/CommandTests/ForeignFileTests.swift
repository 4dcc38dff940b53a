import Checkpoint
import Foundation
import JSON
import TestSupport
import Testing

/// What a run deletes, cuts or writes is only what runs of this user made.
@Suite struct ForeignFileTests {
  private let directory: TemporaryDirectory
  private let journal = ".recall-part-1-of-1.journal"

  init() throws { directory = try TemporaryDirectory() }

  private func merge(_ output: String, _ more: [String] = []) throws -> RecallProcess.Outcome {
    try RecallProcess.run(
      [
        "merge", "--method", "linear", "--model", Fixtures.sibling("first"), "--model", Fixtures.sibling("second"),
        "--output", output, "--progress", "none",
      ] + more)
  }

  /// A batch of that merge; it goes on with whatever is there.
  private func batch(_ output: String) throws -> RecallProcess.Outcome {
    let job: JSONValue = [
      "method": "linear", "output": .string(output),
      "models": [["path": .string(Fixtures.sibling("first"))], ["path": .string(Fixtures.sibling("second"))]],
    ]
    let jobs = try directory.write(job.compact + "\n", to: "jobs-\(UUID().uuidString).jsonl")
    return try RecallProcess.run(["batch", jobs, "--cache", directory("cache"), "--progress", "none"])
  }

  private func folder(_ name: String) throws -> String {
    try FileManager.default.createDirectory(atPath: directory(name), withIntermediateDirectories: true)
    return directory(name)
  }

  private func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: directory(name)) }

  // MARK: Crafted journals

  /// What anyone can write: a digest is no secret.
  private func journalText(replacing name: JSONValue) -> String {
    func line(_ record: JSONValue) -> String { "\(Digest(of: record.compact)) \(record.compact)\n" }
    let replaced = line(["replaced": name])
    return replaced + line(["saved": .integer(replaced.utf8.count)])
  }

  private func identity(_ path: String) throws -> (device: String, inode: String) {
    let facts = try FileManager.default.attributesOfItem(atPath: path)
    let device = try #require(facts[.systemNumber] as? NSNumber)
    let inode = try #require(facts[.systemFileNumber] as? NSNumber)
    return (device.stringValue, inode.stringValue)
  }

  @Test("a journal in what stands at the output's place deletes nothing", arguments: [false, true])
  func craftedJournal(isBatch: Bool) throws {
    _ = try folder("thesis/deep")
    _ = try directory.write("words", to: "thesis/deep/chapter.txt")
    let output = try folder("out")
    let thesis = try identity(directory("thesis"))
    for replaced: JSONValue in [
      "thesis", "out", ["name": "thesis", "device": .string(thesis.device), "inode": .string(thesis.inode)],
    ] {
      _ = try directory.write(journalText(replacing: replaced), to: "out/\(journal)")
      #expect(try (isBatch ? batch(output) : merge(output, ["--resume"])).code != 0)
      #expect(exists("thesis/deep/chapter.txt"))
      #expect(exists("out/\(journal)"))
    }
  }

  @Test("not even beside a sound output a journal deletes more than the model it replaced")
  func craftedJournalInOutput() throws {
    let output = directory("out")
    #expect(try merge(output).code == 0)
    for (name, file) in [("thesis", "chapter.txt"), ("out.replaced", "deep/chapter.txt"), ("out.replaced", "notes")] {
      let place = try folder(name)
      if file.hasPrefix("deep/") { _ = try folder("\(name)/deep") }
      _ = try directory.write("words", to: "\(name)/\(file)")
      var noted = try identity(place)
      // Somebody else's directory under a name that a replaced model gets is not the one that was noted.
      if file == "notes" { noted.inode += "0" }
      let replaced: JSONValue = [
        "name": .string(name), "device": .string(noted.device), "inode": .string(noted.inode),
      ]
      _ = try directory.write(journalText(replacing: replaced), to: "out/\(journal)")
      let outcome = try merge(output, ["--resume"])
      #expect(outcome.code == 0 && outcome.output.contains("finished before"), "\(outcome.diagnostics)")
      #expect(exists("\(name)/\(file)"))
      #expect(!exists("out/\(journal)"), "what the last moment of a run leaves is removed all the same")
      try FileManager.default.removeItem(atPath: place)
    }
  }

  // MARK: Links

  @Test("a link in the place of a journal, or a file with a second name, is left alone", arguments: [false, true])
  func linkedJournal(isHard: Bool) throws {
    let precious = try directory.write(String(repeating: "precious ", count: 10_000), to: "precious.txt")
    let before = try Data(contentsOf: URL(fileURLWithPath: precious))
    let partial = try folder("out.partial")
    if isHard {
      try FileManager.default.linkItem(atPath: precious, toPath: "\(partial)/\(journal)")
    } else {
      try FileManager.default.createSymbolicLink(atPath: "\(partial)/\(journal)", withDestinationPath: precious)
    }
    for outcome in [
      try merge(directory("out"), ["--resume"]), try merge(directory("out"), ["--resume", "--overwrite"]),
      try merge(directory("out"), ["--overwrite"]), try batch(directory("out")),
    ] {
      #expect(outcome.code != 0)
      #expect(try Data(contentsOf: URL(fileURLWithPath: precious)) == before)
      #expect(exists("out.partial"))
    }
  }

  @Test("a file that is no journal is not emptied for bearing the name of one")
  func foreignJournal() throws {
    _ = try folder("out.partial")
    for words in ["words\n", String(repeating: "0", count: 32) + "  checksums.txt\n"] {
      _ = try directory.write(words, to: "out.partial/\(journal)")
      let outcome = try merge(directory("out"), ["--resume"])
      #expect(outcome.code == 73 && outcome.diagnostics.contains(journal), "\(outcome.diagnostics)")
      #expect(try String(contentsOfFile: directory("out.partial/\(journal)"), encoding: .utf8) == words)
    }
    // The first line of a run that was stopped may be cut, or lost with the power.
    for rest in ["", "0123", String(repeating: "a", count: 32) + " {\"sess", "\0\0\0\0"] {
      _ = try folder("out.partial")
      _ = try directory.write(rest, to: "out.partial/\(journal)")
      let outcome = try merge(directory("out"), ["--resume"])
      #expect(outcome.code == 0, "\(outcome.diagnostics)")
      try FileManager.default.removeItem(atPath: directory("out"))
    }
  }

  @Test("a leftover that another user made, or that anyone may write, is refused")
  func leftoverOfOthers() throws {
    let partial = try folder("out.partial")
    try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: partial)
    let open = try merge(directory("out"), ["--resume", "--overwrite"])
    #expect(open.code == 73 && open.diagnostics.contains("anyone may write"), "\(open.diagnostics)")
    try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: partial)
    guard geteuid() == 0 else { return }
    try FileManager.default.setAttributes([.ownerAccountID: 65534], ofItemAtPath: partial)
    let foreign = try merge(directory("out"), ["--resume", "--overwrite"])
    #expect(foreign.code == 73 && foreign.diagnostics.contains("another user"), "\(foreign.diagnostics)")
    #expect(exists("out.partial"))
  }

  // MARK: Mounts

  @Test("an input is not overwritten through another mount of it")
  func bindMount() throws {
    _ = try folder("inputs")
    let input = try directory.copy(of: Fixtures.sibling("first"), as: "inputs/one")
    _ = try folder("mounted")
    let before = try contents(of: input)
    let merge = "merge --method linear --model \(input) --model \(Fixtures.sibling("second")) --progress none --output"
    let commands = [
      "\(merge) \(directory("mounted/one")) --overwrite", "\(merge) \(directory("mounted/one/sub"))",
      "extract --model \(input) --samples \(Fixtures.siblingSamples) --progress none --overwrite --output "
        + directory("mounted/one/model.safetensors"),
    ]
    for command in commands {
      // A mount that only this command sees.
      let outcome = try RecallProcess.run(
        command.split(separator: " ").map(String.init),
        after: "mount --bind \(directory("inputs")) \(directory("mounted")) || exit 99")
      // Where nobody may mount, the test of places has to do.
      guard let outcome, outcome.code != 99 else { return }
      #expect(outcome.code == 64 && outcome.diagnostics.contains("apart from the inputs"), "\(outcome)")
      #expect(try contents(of: input) == before)
    }
  }

  // MARK: Streams

  @Test("a diagnostics stream that is closed, full or left by its reader changes nothing")
  func lostDiagnostics() throws {
    for redirection in ["2>&-", "2>/dev/full", "2> >(exec true)"] {
      let output = directory("out-\(UUID().uuidString)")
      let merge = [
        "merge", "--method", "linear", "--model", Fixtures.sibling("first"), "--model", Fixtures.sibling("second"),
        "--output", output, "--progress", "plain",
      ]
      #expect(try RecallProcess.run(merge, after: "sleep 0.1", redirection: redirection, isPrivate: false)?.code == 0)
      #expect(FileManager.default.fileExists(atPath: output + "/recall.json"))
      #expect(try RecallProcess.run(["merge"], after: "", redirection: redirection, isPrivate: false)?.code == 64)
    }
    let jobs = try directory.write("{}\n{}\n", to: "jobs.jsonl")
    let outcome = try RecallProcess.run(
      ["batch", jobs, "--cache", directory("cache"), "--progress", "none"], after: "", redirection: "2>/dev/full",
      isPrivate: false)
    #expect(outcome?.code == 70 && outcome?.output.contains("line 2") == true)
  }

  @Test("a result that cannot be printed is an error also where stdout was closed")
  func closedOutput() throws {
    let outcome = try RecallProcess.run(["--version"], after: "", redirection: ">&-", isPrivate: false)
    #expect(outcome?.code == 74)
  }
}
