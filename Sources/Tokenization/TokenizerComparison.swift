import Diagnostics
import JSON

/// What two tokenizers make of the rows of an embedding, and in what else they differ.
///
/// Models can be merged row by row when a row that both have stands for one token in both. How a text is cut into tokens
/// may differ; it changes which rows a text uses, and nothing about what a row means.
///
/// Documents are compared, so that a tokenizer need not be of a kind that can be run here.
public struct TokenizerComparison: Sendable {
  /// A token that only one of the tokenizers has, on a row that the other does not use.
  public struct Growth: Equatable, Sendable {
    /// The row.
    public let identifier: Int32
    /// How the token is spelled.
    public let token: String

    /// A token on a row.
    public init(identifier: Int32, token: String) {
      self.identifier = identifier
      self.token = token
    }
  }

  /// What makes a merge impossible, in words: other tokens on one row, a token on two rows, other merges.
  public let conflicts: [String]
  /// The tokens that only the first tokenizer has, in the order of their rows.
  public let onlyHere: [Growth]
  /// The tokens that only the second has.
  public let onlyThere: [Growth]
  /// What else differs, in words.
  ///
  /// Settings for padding and truncation, and the decoder, do not count.
  public let notes: [String]

  /// Compares two tokenizers; in the words the first is "here" and the second "there".
  ///
  /// - Throws: `Failure` when a document has no vocabulary that can be read.
  /// - Complexity: Linear in the vocabularies and the merges.
  public init(_ here: TokenizerDocument, _ there: TokenizerDocument) throws(Failure) {
    let (ours, theirs) = (try TokenRows(here), try TokenRows(there))
    var conflicts = [ours.contradiction(of: theirs)].compactMap(\.self)
    onlyHere = ours.growth(over: theirs)
    onlyThere = theirs.growth(over: ours)
    if let moved = ours.moved(onlyHere, theirs) { conflicts.append(moved) }
    if let merges = Self.mergeDifference(here.json, there.json) { conflicts.append(merges) }
    self.conflicts = conflicts
    notes = ours.addedTokenNotes(against: theirs) + Self.componentNotes(here.json, there.json)
  }

  /// Why not every row stands for the same token in both, in words; nil when every row does.
  public var difference: String? {
    func missing(_ growth: [Growth], from place: String) -> String? {
      growth.first.map { only in
        let more = growth.count == 1 ? "" : ", the first of \(growth.count) such tokens"
        return "the token \"\(only.token)\" (row \(only.identifier)) is missing \(place)\(more)"
      }
    }
    return conflicts.first ?? missing(onlyHere, from: "there") ?? missing(onlyThere, from: "here")
  }

  // MARK: Merges

  /// Compares the merges of two models of the byte-pair kind; what is no list of pairs is left to the reader of the model.
  private static func mergeDifference(_ here: JSONValue, _ there: JSONValue) -> String? {
    guard let ours = merges(here), let theirs = merges(there) else { return nil }
    guard ours.count == theirs.count else { return "there are \(ours.count) merges here and \(theirs.count) there" }
    guard let rank = ours.indices.first(where: { ours[$0] != theirs[$0] }) else { return nil }
    return "merge \(rank + 1) is \(spelled(ours[rank])) here and \(spelled(theirs[rank])) there"
  }

  private static func merges(_ json: JSONValue) -> [BytePairModel.Sides]? {
    json["model"]?["merges"]?.array?.compactMap(BytePairModel.sides)
  }

  private static func spelled(_ merge: BytePairModel.Sides) -> String {
    let (left, right) = (String(decoding: merge.left, as: UTF8.self), String(decoding: merge.right, as: UTF8.self))
    return "\"\(left)\" + \"\(right)\""
  }

  // MARK: Components

  /// The members of the model that rows and merges cover.
  private static let covered = ["vocab", "merges"]

  private static func componentNotes(_ here: JSONValue, _ there: JSONValue) -> [String] {
    var notes: [String] = []
    for name in ["model", "normalizer", "pre_tokenizer", "post_processor"] {
      let (ours, theirs) = (significant(here[name] ?? .null), significant(there[name] ?? .null))
      if let difference = ours.firstDifference(from: theirs, at: name) { notes.append(difference) }
    }
    let (ours, theirs) = (here["model"]?["vocab"]?.array, there["model"]?["vocab"]?.array)
    if let ours, let theirs {
      let count = zip(ours, theirs).count { $0.array?.last?.double != $1.array?.last?.double }
      if count > 0 { notes.append("\(count) scores of the vocabulary differ") }
    }
    return notes
  }

