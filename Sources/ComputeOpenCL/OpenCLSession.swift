import COpenCL
import Compute
import Synchronization

/// A context with its queues, which lives as long as anything that was made in it.
///
/// OpenCL's functions may be called from any thread, except those that set the arguments of a kernel.
final class OpenCLSession: @unchecked Sendable {
  let library: OpenCLLibrary
  let device: OpenCLDeviceHandle
  let context: OpenCLContext
  /// The stream of operations.
  let queue: OpenCLQueue
  /// For host memory, which is made available to the host without waiting for the operations.
  let mappingQueue: OpenCLQueue
  private let memory: Int
  private let largestBuffer: Int
  private let allocated = Mutex(0)

  init(_ listing: OpenCLDeviceListing, _ library: OpenCLLibrary) throws(DeviceError) {
    let check = OpenCLStatusCheck(operation: "open \(listing.description.name)")
    self.library = library
    device = listing.handle
    memory = listing.description.memory
    largestBuffer = listing.largestBuffer
    var status: OpenCLStatus = 0
    var handle: OpenCLDeviceHandle? = listing.handle
    let context = try check.made(library.createContext(nil, 1, &handle, nil, nil, &status), status, "a context")
    do throws(DeviceError) {
      let profiling = OpenCLQueueProfiling
      queue = try check.made(library.createQueue(context, device, profiling, &status), status, "a command queue")
    } catch {
      _ = library.releaseContext(context)
      throw error
    }
    do throws(DeviceError) {
      mappingQueue = try check.made(library.createQueue(context, device, 0, &status), status, "a command queue")
    } catch {
      _ = library.releaseQueue(queue)
      _ = library.releaseContext(context)
      throw error
    }
    self.context = context
  }

  deinit {
    _ = library.releaseQueue(mappingQueue)
    _ = library.releaseQueue(queue)
    _ = library.releaseContext(context)
  }

  /// Makes a buffer.
  ///
  /// - Throws: `DeviceError.Code.outOfMemory` with the size asked for and what is left.
  func makeBuffer(byteCount: Int, flags: UInt64, operation: String) throws(DeviceError) -> OpenCLMemory {
    var status: OpenCLStatus = 0
    // A buffer without bytes is an error in OpenCL.
    let size = max(1, byteCount)
    let buffer =
      size > largestBuffer
      ? nil : library.createBuffer(context, flags | OpenCLMemoryReadWrite, size, nil, &status)
    if size > largestBuffer { status = OpenCLInvalidBufferSize }
    // A device that runs out while it allocates says so in several ways.
    let exhausted = [
      OpenCLMemoryAllocationFailure, OpenCLOutOfHostMemory, OpenCLOutOfResources, OpenCLInvalidBufferSize,
    ]
    if exhausted.contains(status) {
      let left = memory - allocated.withLock { $0 }
      throw DeviceError(
        .outOfMemory, operation: operation, expected: "\(byteCount) bytes",
        got: "\(left) of \(memory) bytes not taken by this process, at most \(largestBuffer) at once",
        driverStatus: Int(status))
    }
    let made = try OpenCLStatusCheck(operation: operation).made(buffer, status, "\(byteCount) bytes")
    allocated.withLock { $0 += byteCount }
    return made
  }

  /// Returns a buffer; the driver waits for what is enqueued on it.
  func release(_ buffer: OpenCLMemory, byteCount: Int) {
    _ = library.releaseMemory(buffer)
    allocated.withLock { $0 -= byteCount }
  }
}

/// What is called when a command has run; released with its last reference.
final class OpenCLCommand: @unchecked Sendable {
  let event: OpenCLEvent
  private let session: OpenCLSession

  init(_ event: OpenCLEvent, _ session: OpenCLSession) {
    self.event = event
    self.session = session
  }

  deinit { _ = session.library.releaseEvent(event) }

  /// Waits until the command has run.
  func wait(operation: String) throws(DeviceError) {
    var event: OpenCLEvent? = event
    try OpenCLStatusCheck(operation: operation)(session.library.wait(1, &event), "its end")
  }

  /// Whether the command has run or failed.
  var isOver: Bool {
    OpenCLInfo { self.session.library.eventInfo(self.event, $0, $1, $2, $3) }
      .number(OpenCLEventExecutionStatus, as: Int32.self) <= OpenCLComplete
  }

  /// When the command ended, by the device's clock in nanoseconds; 0 when the driver does not tell.
  var end: UInt64 {
    OpenCLInfo { self.session.library.eventTime(self.event, $0, $1, $2, $3) }
      .number(OpenCLProfilingEnd, as: UInt64.self)
  }
}
