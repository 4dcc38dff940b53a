import Checkpoint
import Compute
import Diagnostics
import Foundation
import JSON
import Recall

extension Command {
  /// The whole method in one command.
  static let merge = Command(
    name: "merge", summary: "merges fine-tuned models into one",
    options: CommandOption.all(of: RecipeField.all) + [
      .recipe, CommonOptions.output, CommonOptions.overwrite, CommonOptions.resume,
      CommandOption(name: "--dry-run", placeholder: nil, help: "check everything and print the plan")
        .grouped(.output),
    ] + CommonOptions.execution
  ) { options in
    let recipe = try MergeRecipe(options)
    try recipe.checkUse(of: RecipeField.all.filter { options.has($0.option) })
    let method = try MergeMethods.named(recipe.method)
    let memory = try CommonOptions.memory(options)
    let device = try Device(options)
    let printer = try ProgressPrinter(options)
    defer { printer.finish() }
    if options.has("--dry-run") {
      let target = options.value("--output")
      try printLine(
        try await device.open(telling: printer).queue.perform { backend in
          try method.plan(recipe, output: target, memoryBudget: memory, on: backend)
        })
      return
    }
    let output = try options.required("--output")
    let overwrite = options.has("--overwrite")
    let progress = printer.progress
    let start = DispatchTime.now().uptimeNanoseconds
    let resume = options.has("--resume")
    let signals = StopSignals(output: output)
    let stop = signals.request
    let outcome = try await device.open(telling: printer).queue.perform { backend in
      let target = MergeTarget(output, overwrite: overwrite, resume: resume, stop: stop)
      return try method.merge(recipe, into: target, memoryBudget: memory, on: backend, progress: progress)
    }
    printer.finish()
    printer.warn(outcome.report.warnings)
    let seconds = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
    try printLine(outcome.report.table)
    if let timings = outcome.report.timings { try printLine("\n\(timings.text)") }
    try printLine(
      outcome.state == .finishedBefore
        ? "\n\(absolutePath(output)) was finished before by the same recipe; nothing is left to do."
        : "\nMerged into \(absolutePath(output)) in \(fixed(seconds, digits: 1)) s.")
  }

  /// The first stage.
  static let select = Command(
    name: "select", summary: "finds the typical samples of a pool",
    options: [CommandOption(.anchor), .adapterBase, .recipe] + CommandOption.all(of: RecipeField.all(in: .samples))
      + [CommonOptions.output, CommonOptions.overwrite] + CommonOptions.execution
  ) { options in
    let anchor = try options.required("--anchor")
    let recipe = try MergeRecipe(options)
    let output = try CommonOptions.outputFile(
      options, inputs: [anchor] + [recipe.base, recipe.samples].compactMap { $0 })
    let memory = try CommonOptions.memory(options)
    let device = try Device(options)
    let printer = try ProgressPrinter(options)
    defer { printer.finish() }
    let progress = printer.progress
    let signals = StopSignals(startingAfresh: output)
    defer { withExtendedLifetime(signals) {} }
    let typical = try await device.open(telling: printer).queue.perform { backend in
      try HierarchicalMerge(recipe, memoryBudget: memory, on: backend, progress: progress)
        .select(model: anchor, scratchDirectory: parentDirectory(of: output))
    }
    printer.finish()
    try writeFile(Array(typical.text.utf8), to: output, overwrite: options.has("--overwrite"))
    try printLine("Selected \(typical.samples.count) typical samples into \(absolutePath(output)).")
  }

  /// The second stage, once per model.
  static let extract = Command(
    name: "extract", summary: "runs one model over samples and keeps its representations",
    options: [
      CommandOption(name: "--model", placeholder: "DIR", help: "the model to run"), .adapterBase,
    ] + CommandOption.all(of: [.samples, .pooling, .maxTokens]) + [
      CommonOptions.output, CommonOptions.overwrite,
    ] + CommonOptions.execution
  ) { options in
    let model = try options.required("--model")
    let recipe = try MergeRecipe(options)
    let output = try CommonOptions.outputFile(
      options, inputs: [model] + [recipe.base, recipe.samples].compactMap { $0 })
    let memory = try CommonOptions.memory(options)
    let device = try Device(options)
    let printer = try ProgressPrinter(options)
    defer { printer.finish() }
    let progress = printer.progress
    let signals = StopSignals(startingAfresh: output)
    defer { withExtendedLifetime(signals) {} }
    let states = try await device.open(telling: printer).queue.perform { backend in
      try HierarchicalMerge(recipe, memoryBudget: memory, on: backend, progress: progress).extract(model: model)
    }
    printer.finish()
    try states.write(to: output, overwrite: options.has("--overwrite"))
    try printLine(
      "Extracted \(states.layers.count) layers of \(states.samples.count) samples into \(absolutePath(output)).")
  }

