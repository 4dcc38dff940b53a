import Checkpoint
import Compute
import Diagnostics
import Foundation
import JSON
import Recall

extension Command {
  /// Many merges in one process.
  static let batch = Command(
    name: "batch", operands: "JOBS.jsonl", summary: "runs a file of merges, and computes the states they share once",
    options: [
      CommandOption(
        name: "--record", placeholder: "FILE", help: "where finished jobs are noted (default: JOBS.jsonl.record)"),
      CommandOption(
        name: "--cache", placeholder: "DIR",
        help: "where hidden states are kept (default: recall/extracts in the user's cache)"
      ),
      CommandOption(
        name: "--cache-size", placeholder: "BYTES", help: "the most that the cache may hold (default: 8G)"),
    ] + CommonOptions.execution
  ) { options in
    guard let path = options.operands.first, options.operands.count == 1 else {
      throw Failure(
        .usage, operation: "run recall batch", subject: "JOBS.jsonl", expected: "one file",
        got: "\(options.operands.count)", advice: "See recall batch --help.")
    }
    let file = try BatchFile(path: path)
    var record = try BatchRecord(path: options.value("--record") ?? "\(path).record")
    let cache = try ExtractCache(
      directory: cacheDirectory(options),
      byteLimit: try CommonOptions.byteCount("--cache-size", options) ?? ExtractCache.defaultByteLimit)
    let memory = try CommonOptions.memory(options)
    let device = try Device(options)
    let printer = try ProgressPrinter(options)
    defer { printer.finish() }
    let queue = try device.open(telling: printer).queue
    let progress = printer.progress
    let signals = StopSignals(patience: StopSignals.patience) { stopped(path, reason: $0) }
    let stop = signals.request

    var failed = 0
    for (line, job) in file.jobs {
      try check(stop, path)
      let start = DispatchTime.now().uptimeNanoseconds
      var entry = JSONObject([("line", .integer(line))])
      do {
        let job = try job.get()
        guard !record.isFinished(job) else {
          try printLine("line \(line): finished before, \(job.output)")
          continue
        }
        entry["job"] = .string("\(job.digest)")
        entry["output"] = .string(job.output)
        let extracts = try await queue.perform { backend in
          try CachedMerge(job.recipe, cache: cache, memoryBudget: memory, on: backend, progress: progress)
            .merge(into: job.output, from: path, stop: stop)
        }
        let seconds = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
        entry["extracts"] = ["reused": .integer(extracts.reused), "computed": .integer(extracts.computed)]
        entry["seconds"] = .double((seconds * 1000).rounded() / 1000)
        entry["code"] = 0
        printer.finish()
        try printLine(
          "line \(line): merged into \(job.output) in \(fixed(seconds, digits: 1)) s, "
            + "\(extracts.computed) models extracted, \(extracts.reused) from the cache")
      } catch {
        printer.finish()
        try check(stop, path)
        let ending = RecallCommand.ending(of: error)
        failed += 1
        entry["code"] = .integer(Int(ending.code))
        entry["reason"] = .string(ending.message)
        try printLine("line \(line): failed with exit code \(ending.code)")
        StandardError.write("recall: line \(line): \(ending.message)\n")
      }
      if entry["job"] == nil { entry["job"] = .string("line \(line)") }
      try record.add(.object(entry))
    }
    guard failed == 0 else {
      throw Failure(
        .internalError, operation: "run the batch", subject: path, expected: "all \(file.jobs.count) jobs to succeed",
        got: "\(failed) that failed", advice: "The reasons are above; a rerun tries the failed ones again.")
    }
  }

  /// Ends the batch when that was asked for.
  private static func check(_ stop: StopRequest, _ path: String) throws(Failure) {
    do {
      try stop.check("run the batch", path)
    } catch {
      throw stopped(path, reason: error.got)
    }
  }

  private static func stopped(_ path: String, reason: String) -> Failure {
    Failure(
      .tryAgain, operation: "run the batch", subject: path, expected: "to be left to the end", got: reason,
      advice: "Finished jobs are noted and unfinished ones saved; the same command goes on.")
  }

  /// `--cache`, or the user's cache.
  private static func cacheDirectory(_ options: ParsedOptions) throws(Failure) -> String {
    guard let directory = options.value("--cache") ?? UserCache(named: "extracts").directory else {
      throw Failure(
        .usage, operation: "open the cache", subject: "--cache", expected: "a directory", got: "none",
        advice: "There is neither XDG_CACHE_HOME nor HOME; name a directory.")
    }
    return directory
  }
}
