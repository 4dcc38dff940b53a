/// Why an operation could not be done, in words a user can act on.
///
/// Every reader, parser and stage of Recall throws this one type. It says what was being done, to which file, model or
/// option, what was expected, what was found instead, and what to do about it.
public struct Failure: Error, Equatable, Sendable {
  /// The class of a failure; it decides the exit code of the command.
  public enum Category: Sendable {
    /// The command line or the recipe asks for something that does not exist or contradicts itself.
    case usage
    /// An input was read and is not what it has to be.
    case badData
    /// An input does not exist or cannot be opened.
    case missingInput
    /// An output cannot be created.
    case cannotCreate
    /// The system failed to read or write.
    case inputOutput
    /// The work can be taken up again later: it was stopped, or a device or an output is taken.
    case tryAgain
    /// Recall itself is at fault.
    case internalError
  }

  /// The class of the failure.
  public let category: Category
  /// What was being done, such as `read safetensors header`.
  public let operation: String
  /// The file, model, option or tensor concerned.
  public let subject: String
  /// What had to be the case.
  public let expected: String
  /// What was the case instead.
  public let got: String
  /// What the user can do; empty where `expected` already says it.
  public let advice: String

  /// The same failure with one more thing that the user can do.
  public func advising(_ more: String) -> Failure {
    Failure(
      category, operation: operation, subject: subject, expected: expected, got: got,
      advice: advice.isEmpty ? more : "\(advice) \(more)")
  }

  /// Describes one failure.
  public init(
    _ category: Category, operation: String, subject: String, expected: String, got: String, advice: String = ""
  ) {
    self.category = category
    self.operation = operation
    self.subject = subject
    self.expected = expected
    self.got = got
    self.advice = advice
  }
}

extension Failure: CustomStringConvertible {
  /// The failure as one paragraph.
  public var description: String {
    let facts = "\(subject): cannot \(operation): expected \(expected), got \(got)."
    return advice.isEmpty ? facts : "\(facts) \(advice)"
  }
}

extension Failure.Category {
  /// The exit code of a command that fails this way, as in `sysexits.h`.
  public var exitCode: Int32 {
    switch self {
    case .usage: 64
    case .badData: 65
    case .missingInput: 66
    case .internalError: 70
    case .cannotCreate: 73
    case .inputOutput: 74
    case .tryAgain: 75
    }
  }
}
