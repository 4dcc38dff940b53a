import Compute
import Diagnostics
import JSON
import Recall

extension Command {
  /// What models know, task by task.
  static let evaluate = Command(
    name: "evaluate", summary: "scores models on tasks and shows what they keep",
    options: [
      CommandOption(name: "--model", placeholder: "DIR", help: "a model; repeats", repeats: true),
      CommandOption.adapterBase,
      CommandOption(
        name: "--tasks", placeholder: "FILE",
        help: "JSON lines with prompt and answer; with prompt, choices and answer; or with text; repeats", repeats: true
      ),
      CommandOption(
        name: "--reference", placeholder: "DIR",
        help: "one of the models, whose scores can be forgotten; of several the best on each task counts; repeats",
        repeats: true),
      CommonOptions.json,
    ] + CommonOptions.execution
  ) { options in
    let evaluation = try Evaluation(
      models: options.all("--model"), base: options.value("--base"), tasks: options.all("--tasks"),
      references: options.all("--reference"))
    let memory = try CommonOptions.memory(options)
    let device = try Device(options)
    let printer = try ProgressPrinter(options)
    defer { printer.finish() }
    let progress = printer.progress
    let report = try await device.open(telling: printer).queue.perform { backend in
      try evaluation.run(memoryBudget: memory, on: backend, progress: progress)
    }
    printer.finish()
    try printLine(options.has(CommonOptions.json.name) ? report.json.formatted : report.table)
  }
}
