import Diagnostics
import JSON

extension YAMLNode {
  /// The most bytes of a text.
  public static let mostBytes = 1 << 20
  /// The most values of a text, those that aliases repeat counted as often as they do.
  public static let mostNodes = 100_000

  /// Reads the documents of a YAML text through libyaml: YAML 1.1 as PyYAML's `safe_load` has it, but stricter.
  ///
  /// No key occurs twice and every key is a string; dates, and tags beyond those of the core schema, are refused.
  ///
  /// - Parameters:
  ///   - text: The text in UTF-8.
  ///   - subject: The file that it came from, for errors.
  ///   - libraryName: The file name of libyaml.
  /// - Returns: The documents; none of an empty text.
  /// - Throws: `Failure` of category `badData` that names the line; `missingInput` when libyaml cannot be opened.
  public static func documents(
    in text: [UInt8], from subject: String, libraryName: String = "libyaml-0.so.2"
  ) throws(Failure) -> [YAMLNode] {
    guard text.count <= mostBytes else {
      throw Failure(
        .badData, operation: "read YAML", subject: subject, expected: "at most \(mostBytes) bytes",
        got: "\(text.count)")
    }
    guard String(validating: text, as: UTF8.self) != nil else {
      throw Failure(.badData, operation: "read YAML", subject: subject, expected: "UTF-8", got: "other bytes")
    }
    var reader = YAMLReader(events: try YAMLEvents(text, from: subject, libraryName: libraryName), subject: subject)
    return try reader.documents()
  }
}

/// Makes nodes of events.
private struct YAMLReader {
  /// A node with how many nodes it holds, itself included, and how many levels.
  struct Built {
    let node: YAMLNode
    let size: Int
    let height: Int
  }

  let events: YAMLEvents
  let subject: String
  /// What anchors stand for; `nil` inside of it.
  private var anchors: [ExactString: Built?] = [:]
  private var nodes = 0

  init(events: YAMLEvents, subject: String) { (self.events, self.subject) = (events, subject) }

  mutating func documents() throws(Failure) -> [YAMLNode] {
    var documents: [YAMLNode] = []
    while true {
      let event = try events.next()
      switch event.kind {
      case .streamEnd: return documents
      case .streamStart, .documentEnd: continue
      case .documentStart:
        anchors = [:]
        documents.append(try node(try events.next(), depth: 0).node)
      case .alias, .scalar, .sequenceStart, .sequenceEnd, .mappingStart, .mappingEnd:
        throw failure(event.line, "a document", "something else")
      }
    }
  }

  private mutating func node(_ event: YAMLEvents.Event, depth: Int) throws(Failure) -> Built {
    if case .alias(let name) = event.kind { return try repeated(name, event.line, depth: depth) }
    guard depth < JSONValue.deepestNesting else { throw tooDeep(event.line) }
    try count(1, event.line)
    if let anchor = event.anchor {
      guard anchors.updateValue(Built?.none, forKey: ExactString(anchor)) == nil else {
        throw failure(event.line, "every anchor once", "&\(anchor) again")
      }
    }
    let built: Built
    switch event.kind {
    case .scalar(let text, let isPlain):
      let value = try scalar(text, isPlain: isPlain, tag: event.tag, event.line)
      built = Built(node: YAMLNode(value: value, line: event.line), size: 1, height: 1)
    case .sequenceStart:
      try require(event.tag, is: "seq", event.line)
      built = try sequence(from: event.line, depth: depth)
    case .mappingStart:
      try require(event.tag, is: "map", event.line)
      built = try mapping(from: event.line, depth: depth)
    case .alias, .streamStart, .streamEnd, .documentStart, .documentEnd, .sequenceEnd, .mappingEnd:
      throw failure(event.line, "a value", "the end of one")
    }
    if let anchor = event.anchor { anchors[ExactString(anchor)] = built }
    return built
  }

  /// What an alias stands for.
  private mutating func repeated(_ name: String, _ line: Int, depth: Int) throws(Failure) -> Built {
    guard let known = anchors[ExactString(name)] else { throw failure(line, "an anchor &\(name) above", "none") }
    guard let built = known else { throw failure(line, "an alias outside of what it stands for", "*\(name) inside") }
    try count(built.size, line)
    guard depth + built.height <= JSONValue.deepestNesting else { throw tooDeep(line) }
    return built
  }

  private mutating func sequence(from line: Int, depth: Int) throws(Failure) -> Built {
    var elements: [YAMLNode] = []
    var (size, height) = (1, 1)
    while true {
      let event = try events.next()
      if case .sequenceEnd = event.kind { break }
      let element = try node(event, depth: depth + 1)
      elements.append(element.node)
      size += element.size
      height = max(height, 1 + element.height)
    }
    return Built(node: YAMLNode(value: .array(elements), line: line), size: size, height: height)
  }

