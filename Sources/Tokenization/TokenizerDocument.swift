import Diagnostics
import JSON

/// A `tokenizer.json`, with the tokens that other files of its directory declare.
///
/// transformers adds those to the tokenizer when it loads the directory, so a model may have rows for tokens of which
/// `tokenizer.json` says nothing.
public struct TokenizerDocument: Sendable {
  /// The `tokenizer.json`, its `added_tokens` continued by what the other files declare.
  public let json: JSONValue
  /// The file it came from, for errors.
  public let subject: String

  /// The files that declare tokens beside `tokenizer.json`.
  public static let companions = ["tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"]

  /// Continues the added tokens in the order in which transformers 5 adds them.
  ///
  /// First `added_tokens_decoder` of `tokenizer_config.json` in the order of its ids; where that is missing, the tokens of
  /// `added_tokens.json`. Then the named special tokens, then the extra ones. A token that is listed already is declared
  /// anew only by the first two, and takes its flags from the last declaration.
  ///
  /// - Parameters:
  ///   - json: The `tokenizer.json`.
  ///   - companions: The other files that there are, by name.
  ///   - subject: The file it came from, for the error.
  /// - Throws: `Failure` that names the file in which something is not what it has to be.
  public init(_ json: JSONValue, companions: [String: JSONValue] = [:], subject: String) throws(Failure) {
    self.subject = subject
    guard var object = json.object, !companions.isEmpty else {
      self.json = json
      return
    }
    var tokens = DeclaredTokens(listed: json["added_tokens"]?.array ?? [])
    try tokens.add(DeclaredTokens.Sources(companions, listed: tokens.listed))
    object["added_tokens"] = .array(tokens.listed)
    self.json = .object(object)
  }
}

/// The entries of `added_tokens`, while other files add to them.
private struct DeclaredTokens {
  /// The entries so far.
  fileprivate(set) var listed: [JSONValue]

  /// The names of special tokens that transformers knows, in the order in which it adds them.
  private static let names = [
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
  ]

  /// What the files say, with `special_tokens_map.json` laid over `tokenizer_config.json`.
  struct Sources {
    /// The tokens with ids, in the order of these.
    private(set) var numbered: [JSONValue] = []
    /// The special tokens by name.
    private(set) var special = JSONObject()

    init(_ files: [String: JSONValue], listed: [JSONValue]) throws(Failure) {
      special = files["tokenizer_config.json"]?.object ?? JSONObject()
      if let decoder = special["added_tokens_decoder"], !decoder.isNull {
        let file = Component(value: decoder, path: "added_tokens_decoder", subject: "tokenizer_config.json")
        numbered = try Self.sorted(file) { token, _ in
          token
        } taken: { _ in
          false
        }
        return
      }
      for member in files["special_tokens_map.json"]?.object?.members ?? [] {
        special[member.key] = member.key == "extra_special_tokens" ? Self.joined(special, member.value) : member.value
      }
      guard let added = files["added_tokens.json"] else { return }
      let specials = DeclaredTokens.spellings(special)
      let file = Component(value: added, path: "", subject: "added_tokens.json")
      // A row that tokenizer.json gives to an added token is that token's.
      let rows = Set(listed.compactMap { $0["id"]?.integer })
      numbered = try Self.sorted(file) { _, name in
        let isSpecial = specials.contains(ExactString(name))
        return ["content": .string(name), "normalized": .bool(!isSpecial), "special": .bool(isSpecial)]
      } taken: {
        rows.contains($0)
      }
    }

    /// The members of an object in the order of their ids, which are the values or, else, the keys.
    private static func sorted(
      _ file: Component, _ token: (_ value: JSONValue, _ key: String) -> JSONValue, taken isTaken: (Int) -> Bool
    ) throws(Failure) -> [JSONValue] {
      var numbered: [(identifier: Int, token: JSONValue)] = []
      for member in try file.members {
        guard let identifier = member.value.integer ?? Int(member.key) else {
          throw file.failure(expected: "a token id for \"\(member.key)\"", got: member.value.compact)
        }
        if !isTaken(identifier) { numbered.append((identifier, token(member.value, member.key))) }
      }
      return numbered.sorted { $0.identifier < $1.identifier }.map(\.token)
    }

    private static func joined(_ special: JSONObject, _ more: JSONValue) -> JSONValue {
      guard let more = more.array, let first = special["extra_special_tokens"]?.array else { return more }
      return .array(first + more)
    }
  }

  mutating func add(_ sources: Sources) throws(Failure) {
    for token in sources.numbered { try append(token, isSpecial: false) }
    let flags = Dictionary(sources.numbered.compactMap { token in Self.spelling(token).map { ($0, token) } }) { $1 }
    for token in Self.tokens(sources.special) {
      guard let spelling = Self.spelling(token), !has(spelling) else { continue }
      try append(flags[spelling] ?? token, isSpecial: true)
    }
  }

  /// The special tokens: the named ones, those that a model names itself, the extra ones.
  private static func tokens(_ special: JSONObject) -> [JSONValue] {
    let named = names.compactMap { special[$0] }
    let own = special.members.filter { $0.key.hasSuffix("_token") && !names.contains($0.key) && $0.value.string != nil }
    let extra = [special["extra_special_tokens"], special["additional_special_tokens"]].lazy.compactMap { value in
      value?.object?.members.map(\.value) ?? value?.array
    }.first { !$0.isEmpty }
    return named + own.map(\.value) + (extra ?? [])
  }

  /// How the special tokens are spelled.
  private static func spellings(_ special: JSONObject) -> Set<ExactString> { Set(tokens(special).compactMap(spelling)) }

  /// How a token is spelled that is given as a string or with its flags; nil for anything else.
  private static func spelling(_ token: JSONValue) -> ExactString? {
    (token.string ?? token["content"]?.string).map(ExactString.init)
  }

  private func has(_ spelling: ExactString) -> Bool {
    listed.contains { Self.spelling($0) == spelling }
  }

  /// Appends a token with the flags that it has, and for the others the defaults of transformers.
  private mutating func append(_ token: JSONValue, isSpecial: Bool) throws(Failure) {
    guard let spelling = Self.spelling(token) else {
      throw Failure(
        .badData, operation: "read the declared tokens", subject: "tokenizer_config.json",
        expected: "tokens with a \"content\"", got: token.compact)
    }
    let special = token["special"]?.bool == true || isSpecial
    var entry: JSONObject = JSONObject([("id", 0), ("content", .string(spelling.string))])
    for flag in ["single_word", "lstrip", "rstrip"] { entry[flag] = .bool(token[flag]?.bool ?? false) }
    entry["normalized"] = .bool(token["normalized"]?.bool ?? !special)
    entry["special"] = .bool(special)
    listed.append(.object(entry))
  }
}
