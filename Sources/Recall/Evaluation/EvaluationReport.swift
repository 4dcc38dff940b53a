import Diagnostics
import Foundation
import JSON

/// A number that was measured on some items, and where it lies with 95 % confidence.
public struct Estimate: Sendable, Equatable {
  /// The number itself.
  public let value: Double
  /// The 2.5th and the 97.5th percentile of its bootstrap distribution.
  public let interval: ClosedRange<Double>

  /// Both as a document.
  var json: JSONValue { ["value": .double(value), "interval": intervalJSON] }
  var intervalJSON: JSONValue { [.double(interval.lowerBound), .double(interval.upperBound)] }
}

/// What an evaluation found.
///
/// Averages are over the tasks that measure a share of right answers. With references, a task's reference score is the
/// best that a reference reaches; forgetting is the mean over these tasks of what is lost of it, max(0, reference − score),
/// and backward transfer the mean of score − reference, gains included.
///
/// Intervals are percentiles of 2000 bootstrap samples (Efron 1979): items are drawn with replacement within each task, the
/// same for all models, from a fixed seed.
public struct EvaluationReport: Sendable {
  /// A task by name and what is measured on it.
  public struct Task: Sendable {
    /// The file's name without endings.
    public let name: String
    /// What is measured.
    public let metric: TaskMetric

    /// A task.
    public init(name: String, metric: TaskMetric) {
      self.name = name
      self.metric = metric
    }
  }

  /// A model over all tasks that measure a share.
  public struct Average: Sendable {
    /// The mean of the scores.
    public let score: Estimate
    /// What is lost of the references' scores; `nil` without a reference.
    public let forgetting: Estimate?
    /// What is lost and gained; `nil` without a reference.
    public let backwardTransfer: Estimate?
  }

  /// How many bootstrap samples an interval is made of.
  static let resamples = 2000
  private static let seed: UInt64 = 2510_20479

  /// The models' paths.
  public let models: [String]
  /// The tasks.
  public let tasks: [Task]
  /// Items by model and task.
  public let scores: [[[ItemScore]]]
  /// Which models are references.
  public let references: [Int]
  /// The measured value of every model on every task.
  public let results: [[Estimate]]
  /// One for each model; `nil` when no task measures a share.
  public let averages: [Average]?

  /// Sums up items: `scores[model][task][item]`.
  public init(models: [String], tasks: [Task], scores: [[[ItemScore]]], references: [Int]) {
    self.models = models
    self.tasks = tasks
    self.scores = scores
    self.references = references
    var random = SplitMix64(state: EvaluationReport.seed)
    let summaries = (0...EvaluationReport.resamples).map { number in
      let draws: [[Int]?] = tasks.indices.map { task in
        let items = scores.first?[task].count ?? 0
        return number == 0 ? nil : (0..<items).map { _ in Int(random.nextUnit() * Double(items)) }
      }
      return Summary(tasks: tasks, scores: scores, references: references, draws: draws)
    }
    let (measured, resampled) = (summaries[0], summaries.dropFirst())
    func estimate(_ read: (Summary) -> Double) -> Estimate {
      Estimate(value: read(measured), interval: EvaluationReport.interval(of: resampled.map(read)))
    }
    results = models.indices.map { model in
      tasks.indices.map { task in estimate { $0.values[model][task] } }
    }
    averages =
      tasks.contains { $0.metric.isAccuracy }
      ? models.indices.map { model in
        Average(
          score: estimate { $0.averages[model] },
          forgetting: references.isEmpty ? nil : estimate { $0.forgetting[model] },
          backwardTransfer: references.isEmpty ? nil : estimate { $0.backwardTransfer[model] })
      } : nil
  }

  /// The 2.5th and the 97.5th percentile, the nearest ranks.
  private static func interval(of values: [Double]) -> ClosedRange<Double> {
    let sorted = values.sorted()
    let outside = Int(0.025 * Double(sorted.count))
    return sorted[outside]...sorted[sorted.count - 1 - outside]
  }
}

