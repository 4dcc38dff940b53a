import Diagnostics
import Foundation
import Recall
import RecallCommand
import Testing

/// What commands say about themselves, and how options become recipes.
@Suite struct HelpTests {
  private func command(_ name: String) throws -> Command {
    try #require(RecallCommand.commands.first { $0.name == name })
  }

  private func options(_ arguments: [String], of name: String = "merge") throws -> ParsedOptions {
    try ParsedOptions(arguments, options: command(name).options, command: name, takesOperands: false)
  }

  @Test("every command explains itself, in lines that fit", arguments: RecallCommand.commands.map(\.name))
  func help(name: String) throws {
    let outcome = try RecallProcess.run([name, "--help"])
    let text = HelpText(try command(name), width: 80).text
    #expect(outcome.code == 0 && outcome.output == "\(text)\n")
    #expect(try RecallProcess.run(["help", name]).output == outcome.output)
    #expect(try RecallProcess.run(["--help"]).output.contains("recall \(name)"))
    for option in try command(name).options { #expect(outcome.output.contains("  \(option.name)"), "\(option.name)") }
    for width in [60, 80, 120] {
      let lines = HelpText(try command(name), width: width).text.split(separator: "\n")
      #expect(lines.allSatisfy { $0.count <= width }, "\(width)")
    }
  }

  @Test("the help of a merge has every field below its group, and every method")
  func groups() throws {
    let text = HelpText(try command("merge"), width: 80).text
    for group in RecipeField.Group.allCases {
      let section = try #require(text.components(separatedBy: "\n\n").first { $0.hasPrefix(group.rawValue) })
      for field in RecipeField.all(in: group) { #expect(section.contains("  \(field.option)"), "\(field.option)") }
    }
    for method in MergeMethods.all { #expect(text.contains("\n  \(method.name) "), "\(method.name)") }
  }

  @Test("the keys of recipes are documented, each with its option and the methods that use it")
  func recipes() throws {
    let rows = try RecallProcess.run(["help", "recipes"]).output.split(separator: "\n")
    #expect(rows.count == RecipeField.all.count + 2)
    for field in RecipeField.all {
      let row = try #require(rows.first { $0.contains("`\(field.option)") && $0.contains("\(field.key)`") })
      #expect(row.replacingOccurrences(of: "\\|", with: "").split(separator: "|").count == 5, "\(row)")
    }
    #expect(try RecallProcess.run(["help", "merg"]).diagnostics.contains("Did you mean merge?"))
  }

  @Test("an argument of every field is read", arguments: RecipeField.all.map(\.option))
  func arguments(option: String) throws {
    let field = try #require(RecipeField.all.first { $0.option == option })
    let words = field.choices + ["0.25", "7", "/model=/file"]
    let before = field == .weights ? ["--model", "/a"] : []
    let values = field.placeholder == nil ? [[option]] : words.map { [option, $0] }
    let plain = try MergeRecipe(options(before))
    let read = values.compactMap { try? MergeRecipe(options(before + $0)) }
    #expect(read.contains { $0 != plain })
    guard field.placeholder != nil, field.type != .text || !field.choices.isEmpty, field != .models else { return }
    let refused = #expect(throws: Failure.self) { try MergeRecipe(options(before + [option, "\u{1}"])) }
    #expect(refused?.subject == option && refused?.got == "\"\u{1}\"")
  }

  @Test("an option that is misspelt is answered by the nearest", arguments: RecipeField.all.map(\.option))
  func nearestOption(option: String) throws {
    let refused = #expect(throws: Failure.self) { try options(["\(option)x"]) }
    #expect(refused?.advice == "Did you mean \(option)?")
  }

  @Test("weights belong to the models before them")
  func models() throws {
    let arguments = ["--model", "/a", "--weight", "0.5", "--model", "/b", "--samples-for", "/b=/f"]
    let recipe = try MergeRecipe(options(arguments))
    #expect(recipe.models == ["/a", "/b"] && recipe.weights == [0.5, nil] && recipe.samplesOfModels == ["/b": "/f"])
  }
}
