import Checkpoint
import Compute
import Diagnostics

/// What models know: every model on every task, each item scored in one forward pass.
public struct Evaluation: Sendable {
  private let models: [Model]
  private let tasks: [TaskFile]
  private let references: [Int]

  /// Opens models and tasks and checks that they fit together as far as can be seen without a pass.
  ///
  /// - Parameters:
  ///   - paths: The model directories, in the order of the report.
  ///   - base: The base of those that are adapters.
  ///   - taskPaths: The task files, in the order of the report.
  ///   - references: Those of the models whose best score on a task is what can be forgotten.
  /// - Throws: `Failure` that names the model, the line or the option.
  public init(
    models paths: [String], base: String? = nil, tasks taskPaths: [String], references: [String]
  ) throws(Failure) {
    func usage(_ option: String, expected: String, got: String, advice: String = "") -> Failure {
      Failure(.usage, operation: "evaluate", subject: option, expected: expected, got: got, advice: advice)
    }
    guard !paths.isEmpty else { throw usage("--model", expected: "at least one model", got: "none") }
    guard !taskPaths.isEmpty else { throw usage("--tasks", expected: "at least one task file", got: "none") }
    models = try paths.map { path throws(Failure) in try Model(directory: path, base: base) }
    tasks = try taskPaths.map { path throws(Failure) in try TaskFile(path: path) }
    for (index, task) in tasks.enumerated() {
      guard let twin = tasks[..<index].first(where: { $0.name == task.name }) else { continue }
      throw usage(
        "--tasks", expected: "a name for each task", got: "\"\(task.name)\" for \(twin.path) and \(task.path)",
        advice: "A task is called by its file's name without endings.")
    }
    let opened = models.map(\.path)
    self.references = try references.map { reference throws(Failure) in
      guard let index = opened.firstIndex(of: absolutePath(reference)) else {
        throw usage(
          "--reference", expected: "one of the models", got: reference, advice: "Name it with --model as well.")
      }
      return index
    }
  }

  /// Runs every model over all tasks.
  ///
  /// - Parameters:
  ///   - memoryBudget: The most bytes of memory to use; `nil` for 1 GiB of residual stream.
  ///   - backend: The device.
  ///   - progress: Who watches.
  /// - Returns: The scores of every item.
  /// - Throws: `Failure` or `DeviceError`.
  public func run(
    memoryBudget: Int? = nil, on backend: any ComputeBackend, progress: MergeProgress = .unwatched
  ) throws -> EvaluationReport {
    // Everything is encoded before the first pass, so that a bad line is found at once.
    let encoded = try models.map { model throws(Failure) in
      try tasks.map { task throws(Failure) in try TaskEncoder(model: model).encode(task) }
    }
    let plans = try zip(models, encoded).map { model, tasks throws(Failure) in
      try PassMemory(
        of: model, lengths: tasks.joined().joined().map(\.input.count),
        beside: HeadScores.byteCount(model.configuration), on: backend
      ).stateBudget(within: memoryBudget)
    }
    let scores = try models.indices.map { number in
      let stage = "evaluate \(number + 1)/\(models.count)"
      let scoring = TokenScoring(models[number], stateBudget: plans[number], on: backend)
      let sequences = Array(encoded[number].joined().joined())
      var tokens = try scoring.scores(of: sequences) { progress(stage, $0, of: $1, unit: "layers") }[...]
      return zip(tasks, encoded[number]).map { task, sequences in
        zip(task.items, sequences).map { item, sequences in
          defer { tokens = tokens.dropFirst(sequences.count) }
          return ItemScore(item.question, tokens: Array(tokens.prefix(sequences.count)))
        }
      }
    }
    return EvaluationReport(
      models: models.map(\.path), tasks: tasks.map { .init(name: $0.name, metric: $0.metric) }, scores: scores,
      references: references)
  }
}

/// What one item adds to a task's mean.
public struct ItemScore: Sendable, Equatable {
  /// 1 or 0 for an answer that is right or wrong; the negative log-likelihood of a text.
  public let amount: Double
  /// What it counts for: 1 for an answer, the number of scored tokens for a text.
  public let weight: Double

  /// An item's score.
  public init(amount: Double, weight: Double) {
    self.amount = amount
    self.weight = weight
  }

  /// Judges an item by the scores of its tokens, one list for each choice or one in all.
  init(_ question: TaskItem.Question, tokens: [[TokenScore]]) {
    switch question {
    case .completion: self.init(amount: tokens.joined().allSatisfy(\.isBest) ? 1 : 0, weight: 1)
    case .choice(_, _, let answer):
      let likelihoods = tokens.map { choice in
        choice.reduce(0) { $0 + $1.logProbability } / Double(choice.count)
      }
      self.init(amount: likelihoods.firstIndex(of: likelihoods.max() ?? 0) == answer ? 1 : 0, weight: 1)
    case .text:
      self.init(
        amount: -tokens.joined().reduce(0) { $0 + $1.logProbability },
        weight: Double(tokens.reduce(0) { $0 + $1.count }))
    }
  }
}
