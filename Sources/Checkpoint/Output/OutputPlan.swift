import Diagnostics
import JSON

/// Everything that decides the bytes of an output, so that only work on the same output is taken up again.
///
/// It is kept in `OUT.partial` for as long as that exists.
public struct OutputPlan: Sendable {
  /// The format of plans and journals; raised whenever the same plan would give other bytes.
  static let format = "recall-partial/1"

  /// The plan as a document: what the writer of the output put in, and behind it format, parts and layout.
  public let document: JSONObject

  /// The number of parts that the output is written in.
  var partCount: Int { min(max(document["parts"]?.integer ?? 1, 1), Part.mostParts) }

  init(_ document: JSONValue, parts: Int, heads: [[UInt8]]) {
    var plan = document.object ?? JSONObject()
    plan["format"] = .string(OutputPlan.format)
    plan["parts"] = .integer(parts)
    plan["layout"] = .string("\(Digest(of: heads.map { "\(Digest(of: $0.span.bytes))\n" }.joined()))")
    self.document = plan
  }

  /// Reads a plan that a process left.
  ///
  /// - Throws: `Failure` of category `badData` when it is damaged.
  init(reading path: String) throws(Failure) {
    let json = try JSONValue(parsing: readFile(path), from: path, operation: "read the plan of the output")
    guard let document = json.object, document["format"]?.string != nil else {
      throw Failure(
        .badData, operation: "read the plan of the output", subject: path, expected: "\"format\"", got: json.kind,
        advice: "Start afresh with --overwrite.")
    }
    self.document = document
  }

  var text: String { JSONValue.object(document).formatted + "\n" }

  /// What differs first, in words such as `recipe.seed is 1 here and 0 there`; `nil` when nothing does.
  func difference(from other: OutputPlan) -> String? {
    JSONValue.object(document).firstDifference(from: .object(other.document), at: "")
  }
}