  /// A component without what says the same as its absence, and without what concerns only the places of tokens.
  private static func significant(_ value: JSONValue) -> JSONValue {
    guard let object = value.object else { return value.array.map { .array($0.map(significant)) } ?? value }
    let members = object.members.filter { member in
      if covered.contains(member.key) || member.key == "trim_offsets" { return false }
      return !member.value.isNull && member.value.bool != false && member.value.string != ""
    }
    return .object(JSONObject(members.map { ($0.key, significant($0.value)) }))
  }
}

/// Which token each row of an embedding stands for.
private struct TokenRows {
  /// The tokens by row.
  private var tokens: [Int32: ExactString] = [:]
  /// The rows by token; of several the one that texts are encoded to.
  private var rows: [ExactString: Int32] = [:]
  private let added: [AddedToken]

  init(_ document: TokenizerDocument) throws(Failure) {
    let file = Component(value: document.json, path: "", subject: document.subject)
    let vocabulary = try Vocabulary(try file.member("model").member("vocab"))
    added = try AddedTokens.declared(file.optional("added_tokens"), vocabulary: vocabulary)
    tokens.reserveCapacity(vocabulary.count)
    rows.reserveCapacity(vocabulary.count)
    for entry in 0..<vocabulary.count {
      let token = ExactString(String(decoding: vocabulary.bytes(ofEntry: entry), as: UTF8.self))
      tokens[vocabulary.identifier(ofEntry: entry)] = token
      rows[token] = vocabulary.identifier(ofEntry: entry)
    }
    for token in added {
      tokens[token.identifier] = ExactString(token.content)
      rows[ExactString(token.content)] = token.identifier
    }
  }

  /// The first row that stands for two tokens, and how many there are.
  func contradiction(of other: TokenRows) -> String? {
    let contradictory = tokens.filter { row, token in other.tokens[row].map { $0 != token } ?? false }
    guard let row = contradictory.keys.min(), let here = tokens[row], let there = other.tokens[row] else { return nil }
    let count = contradictory.count == 1 ? "" : ", the first of \(contradictory.count) such rows"
    return "row \(row) is \"\(here.string)\" here and \"\(there.string)\" there\(count)"
  }

  /// The tokens on rows that the other does not use.
  func growth(over other: TokenRows) -> [TokenizerComparison.Growth] {
    tokens.filter { other.tokens[$0.key] == nil }.sorted { $0.key < $1.key }
      .map { TokenizerComparison.Growth(identifier: $0.key, token: $0.value.string) }
  }

  /// The first of the tokens that the other has too, on another row.
  func moved(_ growth: [TokenizerComparison.Growth], _ other: TokenRows) -> String? {
    for only in growth {
      guard let row = other.rows[ExactString(only.token)], tokens[row] == nil else { continue }
      return "the token \"\(only.token)\" is row \(only.identifier) here and \(row) there"
    }
    return nil
  }

  /// What differs in how added tokens are looked for, where both have them.
  func addedTokenNotes(against other: TokenRows) -> [String] {
    let theirs = Dictionary(other.added.map { (ExactString($0.content), $0) }) { first, _ in first }
    let ours = Set(added.map { ExactString($0.content) })
    let notes = added.compactMap { token -> String? in
      guard let their = theirs[ExactString(token.content)] else {
        return other.rows[ExactString(token.content)].map { _ in
          "\"\(token.content)\" is an added token here and one of the vocabulary there"
        }
      }
      return token.isSoughtLike(their) ? nil : "the added token \"\(token.content)\" is looked for in another way"
    }
    return notes
      + other.added.filter { !ours.contains(ExactString($0.content)) && rows[ExactString($0.content)] != nil }
      .map { "\"\($0.content)\" is one of the vocabulary here and an added token there" }
  }
}

extension AddedToken {
  /// Whether another token of that content is found in the same places.
  fileprivate func isSoughtLike(_ other: AddedToken) -> Bool {
    isSingleWord == other.isSingleWord && stripsLeft == other.stripsLeft && stripsRight == other.stripsRight
      && isNormalized == other.isNormalized
  }
}
