import Foundation
import Testing

/// What `Tests/FaultyStorage` is to do to the files below a directory while the program runs.
struct FaultyStorage {
  /// The library to be preloaded, built once for all tests of this process.
  static let library: Result<String, any Error> = Result {
    let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    let library = FileManager.default.temporaryDirectory.appendingPathComponent("recall-faulty-\(getpid()).so").path
    let build = Process()
    build.executableURL = URL(fileURLWithPath: "/bin/sh")
    build.arguments = [
      "-c", #"exec "$(dirname "$(readlink -f "$(command -v swift)")")/clang" -Wall -Werror -shared -fPIC -o "$1" "$2""#,
      "sh", library, tests.appendingPathComponent("FaultyStorage/FaultyStorage.c").path,
    ]
    try build.run()
    build.waitUntilExit()
    try #require(build.terminationStatus == 0, "FaultyStorage.c")
    atexit { _ = try? FileManager.default.removeItem(atPath: FaultyStorage.library.get()) }
    return library
  }

  /// What happened to a run.
  struct Log {
    /// How many reads, writes and saves there were.
    var calls = 0
    /// The file of the first one that failed for good.
    var failed: String?
  }

  let directory: String
  var seed = 0
  /// Percent of reads and writes that move only some of the bytes.
  var short = 0
  /// Percent of calls that a signal interrupts.
  var interrupted = 0
  /// The read, write or save that fails, counted from 1; 0 for none.
  var failingCall = 0
  /// Whether all later ones fail as well.
  var isLasting = false

  /// Runs the program on such storage.
  func run(_ arguments: [String]) throws -> (outcome: RecallProcess.Outcome, log: Log) {
    let path = directory + ".log"
    defer { _ = try? FileManager.default.removeItem(atPath: path) }
    var environment = [
      "LD_PRELOAD": try Self.library.get(), "FAULTY_STORAGE": directory, "FAULTY_SEED": "\(seed)",
      "FAULTY_SHORT": "\(short)", "FAULTY_INTERRUPT": "\(interrupted)", "FAULTY_CALL": "\(failingCall)",
      "FAULTY_LOG": path, "XDG_CACHE_HOME": "\(directory)/cache",
    ]
    if isLasting { environment["FAULTY_LASTING"] = "1" }
    let outcome = try RecallProcess.run(arguments, environment: environment)
    var log = Log()
    for line in try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 1)
      if words[0] == "failed" { log.failed = String(words[1]) } else { log.calls = try #require(Int(words[1])) }
    }
    return (outcome, log)
  }
}
