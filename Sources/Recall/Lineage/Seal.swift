import Checkpoint
import Diagnostics
import JSON

/// A digest inside a document of all its other members, so that a change by hand or by accident shows.
///
/// It proves nothing against someone who means to deceive: whoever changes a member can compute it again.
enum Seal {
  static let key = "seal"
  /// What a seal does not cover: how long things took is the one thing that differs between equal merges.
  private static let uncovered = ["timings", key]

  /// The document with its seal as the last member.
  static func sealing(_ document: JSONObject) -> JSONObject {
    var sealed = document
    sealed[key] = nil
    sealed[key] = .string(seal(of: document))
    return sealed
  }

  /// Makes sure that a document is as it was sealed.
  ///
  /// - Throws: `Failure` of category `badData`.
  static func check(_ document: JSONObject, subject: String, operation: String) throws(Failure) {
    guard let recorded = document[key]?.string, recorded == seal(of: document) else {
      throw Failure(
        .badData, operation: operation, subject: subject, expected: "the content that was sealed when it was written",
        got: document[key] == nil ? "no seal" : "another content",
        advice: "It was edited, or another release wrote it. Restore it; without the file, the model has no history.")
    }
  }

  private static func seal(of document: JSONObject) -> String {
    let covered = document.members.filter { !uncovered.contains($0.key) }
    return "\(Digest(of: JSONValue.object(JSONObject(covered.map { ($0.key, $0.value) })).compact))"
  }
}
