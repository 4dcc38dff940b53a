import Checkpoint
import Diagnostics
import Recall

extension Command {
  /// A merge as stages for a scheduler.
  static let plan = Command(
    name: "plan", summary: "prints the stages of a merge, with commands and costs, for a scheduler",
    options: [
      .recipe,
      CommandOption(name: "--output", placeholder: "DIR", help: "the directory to be created, on shared storage"),
      CommandOption(name: "--parts", placeholder: "N", help: "how many tasks fuse (default: 1)"),
      CommandOption(
        name: "--work", placeholder: "DIR",
        help: "where samples, extracts and weights are kept, on shared storage (default: the output with .stages)"),
      CommandOption(name: "--format", placeholder: "shell|slurm|json", help: "what to print (default: shell)"),
      CommandOption(name: "--stage", placeholder: "NAME", help: "print the commands of one stage only, one a line"),
      CommandOption(
        name: "--task-rate", placeholder: "BYTES", help: "what a task reads and writes in a second (default: 1e9)"),
      CommandOption(
        name: "--storage-rate", placeholder: "BYTES",
        help: "what the storage gives all tasks together in a second (default: not bounded)"),
      CommandOption(
        name: "--compute-rate", placeholder: "NUMBER",
        help: "the floating-point operations of a task in a second (default: 1e12)"),
      Device.option,
    ]
  ) { options in
    let path = try options.required("--recipe")
    let output = try options.required("--output")
    let format = try options.parsed("--format", "shell, slurm or json", PlanFormat.init(rawValue:)) ?? .shell
    let parts =
      try options.parsed("--parts", "a whole number from 1 to \(Part.mostParts)") { text in
        Int(text).flatMap { (1...Part.mostParts).contains($0) ? $0 : nil }
      } ?? 1
    let rates = try rates(options)
    let work = options.value("--work") ?? absolutePath(output) + ".stages"
    let recipe = try MergeRecipe(options)
    let plan = try await Device(options).open(telling: ProgressPrinter(options)).queue.perform { backend in
      try StagePlan(recipe, from: path, parts: parts, work: work, output: output, on: backend)
    }
    if let stage = options.value("--stage") {
      guard let commands = plan.commands(of: stage) else {
        let names = plan.stages.map(\.name).joined(separator: ", ")
        throw Failure(.usage, operation: "plan", subject: "--stage", expected: "one of \(names)", got: "\"\(stage)\"")
      }
      return try printLine(commands)
    }
    switch format {
    case .shell: try printLine(plan.shellScript(at: rates))
    case .slurm: try printLine(plan.slurmScript(at: rates))
    case .json: try printLine(plan.json(at: rates).formatted)
    }
  }

  private enum PlanFormat: String {
    case shell, slurm, json
  }

  private static func rates(_ options: ParsedOptions) throws(Failure) -> ClusterRates {
    func rate(_ name: String, _ value: inout Double) throws(Failure) {
      let given = try options.parsed(name, "a positive number, such as 2.5e9") { text in
        Double(text).flatMap { $0 > 0 && $0 < 1e18 ? $0 : nil }
      }
      if let given { value = given }
    }
    var rates = ClusterRates()
    try rate("--task-rate", &rates.task)
    try rate("--storage-rate", &rates.storage)
    try rate("--compute-rate", &rates.operations)
    return rates
  }
}
