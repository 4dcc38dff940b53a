import Compute
import Diagnostics
import JSON

/// How a case went on one backend.
public struct CaseReport: Sendable, Equatable {
  /// Whether a case passed.
  public enum Outcome: Sendable, Equatable {
    /// All as expected.
    case passed
    /// Not as expected, with what went wrong.
    case failed(String)
    /// Not run, with the reason.
    case skipped(String)
  }

  /// The operation's name.
  public let operation: String
  /// The shape in words.
  public let shape: String
  /// The element types.
  public let elementType: String
  /// The largest relative error found.
  public let error: Double
  /// The largest relative error allowed; 0 where the result is defined exactly.
  public let bound: Double
  /// The time that the operation took; `nil` where it did not come to run.
  public var time: DeviceTime?
  /// The floating point operations that the formula needs.
  public let flops: Int
  /// The bytes that have to be read and written at least.
  public let bytes: Int
  /// Whether it passed.
  public let outcome: Outcome

  /// Notes how a case went.
  public init(
    operation: String, shape: String, elementType: String, error: Double, bound: Double, time: DeviceTime?, flops: Int,
    bytes: Int, outcome: Outcome
  ) {
    self.operation = operation
    self.shape = shape
    self.elementType = elementType
    self.error = error
    self.bound = bound
    self.time = time
    self.flops = flops
    self.bytes = bytes
    self.outcome = outcome
  }

  /// The case in one phrase.
  public var name: String { "\(operation) \(shape) \(elementType)" }

  /// What kept the case from passing; `nil` when it passed.
  public var problem: String? {
    switch outcome {
    case .passed: nil
    case .failed(let reason), .skipped(let reason): reason
    }
  }

  /// Operations for each byte from where on arithmetic and not memory is what devices wait for: processors can do some 10
  /// for each byte that they read, GPUs without matrix units some 20.
  private static let intensityOfArithmetic = 10

  /// Whether the formula keeps the arithmetic of a device busier than its memory.
  public var isArithmetic: Bool { flops > CaseReport.intensityOfArithmetic * bytes }

  /// Operations or bytes per second, whichever the device waits for; `nil` for a case without work.
  public var rate: Double? { max(flops, bytes) > 0 ? rate(of: isArithmetic ? flops : bytes) : nil }

  /// So many operations or bytes in the time of this case, per second.
  public func rate(of amount: Int) -> Double? {
    time.flatMap { $0.seconds > 0 ? Double(amount) / $0.seconds : nil }
  }

  /// The rate for people, such as `12.3 GB/s`; a hyphen for a case without work.
  public var rateText: String { rate.map { CaseReport.text(rate: $0, isArithmetic: isArithmetic) } ?? "-" }

  /// A rate for people.
  public static func text(rate: Double, isArithmetic: Bool) -> String {
    "\(significant(rate / 1e9)) \(isArithmetic ? "GFLOP/s" : "GB/s")"
  }

  /// The report for programs.
  public var json: JSONValue {
    let word =
      switch outcome {
      case .passed: "passed"
      case .failed: "failed"
      case .skipped: "skipped"
      }
    return [
      "operation": .string(operation), "shape": .string(shape), "type": .string(elementType), "outcome": .string(word),
      "reason": problem.map(JSONValue.string) ?? .null, "error": error.isFinite ? .double(error) : .null,
      "bound": .double(bound),
      "seconds": time.map { .double($0.seconds) } ?? .null, "clock": time.map { .string($0.clock.rawValue) } ?? .null,
      "flops": .integer(flops), "bytes": .integer(bytes),
    ]
  }
}
