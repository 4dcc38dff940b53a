import Checkpoint
import Diagnostics
import Dispatch
import Foundation

/// Turns SIGTERM and SIGINT into a request to stop, for commands that save what they have done.
///
/// The first signal asks; the work ends at its next piece with exit code 75. Work that has no such point soon, as in the
/// middle of a large layer on a slow processor, is cut short after a while: what is finished is saved at any moment. A
/// second signal ends the process at once.
final class StopSignals {
  /// How long the work may take to end by itself; schedulers wait 30 s between SIGTERM and SIGKILL.
  static let patience = 10.0

  /// The request that a signal makes.
  let request = StopRequest()
  private let sources: [any DispatchSourceSignal]

  /// Listens from now on until the process ends, for work that saves what it has done.
  ///
  /// - Parameter output: What is being written, for the message.
  convenience init(output: String) {
    let partialPath = absolutePath(output) + ".partial"
    self.init(patience: StopSignals.patience) { StopRequest.failure("finish the output", partialPath, reason: $0) }
  }

  /// Listens from now on until the process ends, for work that is done again from its start; a signal ends it at once.
  ///
  /// - Parameter output: What would have been written, for the message.
  convenience init(startingAfresh output: String) {
    self.init(patience: 0) { reason in
      Failure(
        .tryAgain, operation: "finish the output", subject: absolutePath(output), expected: "to be left to the end",
        got: reason, advice: "Nothing was written; run the same command again.")
    }
  }

  /// Listens from now on until the process ends.
  ///
  /// - Parameters:
  ///   - patience: How many seconds the work may take to end by itself.
  ///   - failure: What the process ends with when it takes longer.
  init(patience: Double, failure: @escaping @Sendable (_ reason: String) -> Failure) {
    let request = request
    let queue = DispatchQueue(label: "recall.stop")
    sources = [(SIGTERM, "SIGTERM"), (SIGINT, "SIGINT")].map { number, name in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
      source.setEventHandler {
        signal(SIGTERM, SIG_DFL)
        signal(SIGINT, SIG_DFL)
        request.make(name)
        queue.asyncAfter(deadline: .now() + patience) {
          let failure = failure(name)
          RecallCommand.end(failure.description, code: failure.category.exitCode)
        }
      }
      source.resume()
      return source
    }
  }
}
