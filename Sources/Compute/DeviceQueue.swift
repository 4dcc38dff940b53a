import Dispatch

/// The only door to a backend: an actor with a thread of its own that runs one piece of work at a time.
///
/// A merge enters once and stays inside; waiting for a device therefore never takes a thread from Swift's shared pool.
public actor DeviceQueue {
  private let executor: QueueExecutor
  private let backend: any ComputeBackend

  /// The executor that keeps work on one queue.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

  /// Opens a backend and confines it.
  ///
  /// - Throws: `DeviceError` when the device cannot be opened.
  public init(_ open: @Sendable () throws(DeviceError) -> sending any ComputeBackend) throws(DeviceError) {
    executor = QueueExecutor()
    backend = try open()
  }

  /// Runs work on the backend; neither backend nor its memory can leave, because the result has to be `Sendable`.
  public func perform<Result: Sendable, Problem: Error>(
    _ work: @Sendable (any ComputeBackend) throws(Problem) -> Result
  ) throws(Problem) -> Result {
    try work(backend)
  }
}

private final class QueueExecutor: SerialExecutor {
  private let queue = DispatchQueue(label: "recall.device")

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
  }
}
