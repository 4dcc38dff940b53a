import Checkpoint
import Compute
import Diagnostics
import Dispatch
import JSON
import Synchronization

/// What a stage of a merge, or of any other long work, tells whoever watches.
public struct MergeProgress: Sendable {
  /// One message.
  public struct Event: Sendable {
    /// The stage: `select`, `cluster`, `extract`, `merge`, `fuse`, `finish`.
    public var stage: String
    /// How much of it is done, in `unit`.
    public var done: Int
    /// How much there is to do.
    public var total: Int
    /// What is counted: `layers`, `starts` or `bytes`.
    public var unit: String
  }

  private let report: @Sendable (Event) -> Void

  /// Progress that goes to a function, which may be called from any thread.
  public init(_ report: @escaping @Sendable (Event) -> Void) { self.report = report }

  /// Progress that nobody watches.
  public static let unwatched = MergeProgress { _ in }

  /// Tells how far a stage is.
  public func callAsFunction(_ stage: String, _ done: Int, of total: Int, unit: String) {
    report(Event(stage: stage, done: done, total: total, unit: unit))
  }
}

extension MergeProgress {
  /// Tells how many bytes of what this run has to write are written.
  func fusion(
    _ stage: String, _ plan: FusionPlan, _ writer: CheckpointWriter
  ) throws(Failure) -> @Sendable (Int) -> Void {
    var total = 0
    for tensor in plan.tensors where try writer.awaits(tensor.layout.name) { total += tensor.byteCount }
    let written = Tally()
    return { [total] bytes in self(stage, written.add(bytes), of: total, unit: "bytes") }
  }
}

/// The seconds that each stage took, in the order in which they ran, and the device they ran on.
public struct StageTimings: Sendable {
  /// The device.
  public let device: DeviceDescription
  /// Stages and seconds.
  public private(set) var seconds: [(stage: String, seconds: Double)] = []
  /// What fusion waited for.
  public let waits = StageWaits()

  /// No stage yet.
  public init(on device: DeviceDescription) { self.device = device }

  /// As recall.json has them.
  var json: JSONObject {
    JSONObject(
      [("device", .string("\(device.backend): \(device.name)"))] + seconds.map { ($0.stage, .double($0.seconds)) }
        + [("waited", .object(JSONObject(waits.seconds.map { ($0.stage.rawValue, .double($0.seconds)) })))])
  }

  /// Runs a stage and notes how long it took; a stage that runs in several parts adds up.
  @discardableResult
  mutating func measure<Result>(_ stage: String, _ body: () throws -> Result) rethrows -> Result {
    let start = DispatchTime.now().uptimeNanoseconds
    defer { add(Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9, to: stage) }
    return try body()
  }

  /// Stages with their seconds, and what fusion waited for, as a table for people.
  public var text: String {
    let stages = seconds.map { [$0.stage, "\(fixed($0.seconds, digits: 2)) s"] }
    let parts = waits.seconds.map { "\($0.stage.rawValue) \(fixed($0.seconds, digits: 2)) s" }
    return "\(aligned(stages))\nwaited for: \(parts.joined(separator: ", "))"
  }

  private mutating func add(_ duration: Double, to stage: String) {
    if let index = seconds.firstIndex(where: { $0.stage == stage }) {
      seconds[index].seconds += duration
    } else {
      seconds.append((stage, duration))
    }
  }
}

/// The seconds that a merge waited for its inputs, its device and its output while it fused.
public final class StageWaits: Sendable {
  /// What is waited for.
  public enum Stage: String, Sendable, CaseIterable {
    /// Reading, and digesting what was read.
    case read
    /// Computing, and the way to the device and back.
    case compute
    /// Writing, and digesting what was written.
    case write
  }

  private let sums = Mutex<[Stage: Double]>([:])

  /// Nothing yet.
  public init() {}

  /// Runs a step and notes how long it took.
  ///
  /// - Parameters:
  ///   - stage: What the step is.
  ///   - threads: How many threads do such steps side by side; each counts for its share of the time.
  ///   - body: The step.
  /// - Returns: What the step gives.
  func measure<Result>(_ stage: Stage, threads: Int = 1, _ body: () throws -> Result) rethrows -> Result {
    let start = DispatchTime.now().uptimeNanoseconds
    defer {
      let seconds = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9 / Double(threads)
      sums.withLock { $0[stage, default: 0] += seconds }
    }
    return try body()
  }

  /// The seconds of each stage so far.
  public var seconds: [(stage: Stage, seconds: Double)] {
    let sums = sums.withLock { $0 }
    return Stage.allCases.map { ($0, sums[$0] ?? 0) }
  }
}

/// A number that several threads add to.
final class Tally: Sendable {
  private let value = Mutex(0)

  /// Adds and returns the new sum.
  func add(_ amount: Int) -> Int {
    value.withLock { value in
      value += amount
      return value
    }
  }
}
