import Diagnostics
import Foundation
import JSON
import Recall
import TestSupport
import Testing

/// The table of options: what it promises of every row, whichever rows there are.
@Suite struct RecipeFieldTests {
  private let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  /// Fields that are keys of a document.
  private static let keyed = RecipeField.all.filter { $0 != .weights && $0 != .samplesFor }

  /// A value of a field that is not its standard, as an argument would say it.
  private func value(of field: RecipeField) throws -> JSONValue {
    let words = field.choices + ["0.25", "7", "/model=/file"]
    let values = words.map { word -> JSONValue in
      let value = field.json(ofArgument: word)
      return field == .models || field == .weights ? [value] : value
    }
    let plain = MergeRecipe()
    return try #require(
      values.first { value in
        var recipe = plain
        return field.read(value, &recipe) && field.write(recipe).compact != field.write(plain).compact
      }, "\(field.option)")
  }

  /// A recipe in which no field has its standard value.
  private func fullRecipe() throws -> MergeRecipe {
    var recipe = MergeRecipe()
    for field in RecipeField.all { #expect(field.read(try value(of: field), &recipe), "\(field.option)") }
    // Samples are written with the model that has them.
    recipe.models = Array(recipe.samplesOfModels.keys)
    return recipe
  }

  @Test("keys and options are unique, and every row says what it is")
  func rows() {
    #expect(Set(RecipeField.all.map(\.option)).count == RecipeField.all.count)
    #expect(Set(Self.keyed.map(\.key)).count == Self.keyed.count)
    for field in RecipeField.all {
      #expect(field.option.hasPrefix("--") && !field.help.isEmpty && !field.expected.isEmpty, "\(field.option)")
      #expect(MergeMethods.all.contains { $0.uses(field) }, "\(field.option)")
    }
  }

  @Test("every field is read from a document and written as it was", arguments: RecipeField.all.map(\.option))
  func roundTrip(option: String) throws {
    let field = try #require(RecipeField.all.first { $0.option == option })
    let value = try value(of: field)
    var recipe = MergeRecipe()
    #expect(field.read(value, &recipe))
    let written = field.write(recipe)
    #expect(written.compact != field.write(MergeRecipe()).compact)
    var again = MergeRecipe()
    #expect(field.read(written, &again) && again == recipe)
    #expect(field.write(again).compact == written.compact)
    // Nothing but a value of its own is taken, and what is not taken changes nothing.
    for wrong: JSONValue in [["a": 1], [true], "\u{1}"] where !field.read(wrong, &again) { #expect(again == recipe) }
    guard Self.keyed.contains(field) else { return }
    let document: JSONValue = .object(JSONObject([(field.key, value)]))
    #expect(try MergeRecipe(json: document, from: "recipe") == recipe)
    #expect(try MergeRecipe(json: .object(JSONObject([(field.key, .null)])), from: "recipe") == MergeRecipe())
  }

  @Test(
    "a document has what its method uses, in the order of the table, and reads back",
    arguments: MergeMethods.all.map(\.name))
  func documents(method: String) throws {
    var recipe = try fullRecipe()
    recipe.method = method
    let used = try MergeMethods.named(method)
    let json = recipe.json
    #expect(json.object?.members.map(\.key) == Self.keyed.filter(used.uses).map(\.key))
    let again = try MergeRecipe(json: json, from: "recipe")
    #expect(again.json.compact == json.compact)
    #expect(used.fields.allSatisfy { $0.write(again).compact == $0.write(recipe).compact })
  }

  @Test("what a method has no use for is refused by its name", arguments: MergeMethods.all.map(\.name))
  func unused(method name: String) throws {
    let method = try MergeMethods.named(name)
    for field in RecipeField.all where !method.uses(field) {
      var recipe = MergeRecipe()
      recipe.method = name
      let given = failure { try recipe.checkUse(of: [field]) }
      #expect(given?.category == .usage && given?.subject == field.option, "\(field.option)")
      #expect(given?.advice.isEmpty == false, "\(field.option)")
      if Self.keyed.contains(field) {
        let document: JSONValue = .object(JSONObject([("method", .string(name)), (field.key, try value(of: field))]))
        let refused = failure { _ = try MergeRecipe(json: document, from: "recipe") }
        #expect(refused?.subject == "recipe, the key \"\(field.key)\"", "\(field.option)")
      } else {
        // What models carry is seen wherever it came from.
        #expect(field.read(try value(of: field), &recipe))
        #expect(failure { try recipe.checkUse(of: []) }?.subject == field.option, "\(field.option)")
      }
    }
  }

  @Test("keys and names that are misspelt are answered by the nearest")
  func nearestNames() throws {
    for field in Self.keyed {
      let document: JSONValue = .object(JSONObject([("\(field.key)x", 1)]))
      let refused = failure { _ = try MergeRecipe(json: document, from: "recipe") }
      #expect(refused?.advice == "Did you mean \"\(field.key)\"?", "\(field.key)")
      for choice in field.choices {
        let document: JSONValue = .object(JSONObject([(field.key, .string("\(choice)x"))]))
        let refused = failure { _ = try MergeRecipe(json: document, from: "recipe") }
        #expect(refused?.advice == "Did you mean \(choice)?", "\(field.key) \(choice)")
      }
    }
  }

  @Test("a report keeps what it does not know of a recipe, and changes nothing that was not changed")
  func keptRecipes() throws {
    let recipe = """
      {"novel":[3],"method":"recall","temperature":1,"models":["/b","/a"],"dtype":null}
      """
    func report(_ recipe: String) throws -> MergeReport {
      let text = """
        {"format": "recall/1", "recipe": \(recipe), "models": [{"path": "/a", "digest": "\(digest)"}], "layers": []}
        """
      return try MergeReport(path: try directory.write(text, to: "recall.json"))
    }
    var read = try report(recipe)
    #expect(read.json["recipe"]?.compact == recipe)
    #expect(read.recipe.models == ["/b", "/a"] && read.recipe.weighing.temperature == 1)
    read.recipe.elementType = .bfloat16
    #expect(read.json["recipe"]?.compact == recipe.replacingOccurrences(of: "null", with: "\"bfloat16\""))
    let future = "{\"method\":\"later\",\"models\":[\"/a\"],\"scale\":2}"
    #expect(try report(future).json["recipe"]?.compact == future)
    let refused = failure { _ = try report("{\"scale\":\"two\"}") }
    #expect(refused?.category == .badData && refused?.expected.contains("\"scale\" is a finite number") == true)
  }

  private var digest: String { String(repeating: "0", count: 32) }
}