/// All numbers of a report for one drawing of items.
private struct Summary {
  /// By model and task.
  let values: [[Double]]
  let averages: [Double]
  let forgetting: [Double]
  let backwardTransfer: [Double]

  /// `draws` has the items that count, by task; `nil` for each once.
  init(tasks: [EvaluationReport.Task], scores: [[[ItemScore]]], references: [Int], draws: [[Int]?]) {
    let values = scores.map { scores in
      zip(zip(tasks, scores), draws).map { task, draw in
        Summary.value(task.0.metric, draw.map { $0.map { task.1[$0] } } ?? task.1)
      }
    }
    let shares = tasks.indices.filter { tasks[$0].metric.isAccuracy }
    let reference = tasks.indices.map { task in references.map { values[$0][task] }.max() ?? 0 }
    func mean(_ read: (Int) -> Double) -> Double { shares.reduce(0) { $0 + read($1) } / Double(max(shares.count, 1)) }
    self.values = values
    averages = values.map { values in mean { values[$0] } }
    forgetting = values.map { values in mean { max(0, reference[$0] - values[$0]) } }
    backwardTransfer = values.map { values in mean { values[$0] - reference[$0] } }
  }

  private static func value(_ metric: TaskMetric, _ items: [ItemScore]) -> Double {
    let mean = items.reduce(0) { $0 + $1.amount } / items.reduce(0) { $0 + $1.weight }
    return metric == .perplexity ? exp(mean) : mean
  }
}

// MARK: For people and programs

extension EvaluationReport {
  /// The report as a document: a row for each model and task in the order given, averages apart.
  public var json: JSONValue {
    var rows: [JSONValue] = []
    for (model, path) in models.enumerated() {
      for (number, task) in tasks.enumerated() {
        let result = results[model][number]
        rows.append([
          "model": .string(path), "task": .string(task.name), "metric": .string(task.metric.rawValue),
          "value": .double(result.value), "items": .integer(scores[model][number].count),
          "interval": result.intervalJSON,
        ])
      }
    }
    let counted = tasks.count { $0.metric.isAccuracy }
    let averages = zip(models, averages ?? []).map { path, average -> JSONValue in
      var members: [(String, JSONValue)] = [
        ("model", .string(path)), ("tasks", .integer(counted)), ("value", .double(average.score.value)),
        ("interval", average.score.intervalJSON),
      ]
      if let forgetting = average.forgetting { members.append(("forgetting", forgetting.json)) }
      if let transfer = average.backwardTransfer { members.append(("backwardTransfer", transfer.json)) }
      return .object(JSONObject(members))
    }
    return [
      "results": .array(rows), "averages": .array(averages),
      "references": .array(references.map { .string(models[$0]) }),
    ]
  }

  /// The report as a table: under each number its interval.
  public var table: String {
    let names = models.enumerated().map { index, path in
      "  [\(index + 1)] \(path)\(references.contains(index) ? "  (reference)" : "")"
    }
    let measured = tasks.map { task in
      "  \(task.name): \(task.metric.rawValue)"
    }
    var head = ["model"] + tasks.map(\.name)
    if averages != nil { head.append("average") }
    if averages != nil && !references.isEmpty { head += ["forgetting", "transfer"] }
    var rows = [head]
    for model in models.indices {
      var estimates = results[model]
      if let average = averages?[model] {
        estimates.append(average.score)
        estimates += [average.forgetting, average.backwardTransfer].compactMap { $0 }
      }
      rows.append(["[\(model + 1)]"] + estimates.map { fixed($0.value, digits: 4) })
      rows.append(
        [""]
          + estimates.map { estimate in
            "\(fixed(estimate.interval.lowerBound, digits: 3))…\(fixed(estimate.interval.upperBound, digits: 3))"
          })
    }
    return """
      models
      \(names.joined(separator: "\n"))
      tasks
      \(measured.joined(separator: "\n"))

      value and 95 % interval of each model on each task
      \(aligned(rows))
      """
  }
}
