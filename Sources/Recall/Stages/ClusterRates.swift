/// How fast the machines are that a plan is made for, in bytes and operations per second.
public struct ClusterRates: Sendable {
  /// What one task can read and write.
  public var task = 1e9
  /// What the storage gives all tasks together; infinity for storage that never holds them up.
  public var storage = Double.infinity
  /// The floating-point operations of one task.
  public var operations = 1e12

  /// Rates of a small machine with a disk of its own.
  public init() {}

  /// The bytes per second of each of several tasks that run at the same time.
  func share(of tasks: Int) -> Double { min(task, storage / Double(max(tasks, 1))) }
}

extension StagePlan.Stage {
  /// The bytes that all tasks read.
  public var bytesRead: Int { tasks.reduce(0) { $0 + $1.bytesRead } }

  /// The bytes that all tasks write.
  public var bytesWritten: Int { tasks.reduce(0) { $0 + $1.bytesWritten } }

  /// The memory of the largest task, in bytes.
  public var memory: Int { tasks.map(\.memory).max() ?? 0 }

  /// The seconds that the slowest task takes when every task has a machine of its own.
  ///
  /// A task reads, computes and writes at the same time, so it takes as long as the slowest of transfers and operations.
  public func seconds(at rates: ClusterRates) -> Double {
    tasks.map { task in
      let transfers = Double(task.bytesRead + task.bytesWritten) / rates.share(of: tasks.count)
      return max(transfers, task.operations / rates.operations)
    }.max() ?? 0
  }
}
