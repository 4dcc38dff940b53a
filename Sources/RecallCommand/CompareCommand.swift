import Checkpoint
import Compute
import Diagnostics
import Foundation
import JSON
import Recall

extension Command {
  /// What a merge would find, without merging.
  static let compare = Command(
    name: "compare", operands: "A B …",
    summary: "shows how alike models are, layer by layer: directories with --samples, or extracts",
    options: [
      CommandOption(.anchor),
      CommandOption(.base, help: "the base of adapters; selects the samples without an anchor (default: A)"),
      .recipe,
    ] + CommandOption.all(of: RecipeField.all(in: .samples) + RecipeField.all(in: .similarity)) + [
      CommandOption(name: "--output", placeholder: "PAGE.html", help: "also writes the figures as a page to look at"),
      CommonOptions.overwrite, CommonOptions.json,
    ] + CommonOptions.execution
  ) { options in
    var recipe = try MergeRecipe(options)
    if !options.operands.isEmpty { recipe.models = options.operands.map(absolutePath) }
    let inputs = recipe.models + [recipe.anchor, recipe.base, recipe.samples].compactMap { $0 }
    let output = try options.value("--output").map { _ throws(Failure) in
      try CommonOptions.outputFile(options, inputs: inputs)
    }
    let memory = try CommonOptions.memory(options)
    let device = try Device(options)
    let extracts = try extracts(of: recipe)
    if recipe.anchor == nil, recipe.base == nil, recipe.typicalFrom == nil { recipe.typicalFrom = recipe.models.first }
    let printer = try ProgressPrinter(options)
    defer { printer.finish() }
    let progress = printer.progress
    let asked = recipe
    let report = try await device.open(telling: printer).queue.perform { backend in
      let merge = HierarchicalMerge(asked, memoryBudget: memory, on: backend, progress: progress)
      guard let extracts else {
        return try merge.compare(scratchDirectory: FileManager.default.temporaryDirectory.path)
      }
      return try merge.weigh(anchor: extracts.anchor, others: extracts.others)
    }
    printer.warn(report.warnings)
    if let output {
      try writeFile(
        Array(report.page(isMerge: false).html.utf8), to: output, overwrite: options.has("--overwrite"))
    }
    if options.has("--json") {
      try printLine(JSONValue.object(report.json).formatted)
    } else {
      try printLine([report.table, report.pairTable].filter { !$0.isEmpty }.joined(separator: "\n\n"))
      if let output { try printLine("\nThe page is \(output).") }
    }
  }

  /// The extracts to be compared; `nil` when models are.
  ///
  /// - Throws: `Failure` when some are files and others directories, or an extract cannot be read.
  private static func extracts(
    of recipe: MergeRecipe
  ) throws(Failure) -> (anchor: HiddenStateFile?, others: [HiddenStateFile])? {
    let paths = recipe.models + [recipe.anchor].compactMap { $0 }
    let directories = paths.filter { path in
      var isDirectory: ObjCBool = false
      return !FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) || isDirectory.boolValue
    }
    if directories.count == paths.count { return nil }
    if let directory = directories.first {
      throw Failure(
        .usage, operation: "compare", subject: directory, expected: "an extract beside other extracts",
        got: "a directory or nothing", advice: "Compare models with --samples, or extracts of all of them.")
    }
    return (
      try recipe.anchor.map { path throws(Failure) in try HiddenStateFile(path: path) },
      try recipe.models.map { path throws(Failure) in try HiddenStateFile(path: path) }
    )
  }
}
