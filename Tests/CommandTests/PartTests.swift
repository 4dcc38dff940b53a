import Foundation
import TestSupport
import Testing

/// `--part auto`: which part a process writes, by what Slurm and Kubernetes tell it.
@Suite struct PartTests {
  /// What a run says that finds its part and then no weights.
  private func fuse(_ part: String, _ environment: [String: String], _ more: [String] = []) throws
    -> RecallProcess.Outcome
  {
    let directory = try TemporaryDirectory()
    return try RecallProcess.run(
      ["fuse", "--weights", directory("none.json"), "--output", directory("out"), "--part", part] + more,
      environment: environment)
  }

  private static let slurm = [
    "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "8", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": "8",
    "SLURM_ARRAY_TASK_STEP": "1",
  ]

  @Test(
    "an array task and an indexed pod know their part, and say how",
    arguments: [
      (slurm, "part: 3 of 8, by SLURM_ARRAY_TASK_ID=3"),
      (
        slurm.merging(["SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "7"]) { $1 },
        "part: 4 of 8, by SLURM_ARRAY_TASK_ID=3"
      ),
      (
        [
          "SLURM_ARRAY_TASK_ID": "6", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "0",
          "SLURM_ARRAY_TASK_MAX": "6", "SLURM_ARRAY_TASK_STEP": "2",
        ], "part: 4 of 4, by SLURM_ARRAY_TASK_ID=6"
      ),
      // One task sent again by itself still is one of eight.
      (
        [
          "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "1", "SLURM_ARRAY_TASK_MIN": "3",
          "SLURM_ARRAY_TASK_MAX": "3", "RECALL_PARTS": "8",
        ], "part: 3 of 8, by SLURM_ARRAY_TASK_ID=3"
      ),
      (["JOB_COMPLETION_INDEX": "0", "RECALL_PARTS": "4"], "part: 1 of 4, by JOB_COMPLETION_INDEX=0"),
      (["JOB_COMPLETION_INDEX": "3", "RECALL_PARTS": "4"], "part: 4 of 4, by JOB_COMPLETION_INDEX=3"),
    ])
  func found(environment: [String: String], line: String) throws {
    let outcome = try fuse("auto", environment)
    #expect(outcome.code == 66, "there are no weights: \(outcome.diagnostics)")
    #expect(outcome.diagnostics.contains(line), "\(outcome.diagnostics)")
    let json = try fuse("auto", environment, ["--progress", "json"])
    #expect(json.diagnostics.contains("\"stage\":\"part\""), "\(json.diagnostics)")
  }

  @Test(
    "an environment that does not say which part is refused with what is missing",
    arguments: [
      ([:], "neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX"),
      (["JOB_COMPLETION_INDEX": "0"], "RECALL_PARTS"),
      (["JOB_COMPLETION_INDEX": "4", "RECALL_PARTS": "4"], "part 5 by JOB_COMPLETION_INDEX=4"),
      (["JOB_COMPLETION_INDEX": "one", "RECALL_PARTS": "4"], "a number in JOB_COMPLETION_INDEX"),
      (["JOB_COMPLETION_INDEX": "0", "SLURM_ARRAY_TASK_ID": "1"], "both"),
      (["SLURM_ARRAY_TASK_ID": "1"], "SLURM_ARRAY_TASK_COUNT"),
      (["SLURM_ARRAY_TASK_ID": "9", "RECALL_PARTS": "8"], "part 9 by SLURM_ARRAY_TASK_ID=9"),
      (["SLURM_ARRAY_TASK_ID": "0", "RECALL_PARTS": "8"], "from 1 to 8"),
      (slurm.merging(["SLURM_ARRAY_TASK_COUNT": "3"]) { $1 }, "3 tasks from 1 to 8"),
      (["JOB_COMPLETION_INDEX": "0", "RECALL_PARTS": "20000"], "at most 10000"),
    ])
  func refused(environment: [String: String], words: String) throws {
    let outcome = try fuse("auto", environment)
    #expect(outcome.code == 64)
    #expect(outcome.diagnostics.contains(words), "\(outcome.diagnostics)")
  }

  @Test(
    "a part outside of N, or that is none", arguments: ["0/4", "5/4", "-1/4", "1/0", "1", "x/y", "1/10001", "AUTO"])
  func outside(part: String) throws {
    let outcome = try fuse(part, [:])
    #expect(outcome.code == 64)
    #expect(outcome.diagnostics.contains("--part"), "\(outcome.diagnostics)")
  }
}