  private mutating func mapping(from line: Int, depth: Int) throws(Failure) -> Built {
    var members: [YAMLNode.Member] = []
    var known: Set<ExactString> = []
    var merged: YAMLNode?
    var (size, height) = (1, 1)
    while true {
      let event = try events.next()
      if case .mappingEnd = event.kind { break }
      let key = try key(event)
      let value = try node(try events.next(), depth: depth + 1)
      size += value.size
      height = max(height, 1 + value.height)
      if let key {
        guard known.insert(ExactString(key)).inserted else {
          throw failure(event.line, "every key once", "\(key) again")
        }
        members.append(YAMLNode.Member(key: key, line: event.line, value: value.node))
      } else {
        guard merged == nil else { throw failure(event.line, "every key once", "<< again") }
        merged = value.node
      }
    }
    // The mapping's own members outrank those that are merged, and of these the first ones the others.
    for source in try merged.map({ node throws(Failure) in try sources(of: node) }) ?? [] {
      members += source.filter { known.insert(ExactString($0.key)).inserted }
    }
    return Built(node: YAMLNode(value: .object(members), line: line), size: size, height: height)
  }

  /// The mappings that `<<` names: one, or a list.
  private func sources(of merged: YAMLNode) throws(Failure) -> [[YAMLNode.Member]] {
    try (merged.array ?? [merged]).map { node throws(Failure) in
      guard let members = node.object else { throw failure(node.line, "a mapping to merge with <<", node.kind) }
      return members
    }
  }

  /// The key of a member; `nil` for `<<`.
  private mutating func key(_ event: YAMLEvents.Event) throws(Failure) -> String? {
    guard case .scalar(let text, let isPlain) = event.kind, event.anchor == nil else {
      throw failure(event.line, "a key that is text", "another one")
    }
    if isPlain, event.tag == nil, case .merge = PlainScalar(plain: text) { return nil }
    guard case .string(let key) = try scalar(text, isPlain: isPlain, tag: event.tag, event.line) else {
      throw failure(event.line, "a key that is text", text, advice: "Put it in quotes.")
    }
    return key
  }

  // MARK: Scalars

  private func scalar(_ text: String, isPlain: Bool, tag: String?, _ line: Int) throws(Failure) -> YAMLNode.Value {
    if let tag, tag != "!" { return try tagged(text, tag, line) }
    guard isPlain else { return .string(text) }
    switch PlainScalar(plain: text) {
    case .value(let value): return value
    case .merge: throw failure(line, "<< as a key", "it as a value", advice: "Put it in quotes if it is text.")
    case .unsupported(let what):
      throw failure(line, "a number, a truth value or text", what, advice: "Put it in quotes if it is text.")
    }
  }

  private static let core = "tag:yaml.org,2002:"

  private func tagged(_ text: String, _ tag: String, _ line: Int) throws(Failure) -> YAMLNode.Value {
    guard tag.hasPrefix(YAMLReader.core) else { throw unknownTag(tag, line) }
    let value: YAMLNode.Value?
    switch tag.dropFirst(YAMLReader.core.count) {
    case "str": value = .string(text)
    case "null": value = .null
    case "bool": value = PlainScalar.bools[text.lowercased()].map { .bool($0) }
    case "int":
      if case .integer(let number) = ScalarNumber(text)?.value { value = .integer(number) } else { value = nil }
    case "float":
      switch ScalarNumber(text)?.value {
      case .integer(let number): value = .double(Double(number))
      case .double(let number): value = .double(number)
      default: value = Double(text).map { .double($0) }
      }
    default: throw unknownTag(tag, line)
    }
    guard let value else { throw failure(line, "a value for \(tag)", "\"\(text.prefix(80))\"") }
    return value
  }

  private func require(_ tag: String?, is name: String, _ line: Int) throws(Failure) {
    guard let tag, tag != "!", tag != YAMLReader.core + name else { return }
    throw unknownTag(tag, line)
  }

  // MARK: Failures

  private mutating func count(_ more: Int, _ line: Int) throws(Failure) {
    nodes += more
    guard nodes > YAMLNode.mostNodes else { return }
    throw failure(line, "at most \(YAMLNode.mostNodes) values, with those that aliases repeat", "more")
  }

  private func tooDeep(_ line: Int) -> Failure {
    failure(line, "at most \(JSONValue.deepestNesting) nested values", "more")
  }

  private func unknownTag(_ tag: String, _ line: Int) -> Failure {
    failure(line, "no tag, or one of !!str, !!int, !!float, !!bool, !!null, !!seq and !!map", tag)
  }

  private func failure(_ line: Int, _ expected: String, _ got: String, advice: String = "") -> Failure {
    Failure(
      .badData, operation: "read YAML", subject: "\(subject), line \(line)", expected: expected, got: got,
      advice: advice)
  }
}
