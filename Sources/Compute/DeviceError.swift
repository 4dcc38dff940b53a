/// Why a device could not do something.
public struct DeviceError: Error, Equatable, Sendable {
  /// The class of a device failure.
  public enum Code: Sendable {
    /// The driver, a library or the device is not there; `detail` says which.
    case unavailable
    /// The operation is not one that this backend performs.
    case unsupported
    /// Shapes, element types or sizes do not fit together.
    case invalidArgument
    /// The device has too little free memory.
    case outOfMemory
    /// A kernel could not be compiled; `detail` holds the build log.
    case buildFailed
    /// The device stopped answering; another attempt may find it again.
    case deviceLost
    /// The driver reported anything else.
    case driver
  }

  /// The class of the failure.
  public let code: Code
  /// The operation that failed, such as `multiply`.
  public let operation: String
  /// What had to be the case.
  public let expected: String
  /// What was the case instead.
  public let got: String
  /// The driver's own status number, if it gave one.
  public let driverStatus: Int?
  /// Build log or driver message; empty when there is none.
  public let detail: String

  /// Describes one failure.
  public init(
    _ code: Code, operation: String, expected: String, got: String, driverStatus: Int? = nil, detail: String = ""
  ) {
    self.code = code
    self.operation = operation
    self.expected = expected
    self.got = got
    self.driverStatus = driverStatus
    self.detail = detail
  }
}

extension DeviceError: CustomStringConvertible {
  /// The failure as one paragraph.
  public var description: String {
    var text = "\(operation): expected \(expected), got \(got)"
    if let driverStatus { text += " (driver status \(driverStatus))" }
    return detail.isEmpty ? text : "\(text): \(detail)"
  }
}
