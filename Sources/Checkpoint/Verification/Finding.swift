import Diagnostics

/// Something that is wrong with an output.
public struct Finding: Equatable, Sendable {
  /// The file or tensor.
  public let subject: String
  /// What is wrong with it.
  public let problem: String

  /// Describes a finding.
  public init(_ subject: String, _ problem: String) {
    self.subject = subject
    self.problem = problem
  }

  /// What a check threw.
  public init(_ failure: Failure) {
    self.init(failure.subject, "expected \(failure.expected), got \(failure.got)")
  }
}
