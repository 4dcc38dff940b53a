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
  private static let patience = 10.0

  /// The request that a signal makes.
  let request = StopRequest()
  private let sources: [any DispatchSourceSignal]

  /// Listens from now on until the process ends.
  ///
  /// - Parameter output: What is being written, for the message.
  init(output: String) {
    let partialPath = absolutePath(output) + ".partial"
    let request = request
    let queue = DispatchQueue(label: "recall.stop")
    sources = [(SIGTERM, "SIGTERM"), (SIGINT, "SIGINT")].map { number, name in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
      source.setEventHandler {
        signal(SIGTERM, SIG_DFL)
        signal(SIGINT, SIG_DFL)
        request.make(name)
        queue.asyncAfter(deadline: .now() + StopSignals.patience) {
          let failure = StopRequest.failure("finish the output", partialPath, reason: name)
          RecallCommand.end(failure.description, code: failure.category.exitCode)
        }
      }
      source.resume()
      return source
    }
  }
}
