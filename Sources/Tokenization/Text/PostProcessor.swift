import Diagnostics

/// What is put around the encoded text: the `post_processor` of a `tokenizer.json`, for a single text.
struct PostProcessor: Sendable {
  /// A part of the result.
  enum Part: Sendable {
    /// The encoded text.
    case text
    /// Ids that are always the same.
    case tokens([Int32])
  }

  /// The parts of the result, in order.
  let parts: [Part]

  /// Reads the component; nil stands for a missing one, which adds nothing.
  init(_ component: Component?) throws(Failure) {
    let templates = try component.map(Self.templates) ?? []
    guard templates.count <= 1 else {
      throw Failure(
        .badData, operation: "read post_processor", subject: component?.subject ?? "",
        expected: "at most one processor that adds tokens", got: "\(templates.count)")
    }
    parts = templates.first ?? [.text]
  }

  /// How many tokens are added.
  var addedCount: Int {
    parts.reduce(0) { count, part in
      if case .tokens(let identifiers) = part { count + identifiers.count } else { count }
    }
  }

  /// Puts the parts around encoded text, the added tokens only if asked for.
  func apply(to identifiers: [Int32], addSpecialTokens: Bool) -> [Int32] {
    parts.flatMap { part in
      switch part {
      case .text: identifiers
      case .tokens(let added): addSpecialTokens ? added : []
      }
    }
  }

  /// The templates of all processors in a component that add tokens.
  private static func templates(of component: Component) throws(Failure) -> [[Part]] {
    let type = try component.type
    switch type {
    case "Sequence":
      var templates: [[Part]] = []
      for element in try component.member("processors").elements { templates += try Self.templates(of: element) }
      return templates
    // Changes what the tokens say about their places in the text, not the tokens.
    case "ByteLevel": return []
    case "TemplateProcessing": return [try template(component)]
    case "BertProcessing", "RobertaProcessing":
      return [[.tokens([try special(component, "cls")]), .text, .tokens([try special(component, "sep")])]]
    default:
      throw component.unsupported(
        "the post-processor \"\(type)\"",
        known: "one of TemplateProcessing, ByteLevel, BertProcessing, RobertaProcessing, Sequence")
    }
  }

  private static func special(_ component: Component, _ name: String) throws(Failure) -> Int32 {
    let pair = try component.member(name).elements
    guard pair.count == 2 else {
      throw component.failure(expected: "\"\(name)\" as a token and its id", got: "\(pair.count) values")
    }
    return try pair[1].identifier
  }

  private static func template(_ component: Component) throws(Failure) -> [Part] {
    let specialTokens = try component.member("special_tokens")
    var parts: [Part] = []
    for piece in try component.member("single").elements {
      if let token = piece.optional("SpecialToken") {
        let name = try token.member("id").string
        var identifiers: [Int32] = []
        for identifier in try specialTokens.member(name).member("ids").elements {
          identifiers.append(try identifier.identifier)
        }
        parts.append(.tokens(identifiers))
      } else {
        let sequence = try piece.member("Sequence").member("id")
        guard try sequence.string == "A" else {
          throw sequence.failure(expected: "the sequence A", got: try sequence.string)
        }
        parts.append(.text)
      }
    }
    return parts
  }
}
