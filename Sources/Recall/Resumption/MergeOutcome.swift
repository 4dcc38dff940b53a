import Checkpoint
import Compute
import Diagnostics

/// How a merge ended.
public struct MergeOutcome: Sendable {
  /// What there is of the output.
  public enum State: Sendable, Equatable {
    /// It was finished by this run.
    case finished
    /// An earlier run of the same recipe had finished it.
    case finishedBefore
    /// This part is finished; these are not.
    case waiting(for: [Part])
    /// All parts are finished, and another process completes the output.
    case completedElsewhere
  }

  /// What was decided.
  public let report: MergeReport
  /// What there is of the output.
  public let state: State
}

extension CheckpointWriter {
  /// Does the work of a merge, and after an error keeps of the unfinished output what can be of use.
  ///
  /// Bad values, contradictions and faults of Recall will be met again, so the output is removed. What comes from outside,
  /// such as a full disk, a lost device or a signal, may be gone the next time, so it is kept, and the error says so.
  func keepingWhatHelps<Result>(_ work: () throws -> Result) throws -> Result {
    do {
      return try work()
    } catch let failure as Failure {
      let mayBeGone: Bool =
        switch failure.category {
        case .tryAgain, .inputOutput, .cannotCreate, .missingInput: true
        case .usage, .badData, .internalError: false
        }
      let isKept = (try? abandon(keepsFinished: mayBeGone)) ?? true
      // A stop says so itself.
      throw isKept && mayBeGone && failure.category != .tryAgain ? failure.advising(advice) : failure
    } catch let error as DeviceError {
      let mayBeGone = [.deviceLost, .outOfMemory, .unavailable, .driver].contains(error.code)
      let isKept = (try? abandon(keepsFinished: mayBeGone)) ?? true
      guard isKept, error.code == .deviceLost else { throw error }
      throw Failure(
        .tryAgain, operation: "go on with the output", subject: partialPath, expected: "a device that answers",
        got: "\(error)", advice: advice)
    } catch {
      _ = try? abandon()
      throw error
    }
  }

  private var advice: String {
    "What is finished is saved in \(partialPath): the same command with --resume goes on from there."
  }
}
