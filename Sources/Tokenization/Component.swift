import Diagnostics
import JSON

/// One value inside a `tokenizer.json`, with the way to it, so that every complaint names its place.
struct Component {
  /// The value itself.
  let value: JSONValue
  /// Where it stands in the file, such as `pre_tokenizer.pretokenizers[1]`.
  let path: String
  /// The file.
  let subject: String

  /// The member of that name, or nil when it is missing or null.
  func optional(_ key: String) -> Component? {
    guard let member = value[key], !member.isNull else { return nil }
    return Component(value: member, path: path.isEmpty ? key : "\(path).\(key)", subject: subject)
  }

  /// The member of that name.
  func member(_ key: String) throws(Failure) -> Component {
    guard let member = optional(key) else { throw failure(expected: "a member \"\(key)\"", got: "none") }
    return member
  }

  /// The name in the member `type`, which decides what the component does.
  var type: String {
    get throws(Failure) { try member("type").string }
  }

  /// The value as a string.
  var string: String {
    get throws(Failure) {
      guard let string = value.string else { throw failure(expected: "a string", got: value.kind) }
      return string
    }
  }

  /// The value as UTF-8, the form in which texts are compared.
  var bytes: [UInt8] {
    get throws(Failure) { Array(try string.utf8) }
  }

  /// The value as a truth value.
  var bool: Bool {
    get throws(Failure) {
      guard let bool = value.bool else { throw failure(expected: "true or false", got: value.kind) }
      return bool
    }
  }

  /// The value as a token id.
  var identifier: Int32 {
    get throws(Failure) {
      guard let identifier = value.integer.flatMap(Int32.init(exactly:)), identifier >= 0 else {
        throw failure(expected: "a token id", got: value.compact)
      }
      return identifier
    }
  }

  /// The elements of an array.
  var elements: [Component] {
    get throws(Failure) {
      guard let elements = value.array else { throw failure(expected: "an array", got: value.kind) }
      return elements.enumerated().map { index, element in
        Component(value: element, path: "\(path)[\(index)]", subject: subject)
      }
    }
  }

  /// The members of an object.
  var members: [JSONObject.Member] {
    get throws(Failure) {
      guard let object = value.object else { throw failure(expected: "an object", got: value.kind) }
      return object.members
    }
  }

  /// A truth value that may be left out.
  func flag(_ key: String, default missing: Bool) throws(Failure) -> Bool {
    guard let member = optional(key) else { return missing }
    return try member.bool
  }

  /// The complaint that the file is not what it has to be here.
  func failure(expected: String, got: String) -> Failure {
    Failure(
      .badData, operation: "read \(path.isEmpty ? "the tokenizer" : path)", subject: subject, expected: expected,
      got: got)
  }

  /// The complaint that the file is well formed and asks for something this encoder does not do.
  func unsupported(_ what: String, known: String) -> Failure {
    Failure(
      .badData, operation: "read \(path)", subject: subject, expected: known, got: what,
      advice: "Encode the samples with the model's own tools and give them as input_ids.")
  }
}
