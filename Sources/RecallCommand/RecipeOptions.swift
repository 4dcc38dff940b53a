import Checkpoint
import Diagnostics
import JSON
import Recall

extension CommandOption {
  /// A recipe in a file.
  static let recipe = CommandOption(
    name: "--recipe", placeholder: "FILE", help: "a JSON recipe, as recall.json keeps it; options outrank it"
  ).grouped(.models)

  /// The base, for commands that need it for adapters only.
  static let adapterBase = CommandOption(.base, help: "the base of an adapter")

  /// The option of a field of recipes.
  ///
  /// - Parameters:
  ///   - field: The field.
  ///   - help: What it does in this command, where that is not what it does in a merge.
  init(_ field: RecipeField, help: String? = nil) {
    self.init(
      name: field.option, placeholder: field.placeholder, help: help ?? field.help, repeats: field.repeats,
      group: field.group.rawValue)
  }

  /// The options of fields.
  static func all(of fields: [RecipeField]) -> [CommandOption] { fields.map { CommandOption($0) } }
}

extension MergeRecipe {
  /// Reads the recipe of a command: what its recipe file says, and what its options say, which outrank the file.
  ///
  /// - Throws: `Failure` that names the option, or the file and the key.
  package init(_ options: ParsedOptions) throws(Failure) {
    self.init()
    if let path = options.value(CommandOption.recipe.name) { self = try MergeRecipe(path: path) }
    try readModels(options)
    for field in RecipeField.all where field != .models && field != .weights {
      for text in options.all(field.option) {
        try read(field, field.json(ofArgument: text), options, got: text)
      }
    }
  }

  /// Reads the models, and the weight behind each of them.
  private mutating func readModels(_ options: ParsedOptions) throws(Failure) {
    var paths: [JSONValue] = []
    var weights: [JSONValue] = []
    for (name, text) in options.sequence {
      switch name {
      case RecipeField.models.option:
        paths.append(.string(text))
        weights.append(.null)
      case RecipeField.weights.option:
        guard let last = weights.indices.last, weights[last].isNull else {
          throw options.failure(
            name, expected: "one behind a --model", got: "\(text) behind none",
            advice: "Every --weight belongs to the --model before it.")
        }
        weights[last] = RecipeField.weights.json(ofArgument: text)
        try read(.weights, .array(weights), options, got: text)
      default: break
      }
    }
    guard !paths.isEmpty else { return }
    try read(.models, .array(paths), options, got: "")
    try read(.weights, .array(weights), options, got: "")
  }

  /// Sets what an option says.
  private mutating func read(
    _ field: RecipeField, _ json: JSONValue, _ options: ParsedOptions, got text: String
  ) throws(Failure) {
    guard field.read(json, &self) else {
      throw options.failure(
        field.option, expected: field.expected, got: "\"\(text)\"", advice: field.advice(for: json))
    }
  }
}
