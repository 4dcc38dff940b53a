import Diagnostics
import Foundation
import JSON

extension StagePlan {
  /// The commands of one stage, one a line, quoted for a shell; `nil` when the plan has no such stage.
  public func commands(of stage: String) -> String? {
    stages.first { $0.name == stage }.map { stage in
      stage.tasks.map { commandLine($0.arguments) }.joined(separator: "\n")
    }
  }

  /// A shell script that runs one stage after the other; the commands of a stage may as well run at the same time.
  public func shellScript(at rates: ClusterRates) -> String {
    """
    #!/bin/sh
    # \(title)
    # Estimates are for \(text(rates)).
    set -eu
    cd \(quoted(FileManager.default.currentDirectoryPath))
    mkdir -p \(quoted(work))

    \(stages.map { "# \(summary($0, at: rates))\n" + (commands(of: $0.name) ?? "") }.joined(separator: "\n\n"))
    """
  }

  /// A script that sends every stage to Slurm, to start when the one before has succeeded.
  ///
  /// `RECALL_JOB` is the path of `docker/slurm/recall.sbatch`, `RECALL_SBATCH` holds more options for every job.
  public func slurmScript(at rates: ClusterRates) -> String {
    let jobs = stages.indices.map { index in
      let stage = stages[index]
      // A task that outlasts its time is stopped with its state saved, queued again, and goes on.
      let minutes = max(10, Int((3 * stage.seconds(at: rates) / 60).rounded(.up)))
      let options =
        ["--job-name=recall-\(stage.name)", "--mem=\(max(1, (stage.memory * 5 / 4) >> 20))M", "--time=\(minutes)"]
        + (stage.tasks.count > 1
          ? ["--array=1-\(stage.tasks.count)", "--output=%x-%A_%a.log"] : ["--output=%x-%j.log"])
        + (index > 0 ? ["\"--dependency=afterok:$\(stages[index - 1].name)_job\""] : [])
      // Outside of an array there is no part to be found.
      let shared = stage.tasks.count > 1 ? stage.shared.map { [$0] } : nil
      let commands = (shared ?? stage.tasks.map(\.arguments)).map { quoted(commandLine($0)) }
      return """
        # \(summary(stage, at: rates))
        \(stage.name)_job=$(submit \(options.joined(separator: " ")) "$RECALL_JOB" \\
          \(commands.joined(separator: " \\\n  ")))
        """
    }
    return """
      #!/usr/bin/env bash
      # \(title)
      # Estimates are for \(text(rates)).
      set -euo pipefail
      : "${RECALL_JOB:?the path of docker/slurm/recall.sbatch}"
      submit() { sbatch --parsable --kill-on-invalid-dep=yes ${RECALL_SBATCH:-} "$@"; }
      cd \(quoted(FileManager.default.currentDirectoryPath))
      mkdir -p \(quoted(work))
      export RECALL_PARTS=\(partCount)

      \(jobs.joined(separator: "\n\n"))

      echo "\(stages.map { "\($0.name) $\($0.name)_job" }.joined(separator: ", "))"
      """
  }

  /// The plan as a document.
  public func json(at rates: ClusterRates) -> JSONValue {
    [
      "format": "recall-plan/1", "directory": .string(FileManager.default.currentDirectoryPath),
      "recipe": .string(recipe), "work": .string(work), "output": .string(output), "parts": .integer(partCount),
      "rates": [
        "task": .double(rates.task), "storage": rates.storage.isFinite ? .double(rates.storage) : .null,
        "operations": .double(rates.operations),
      ],
      "stages": .array(
        stages.enumerated().map { index, stage in
          [
            "name": .string(stage.name), "after": index > 0 ? .string(stages[index - 1].name) : .null,
            "tasks": .array(stage.tasks.map(json)), "seconds": .double(rounded(stage.seconds(at: rates))),
          ]
        }), "seconds": .double(rounded(seconds(at: rates))),
    ]
  }

  private func json(_ task: Task) -> JSONValue {
    [
      "command": .array((["recall"] + task.arguments).map(JSONValue.string)),
      "inputs": .array(task.inputs.map(JSONValue.string)), "output": task.output.map(JSONValue.string) ?? .null,
      "bytes": ["read": .integer(task.bytesRead), "written": .integer(task.bytesWritten)],
      "operations": .double(task.operations), "memory": .integer(task.memory),
    ]
  }

  /// The seconds of all stages, one after the other.
  public func seconds(at rates: ClusterRates) -> Double { stages.reduce(0) { $0 + $1.seconds(at: rates) } }

  // MARK: Words

  private var title: String {
    "A merge of \(modelCount) models in \(stages.count) stages, \(partCount == 1 ? "1 part" : "\(partCount) parts")."
  }

  private func text(_ rates: ClusterRates) -> String {
    let storage = rates.storage.isFinite ? ", \(byteText(Int(rates.storage)))/s for all tasks together" : ""
    return "\(byteText(Int(rates.task)))/s and \(String(format: "%g", rates.operations)) operations/s a task\(storage)"
  }

  private func summary(_ stage: Stage, at rates: ClusterRates) -> String {
    let tasks = stage.tasks.count == 1 ? "1 task" : "\(stage.tasks.count) tasks"
    return "\(stage.name): \(tasks), \(byteText(stage.bytesRead)) read, \(byteText(stage.bytesWritten)) written, "
      + "\(byteText(stage.memory)) of memory a task, about \(fixed(stage.seconds(at: rates), digits: 0)) s"
  }

  private func rounded(_ seconds: Double) -> Double { (seconds * 1000).rounded() / 1000 }

  private func commandLine(_ arguments: [String]) -> String {
    (["recall"] + arguments.map(quoted)).joined(separator: " ")
  }

  /// A word as a shell reads it back.
  private func quoted(_ word: String) -> String {
    let plain = word.utf8.allSatisfy { byte in
      let character = Character(UnicodeScalar(byte))
      return byte < 0x80 && (character.isLetter || character.isNumber || "-_./,:=+@%".contains(character))
    }
    return plain && !word.isEmpty ? word : "'\(word.replacingOccurrences(of: "'", with: "'\\''"))'"
  }
}
