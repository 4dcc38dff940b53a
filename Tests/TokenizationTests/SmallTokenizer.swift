import Diagnostics
import JSON
import Tokenization

/// The file of a tokenizer of a few tokens, whose components a test replaces.
enum SmallTokenizer {
  /// The letters a, b, c, the merge "ab", and an unknown token.
  static let json: JSONValue = [
    "version": "1.0", "added_tokens": [],
    "model": [
      "type": "BPE", "unk_token": "?", "vocab": ["a": 0, "b": 1, "c": 2, "ab": 3, "?": 4], "merges": ["a b"],
    ],
  ]

  /// The file with some members replaced.
  static func json(with members: [(String, JSONValue)]) -> JSONValue {
    changed(json, members)
  }

  /// The file with some members of its model replaced.
  static func json(withModel members: [(String, JSONValue)]) -> JSONValue {
    changed(json, [("model", changed(json["model"] ?? .null, members))])
  }

  /// The tokenizer with some members of its file replaced.
  static func tokenizer(with members: [(String, JSONValue)] = []) throws(Failure) -> Tokenizer {
    try Tokenizer(json: json(with: members), subject: "small")
  }

  /// An added token with no peculiarity but those named.
  static func added(_ content: String, _ peculiarities: [(String, JSONValue)] = []) -> JSONValue {
    let plain: JSONValue = [
      "id": 0, "content": .string(content), "single_word": false, "lstrip": false, "rstrip": false,
      "normalized": false, "special": false,
    ]
    return changed(plain, peculiarities)
  }

  private static func changed(_ value: JSONValue, _ members: [(String, JSONValue)]) -> JSONValue {
    var object = value.object ?? JSONObject()
    for (key, member) in members { object[key] = member }
    return .object(object)
  }
}
