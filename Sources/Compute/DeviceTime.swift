/// How long a device took, and by whose clock.
public struct DeviceTime: Sendable, Equatable {
  /// Whose clock it was.
  public enum Clock: String, Sendable {
    /// Events in the device's own stream.
    case device
    /// The host's clock, from an idle device to an idle device: launching and waiting are part of it.
    case host
  }

  /// The time in seconds.
  public var seconds: Double
  /// Whose clock it was.
  public var clock: Clock

  /// Notes a time.
  public init(seconds: Double, clock: Clock) {
    self.seconds = seconds
    self.clock = clock
  }
}

extension ComputeBackend {
  /// The time of operations by the host's clock, for a device without events.
  public func time(_ operations: () throws(DeviceError) -> Void) throws(DeviceError) -> DeviceTime {
    try synchronize()
    let start = ContinuousClock.now
    try operations()
    try synchronize()
    return DeviceTime(seconds: (ContinuousClock.now - start) / .seconds(1), clock: .host)
  }
}
