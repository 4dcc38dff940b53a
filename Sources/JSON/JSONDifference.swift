extension JSONValue {
  /// What differs first between two documents, in words such as `recipe.seed is 1 here and 0 there`.
  ///
  /// - Parameters:
  ///   - other: The document that is there.
  ///   - path: What the documents are called; may be empty.
  /// - Returns: `nil` when the documents are the same; the order of members does not matter.
  public func firstDifference(from other: JSONValue, at path: String) -> String? {
    JSONValue.firstDifference(self, other, at: path)
  }

  private static func firstDifference(_ here: JSONValue?, _ there: JSONValue?, at path: String) -> String? {
    func text(_ value: JSONValue?) -> String {
      guard let text = value?.compact else { return "missing" }
      return text.count > 80 ? text.prefix(80) + "…" : text
    }
    switch (here, there) {
    case (.object(let here)?, .object(let there)?):
      let keys = here.members.map(\.key) + there.members.map(\.key).filter { here[$0] == nil }
      return keys.lazy.compactMap { key in
        firstDifference(here[key], there[key], at: path.isEmpty ? key : "\(path).\(key)")
      }.first
    case (.array(let here)?, .array(let there)?) where here.count == there.count:
      return here.indices.lazy.compactMap { index in
        firstDifference(here[index], there[index], at: "\(path)[\(index)]")
      }.first
    default:
      return here?.compact == there?.compact ? nil : "\(path) is \(text(here)) here and \(text(there)) there"
    }
  }
}
