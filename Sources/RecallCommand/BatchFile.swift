import Checkpoint
import Diagnostics
import Foundation
import JSON
import Recall

/// A line of a batch: a recipe and where its merge goes.
struct BatchJob {
  /// The line of the file, from 1.
  let line: Int
  /// What is to be merged how.
  let recipe: MergeRecipe
  /// The absolute path of the directory to be created.
  let output: String

  /// What tells jobs apart: everything that decides the result, and its place.
  var digest: Digest { Digest(of: "\(recipe.json.compact)\n\(output)") }
}

/// A file of merges, one JSON object a line with the keys of a recipe and `output`.
///
/// The first line may be an object with the one key `defaults`, whose keys hold for all lines that do not have them.
struct BatchFile {
  /// The path, as given.
  let path: String
  /// The lines that are recipes.
  let jobs: [(line: Int, job: Result<BatchJob, Failure>)]

  /// Reads a file; lines that are blank are skipped, and a line that is no recipe is a job that has failed already.
  ///
  /// - Throws: `Failure` when the file cannot be read, has no job, or has defaults that are no recipe.
  init(path: String) throws(Failure) {
    self.path = path
    let text = String(decoding: try readFile(path), as: UTF8.self)
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
      .map { (number: $0.offset + 1, text: $0.element) }
      .filter { !$0.text.allSatisfy(\.isWhitespace) }
    var defaults = JSONObject()
    if let first = lines.first, let given = try? BatchFile.document(first, of: path).object?["defaults"] {
      defaults = try BatchFile.defaults(given, subject: "\(path), line \(first.number)")
      lines.removeFirst()
    }
    guard !lines.isEmpty else {
      throw Failure(
        .badData, operation: "read the jobs", subject: path, expected: "a recipe a line", got: "none",
        advice: "Write one JSON object a line, with the keys of a recipe and \"output\".")
    }
    jobs = lines.map { line in
      (
        line.number,
        Result { () throws(Failure) in
          try BatchFile.job(BatchFile.document(line, of: path), line: line.number, of: path, defaults: defaults)
        }
      )
    }
  }

  private static func document(_ line: (number: Int, text: Substring), of path: String) throws(Failure) -> JSONValue {
    try JSONValue(parsing: Array(line.text.utf8), from: "\(path), line \(line.number)", operation: "read the job")
  }

  private static func defaults(_ json: JSONValue, subject: String) throws(Failure) -> JSONObject {
    guard let object = json.object, object["output"] == nil else {
      throw Failure(
        .badData, operation: "read the defaults", subject: subject, expected: "an object without \"output\"",
        got: json.kind)
    }
    _ = try MergeRecipe(json: json, from: subject)
    return object
  }

  private static func job(
    _ json: JSONValue, line: Int, of path: String, defaults: JSONObject
  ) throws(Failure) -> BatchJob {
    let subject = "\(path), line \(line)"
    guard var object = json.object, let output = json["output"]?.string, !output.isEmpty else {
      throw Failure(
        .badData, operation: "read the job", subject: subject, expected: "a recipe with \"output\"",
        got: json.object == nil ? json.kind : "none",
        advice: "A line is a JSON object with the keys of a recipe, and \"output\" for the directory to be created.")
    }
    object["output"] = nil
    for member in defaults.members where object[member.key] == nil { object[member.key] = member.value }
    let recipe = try MergeRecipe(json: .object(object), from: subject)
    return BatchJob(line: line, recipe: recipe, output: absolutePath(output))
  }
}

/// What became of the jobs of a batch, one JSON line each, so that a rerun goes on where the last one ended.
struct BatchRecord {
  private let path: String
  private var entries: [JSONValue] = []

  /// Reads what earlier runs left, if there is anything.
  ///
  /// - Throws: `Failure` for a file that is no record.
  init(path: String) throws(Failure) {
    self.path = absolutePath(path)
    guard FileManager.default.fileExists(atPath: path) else { return }
    for line in String(decoding: try readFile(path), as: UTF8.self).split(separator: "\n") {
      let entry = try JSONValue(parsing: Array(line.utf8), from: path, operation: "read the record")
      guard entry["job"]?.string != nil, entry["code"]?.integer != nil else {
        throw Failure(
          .badData, operation: "read the record", subject: path, expected: "lines with \"job\" and \"code\"",
          got: entry.kind, advice: "Name another file with --record.")
      }
      entries.append(entry)
    }
  }

  /// Whether a job was finished and its output is still there.
  func isFinished(_ job: BatchJob) -> Bool {
    let last = entries.last { $0["job"]?.string == "\(job.digest)" }
    return last?["code"]?.integer == 0 && FileManager.default.fileExists(atPath: job.output)
  }

  /// Adds how a job ended; the file is replaced at one instant.
  mutating func add(_ entry: JSONValue) throws(Failure) {
    entries.append(entry)
    try writeFile(Array(entries.map { $0.compact + "\n" }.joined().utf8), to: path, overwrite: true)
  }
}
