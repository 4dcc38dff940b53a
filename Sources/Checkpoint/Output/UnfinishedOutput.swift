import Diagnostics
import JSON

/// What several processes have written of an output so far.
public struct UnfinishedOutput: Sendable {
  /// The absolute path that the output will have.
  public let output: String
  /// What the output will be.
  public let plan: JSONObject
  /// The number of parts.
  public let partCount: Int
  /// The parts that are not complete and on the disk.
  public let missingParts: [Part]
  /// What all parts noted.
  public let notes: [JSONValue]

  /// Looks at the output that grows beside a path, or at the path itself when that is where one grows.
  ///
  /// - Returns: `nil` when there is no unfinished output.
  /// - Throws: `Failure` of category `badData` when its plan is damaged, of `inputOutput` when it cannot be read.
  public init?(at path: String) throws(Failure) {
    let suffix = ".partial"
    let path = absolutePath(path)
    output = path.hasSuffix(suffix) ? String(path.dropLast(suffix.count)) : path
    guard let plan = try PartialDirectory.plan(of: output) else { return nil }
    self.plan = plan.document
    partCount = plan.partCount
    let (missing, records) = try PartialDirectory.recordsOfAllParts(partCount, in: PartialDirectory.path(for: output))
    missingParts = missing
    notes = records.compactMap { $0["note"] }
  }
}
