import JSON

/// A tensor of an output that needs nothing more, as the journal keeps it.
public struct FinishedTensor: Equatable, Sendable {
  /// The name in the layout.
  public let name: String
  /// The digest of its bytes.
  public let digest: Digest
  /// The digests of the tensors that it was made of, where they were found.
  public let inputs: [Digest?]
  /// How many of its values are NaN or infinite.
  public let nonFinite: Int

  init(name: String, digest: Digest, inputs: [Digest?], nonFinite: Int) {
    self.name = name
    self.digest = digest
    self.inputs = inputs
    self.nonFinite = nonFinite
  }

  /// Reads a record of the journal; `nil` for one about something else.
  init?(_ record: JSONValue) {
    guard let name = record["tensor"]?.string, let digest = record["digest"]?.string.flatMap({ Digest($0) }),
      let inputs = record["inputs"]?.array, let nonFinite = record["nonFinite"]?.integer, nonFinite >= 0
    else { return nil }
    self.init(
      name: name, digest: digest, inputs: inputs.map { $0.string.flatMap { Digest($0) } }, nonFinite: nonFinite)
  }

  /// The record of the journal.
  var record: JSONValue {
    [
      "tensor": .string(name), "digest": .string("\(digest)"),
      "inputs": .array(inputs.map { $0.map { .string("\($0)") } ?? .null }), "nonFinite": .integer(nonFinite),
    ]
  }
}
