import Foundation
import TestSupport
import Testing

/// Merges onto a disk that other programs fill while they run.
@Suite(.serialized, .enabled(if: SmallDisk.canMount, "needs the right to mount a small disk")) struct FullDiskTests {
  @Test(
    "a disk that fills up ends a merge with 74; with space again --resume goes on to the same bytes",
    arguments: ["recall", "linear"], [true, false])
  func fillsUp(method: String, canReserve: Bool) throws {
    let directory = try TemporaryDirectory()
    let disk = try #require(SmallDisk(byteCount: 4 << 20))
    try #require(RecallProcess.run(merge(method, into: directory("whole"))).code == 0)
    var environment = [
      "LD_PRELOAD": try FaultyStorage.library.get(), "FAULTY_STORAGE": disk.path, "SLOW_WRITES": "3000",
    ]
    if !canReserve { environment["FAULTY_UNRESERVED"] = "1" }
    let journal = disk("out.partial/.recall-part-1-of-1.journal")
    let outcome = try RecallProcess.run(
      merge(method, into: disk("out")), environment: environment,
      when: {
        String(decoding: FileManager.default.contents(atPath: journal) ?? Data(), as: UTF8.self).contains("\"tensor\"")
      }, { _ in disk.fill("filler") })
    #expect(outcome.code == 74, "\(outcome.diagnostics)")
    #expect(outcome.diagnostics.contains("No space left"), "\(outcome.diagnostics)")
    #expect(outcome.diagnostics.contains(disk("out.partial")), "\(outcome.diagnostics)")
    #expect(outcome.diagnostics.contains("--resume"), "\(outcome.diagnostics)")
    #expect(disk.names() == ["filler", "out.partial"])
    // Nothing is lost by trying too early.
    #expect(try [73, 74].contains(RecallProcess.run(merge(method, into: disk("out")) + ["--resume"]).code))
    try FileManager.default.removeItem(atPath: disk("filler"))
    let again = try RecallProcess.run(merge(method, into: disk("out")) + ["--resume"])
    #expect(again.code == 0, "\(again.diagnostics)")
    #expect(try contents(of: disk("out")) == contents(of: directory("whole")))
    #expect(disk.names() == ["out"])
  }

  private func merge(_ method: String, into output: String) -> [String] {
    let models = ["--model", Fixtures.sibling("first"), "--model", Fixtures.sibling("second")]
    let typical = ["--anchor", Fixtures.sibling("third"), "--samples", Fixtures.siblingSamples, "--typical", "3"]
    return ["merge", "--method", method, "--output", output, "--progress", "none"] + models
      + (method == "recall" ? typical : [])
  }
}
