import Diagnostics
import JSON

/// What is measured on a task; all lines of a task file ask for the same.
public enum TaskMetric: String, Sendable {
  /// The share of answers that greedy decoding writes token by token.
  case exactMatch = "exact-match"
  /// The share of questions whose right choice has the largest log-likelihood per token.
  case accuracy
  /// exp of the mean negative log-likelihood of a token.
  case perplexity

  /// Whether larger is better and 1 the best, so that tasks can be averaged.
  public var isAccuracy: Bool { self != .perplexity }
}

/// One line of a task file.
public struct TaskItem: Sendable, Equatable {
  /// What a model is asked.
  public enum Question: Sendable, Equatable {
    /// To write this answer after the prompt.
    case completion(prompt: String, answer: String)
    /// To find this one of the choices the likeliest after the prompt; counted from 0.
    case choice(prompt: String, choices: [String], answer: Int)
    /// To expect this text.
    case text(String)
  }

  /// The line, from 1.
  public let line: Int
  /// The question.
  public let question: Question

  /// What is measured with this kind of question.
  public var metric: TaskMetric {
    switch question {
    case .completion: .exactMatch
    case .choice: .accuracy
    case .text: .perplexity
    }
  }
}

/// A file of questions, JSON lines with one of: `prompt`, `choices` and `answer`; `prompt` and `answer`; `text`.
///
/// The first of these that a line has counts. The answer to a choice is the choice itself or its number from 0.
public struct TaskFile: Sendable {
  /// The path, as given.
  public let path: String
  /// The file's name without its endings.
  public let name: String
  /// The questions in order; at least one.
  public let items: [TaskItem]

  /// What is measured.
  public var metric: TaskMetric { items[0].metric }

  /// Reads a file; blank lines are skipped.
  ///
  /// - Throws: `Failure` that names the line that is no question, or is one of another kind than the first.
  public init(path: String) throws(Failure) {
    self.path = path
    let fileName = path.split(separator: "/").last ?? ""
    name = String(fileName.prefix { $0 != "." })
    var items: [TaskItem] = []
    for line in try textLines(of: path, operation: "read the task") {
      let subject = "\(path), line \(line.number)"
      let json = try JSONValue(parsing: Array(line.text.utf8), from: subject, operation: "read the task")
      let item = TaskItem(line: line.number, question: try TaskItem.Question(json: json, subject: subject))
      if let first = items.first, first.metric != item.metric {
        throw Failure(
          .badData, operation: "read the task", subject: subject,
          expected: "a question of one kind throughout, \(first.metric.rawValue) as in line \(first.line)",
          got: item.metric.rawValue, advice: "Give each kind a file of its own.")
      }
      items.append(item)
    }
    guard !items.isEmpty else {
      throw Failure(
        .badData, operation: "read the task", subject: path, expected: "at least one question", got: "an empty file",
        advice: TaskItem.Question.forms)
    }
    self.items = items
  }
}

extension TaskItem.Question {
  fileprivate static let forms =
    "Give JSON lines with \"prompt\" and \"answer\", with \"prompt\", \"choices\" and \"answer\", or with \"text\"."

  init(json: JSONValue, subject: String) throws(Failure) {
    func failure(_ expected: String, _ got: JSONValue?, _ advice: String = Self.forms) -> Failure {
      Failure(
        .badData, operation: "read the task", subject: subject, expected: expected, got: got?.compact ?? "none",
        advice: advice)
    }
    guard let object = json.object else { throw failure("a JSON object", json) }
    func text(_ key: String) throws(Failure) -> String {
      guard let text = json[key]?.string else { throw failure("\"\(key)\" to be a text", json[key]) }
      return text
    }

    if let choices = json["choices"] {
      let texts = choices.array?.compactMap(\.string) ?? []
      guard texts.count >= 2, texts.count == choices.array?.count else {
        throw failure("\"choices\" to be two texts or more", choices)
      }
      guard let answer = json["answer"] else {
        throw failure("an \"answer\" beside the choices", nil, "Give the right choice, or its number from 0.")
      }
      let index = answer.string.flatMap { answer in texts.firstIndex { ExactString($0) == ExactString(answer) } }
      guard let right = index ?? answer.integer, texts.indices.contains(right) else {
        throw failure("\"answer\" to be one of the choices or its number from 0", answer, "")
      }
      self = .choice(prompt: try text("prompt"), choices: texts, answer: right)
    } else if json["prompt"] != nil, json["answer"] != nil {
      self = .completion(prompt: try text("prompt"), answer: try text("answer"))
    } else if json["text"] != nil {
      self = .text(try text("text"))
    } else if json["prompt"] != nil {
      throw failure("an \"answer\" to the prompt", nil)
    } else {
      let keys = object.members.map { "\"\($0.key)\"" }.joined(separator: ", ")
      throw Failure(
        .badData, operation: "read the task", subject: subject, expected: "a question", got: keys.isEmpty ? "{}" : keys,
        advice: Self.forms)
    }
  }
}
