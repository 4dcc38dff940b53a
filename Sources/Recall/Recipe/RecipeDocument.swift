import Checkpoint
import Diagnostics
import JSON

// A recipe as JSON: what users write and what reports keep. `RecipeField` says what every key means.
extension MergeRecipe {
  /// The fields that are keys of a document.
  private static let keyed = RecipeField.all.filter { $0.place == .document }

  /// Reads a recipe from a file: the document itself, or the `recipe` of a recall.json.
  ///
  /// - Throws: `Failure` that names the file and the key at fault.
  public init(path: String) throws(Failure) {
    let document = try JSONValue(parsing: readFile(path), from: path, operation: "read the recipe")
    try self.init(json: document["recipe"] ?? document, from: path)
  }

  /// Reads a recipe that a user wrote; relative paths count from the current directory, and a `null` says nothing.
  ///
  /// - Parameters:
  ///   - json: The document.
  ///   - source: Where it is from, for errors.
  /// - Throws: `Failure` of category `usage` that names the key: one that is unknown, that the document's method has no use
  ///   for, or whose value is none.
  public init(json: JSONValue, from source: String) throws(Failure) {
    func failure(_ what: String, expected: String, got: String, advice: String = "") -> Failure {
      Failure(
        .usage, operation: "read the recipe", subject: "\(source), \(what)", expected: expected, got: got,
        advice: advice)
    }
    self.init()
    guard let object = json.object else { throw failure("the document", expected: "a JSON object", got: json.kind) }
    let method = try object["method"]?.string.map { name throws(Failure) in try MergeMethods.named(name) }
    for member in object.members {
      guard let field = MergeRecipe.keyed.first(where: { $0.key == member.key }) else {
        let keys = MergeRecipe.keyed.map(\.key)
        throw failure(
          "the key \"\(member.key)\"", expected: "one of \(keys.joined(separator: ", "))", got: "an unknown one",
          advice: nearest(to: member.key, among: keys).map { "Did you mean \"\($0)\"?" } ?? "")
      }
      guard !member.value.isNull else { continue }
      if let method, !method.uses(field) {
        throw failure(
          "the key \"\(member.key)\"", expected: "keys of the method \(method.name)", got: "one that it has no use for")
      }
      guard field.read(member.value, &self) else {
        throw failure(
          "\"\(member.key)\"", expected: field.expected, got: member.value.compact,
          advice: field.advice(for: member.value))
      }
    }
  }

  /// Reads what a report keeps of a recipe, be it of another version: unknown keys are passed over, and an unknown
  /// method is kept by its name.
  ///
  /// - Parameters:
  ///   - object: The document.
  ///   - failure: Makes the failure for a known key whose value is none.
  /// - Throws: What `failure` makes of what was expected and found.
  init(kept object: JSONObject, failure: (String, JSONValue?) -> Failure) throws(Failure) {
    self.init()
    for field in MergeRecipe.keyed {
      guard let value = object[field.key], !value.isNull, !field.read(value, &self) else { continue }
      guard field == .method, let name = value.string else {
        throw failure("a recipe whose \"\(field.key)\" is \(field.expected)", value)
      }
      method = name
    }
  }

  /// The options that the method uses, as used.
  public var json: JSONValue {
    let method = MergeMethods.all.first { $0.name == self.method }
    return json(of: MergeRecipe.keyed.filter { $0 == .method || method?.uses($0) == true })
  }

  /// Some options, in the order given.
  func json(of fields: [RecipeField]) -> JSONValue { .object(JSONObject(fields.map { ($0.key, $0.write(self)) })) }
}
