import CCUDA
import Compute

/// An open device: the primary context, and three streams in it, for copies up, computation and copies down.
///
/// A dispatch queue is not a fixed thread, so every entry makes the context current first. Handles are used from the
/// backend's queue only; events and host memory from any thread, which the driver allows.
final class CUDASession: @unchecked Sendable {
  let driver: CUDADriver
  let device: CUDADeviceHandle
  let uploads: CUDAStream
  let compute: CUDAStream
  let downloads: CUDAStream
  private let context: CUDAContext

  /// Opens a device by its number.
  ///
  /// - Throws: `DeviceError.Code.unavailable` when there is no such device.
  init(_ driver: CUDADriver, ordinal: Int) throws(DeviceError) {
    self.driver = driver
    let devices = try CUDADevice.handles(driver)
    guard devices.indices.contains(ordinal) else {
      throw DeviceError(
        .unavailable, operation: "open CUDA", expected: "a device of number \(ordinal)",
        got: "\(devices.count) devices, numbered from 0")
    }
    let device = devices[ordinal]
    let status = CUDAStatusCheck(driver: driver, operation: "open CUDA device \(ordinal)")
    var context: CUDAContext?
    try status(driver.retainPrimaryContext(&context, device), "the device's primary context")
    guard let context else { throw status.nothing("the device's primary context") }
    self.device = device
    self.context = context
    do throws(DeviceError) {
      try status(driver.setCurrentContext(context), "the context made current")
      // Created first and last as a driver may order what is due at the same time.
      compute = try CUDASession.stream(driver, status)
      uploads = try CUDASession.stream(driver, status)
      downloads = try CUDASession.stream(driver, status)
    } catch {
      _ = driver.releasePrimaryContext(device)
      throw error
    }
  }

  deinit {
    // Nobody is left to be told of failures.
    _ = driver.setCurrentContext(context)
    for stream in [uploads, compute, downloads] {
      _ = driver.synchronizeStream(stream)
      _ = driver.destroyStream(stream)
    }
    _ = driver.releasePrimaryContext(device)
  }

  private static func stream(_ driver: CUDADriver, _ status: CUDAStatusCheck) throws(DeviceError) -> CUDAStream {
    var stream: CUDAStream?
    try status(driver.createStream(&stream, UInt32(CUDAStreamNonBlocking.rawValue)), "a stream")
    guard let stream else { throw status.nothing("a stream") }
    return stream
  }

  /// Makes the context current in this thread.
  func enter(_ operation: String) throws(DeviceError) -> CUDAStatusCheck {
    let check = CUDAStatusCheck(driver: driver, operation: operation)
    try check(driver.setCurrentContext(context), "the context made current")
    return check
  }

  /// Makes the context current for calls whose failure nobody is left to be told of.
  func enterToRelease() { _ = driver.setCurrentContext(context) }

  /// The memory that is free on the device now, in bytes.
  func freeMemory() -> Int? {
    var (free, total) = (0, 0)
    return driver.memoryInfo(&free, &total) == 0 ? free : nil
  }
}

/// A point in a stream that others can wait for.
final class CUDAPoint: @unchecked Sendable {
  private let session: CUDASession
  private let event: CUDAEvent

  /// Marks where a stream is now; the context is current.
  init(in stream: CUDAStream, of session: CUDASession, timed: Bool = false, _ check: CUDAStatusCheck)
    throws(DeviceError)
  {
    var event: CUDAEvent?
    let flags = timed ? CUDAEventWithTiming : CUDAEventWithoutTiming
    try check(session.driver.createEvent(&event, UInt32(flags.rawValue)), "an event")
    guard let event else { throw check.nothing("an event") }
    self.session = session
    self.event = event
    try check(session.driver.recordEvent(event, stream), "an event recorded")
  }

  deinit {
    session.enterToRelease()
    _ = session.driver.destroyEvent(event)
  }

  /// Lets all later work of a stream wait for this point.
  func hold(_ stream: CUDAStream, _ check: CUDAStatusCheck) throws(DeviceError) {
    try check(session.driver.waitForEvent(stream, event, 0), "a stream that waits")
  }

  /// Whether the stream has passed this point.
  func hasPassed(_ check: CUDAStatusCheck) throws(DeviceError) -> Bool {
    let status = session.driver.queryEvent(event)
    if status == Int32(CUDANotReady.rawValue) { return false }
    try check(status, "an event that arrives")
    return true
  }

  /// Waits until the stream has passed this point; may be called from any thread.
  func wait(_ operation: String) throws(DeviceError) {
    let check = try session.enter(operation)
    try check(session.driver.synchronizeEvent(event), "all work before it done")
  }

  /// The seconds from another point, both timed and passed.
  func seconds(since start: CUDAPoint, _ check: CUDAStatusCheck) throws(DeviceError) -> Double {
    var milliseconds: Float = 0
    try check(session.driver.millisecondsBetween(&milliseconds, start.event, event), "the time between two events")
    return Double(milliseconds) / 1000
  }
}