  /// The third stage.
  static let weigh = Command(
    name: "weigh", summary: "turns the representations of several models into weights",
    options: [
      CommandOption(name: "--anchor", placeholder: "FILE", help: "the anchor's extract"),
      CommandOption(name: "--model", placeholder: "FILE", help: "another model's extract; repeats", repeats: true),
    ] + CommandOption.all(of: RecipeField.all(in: .similarity) + [.base, .scale]) + [
      .recipe, CommonOptions.output, CommonOptions.overwrite, Device.option, CommonOptions.progress,
    ]
  ) { options in
    let device = try Device(options)
    let recipe = try MergeRecipe(options)
    let output = try CommonOptions.outputFile(options, inputs: recipe.models + [recipe.anchor].compactMap { $0 })
    let anchor = try recipe.anchor.map { path throws(Failure) in try HiddenStateFile(path: path) }
    let others = try recipe.models.map { path throws(Failure) in try HiddenStateFile(path: path) }
    let printer = try ProgressPrinter(options)
    let report = try await device.open(telling: printer).queue.perform { backend in
      try HierarchicalMerge(recipe, on: backend).weigh(anchor: anchor, others: others)
    }
    try writeFile(
      Array((JSONValue.object(report.json).formatted + "\n").utf8), to: output, overwrite: options.has("--overwrite"))
    printer.warn(report.warnings)
    try printLine(report.table)
    try printLine("\nWeights are in \(absolutePath(output)).")
  }

  /// The last stage.
  static let fuse = Command(
    name: "fuse", summary: "fuses models with weights that were computed before",
    options: [
      CommandOption(name: "--weights", placeholder: "FILE", help: "what weigh or a merge wrote"),
      CommandOption(name: "--anchor", placeholder: "DIR", help: "where the anchor is now, if it has moved"),
      CommandOption(name: "--model", placeholder: "DIR", help: "where a model is now; repeats", repeats: true),
      CommandOption(.base), CommandOption(.elementType), CommandOption(.allowNonFinite), CommonOptions.output,
      CommonOptions.overwrite, CommonOptions.resume, PartChoice.option, Device.option, CommonOptions.progress,
    ]
  ) { options in
    let weights = try options.required("--weights")
    let output = try options.required("--output")
    let overwrite = options.has("--overwrite")
    let recipe = try MergeRecipe(options)
    let moved = [recipe.anchor].compactMap { $0 } + recipe.models
    let device = try Device(options)
    let printer = try ProgressPrinter(options)
    defer { printer.finish() }
    let choice = try PartChoice.read(options)
    if let choice { printer.show(choice) }
    let part = choice?.part
    let report = try MergeReport(path: weights)
    let progress = printer.progress
    let resume = options.has("--resume")
    let signals = StopSignals(output: output)
    let stop = signals.request
    let outcome = try await device.open(telling: printer).queue.perform { backend in
      try HierarchicalMerge(recipe, on: backend, progress: progress)
        .fuse(
          report, from: weights, moved: moved, into: output, overwrite: overwrite, resume: resume, part: part,
          stop: stop)
    }
    printer.finish()
    try printLine(summary(outcome, part: part, output: absolutePath(output)))
  }

  private static func summary(_ outcome: MergeOutcome, part: Part?, output: String) -> String {
    let done = part.map { "Part \($0) of \(output) is finished" } ?? "\(output) is finished"
    switch outcome.state {
    case .finished: return "Fused \(outcome.report.models.count) models into \(output)."
    case .finishedBefore: return "\(output) was finished before with the same weights; nothing is left to do."
    case .completedElsewhere: return "\(done); another process completes the output."
    case .waiting(let parts):
      let numbers = parts.prefix(20).map { "\($0.number)" }.joined(separator: ", ")
      return "\(done). Still missing: \(numbers)\(parts.count > 20 ? " and \(parts.count - 20) more" : "")."
    }
  }
}
