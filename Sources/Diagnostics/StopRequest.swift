import Synchronization

/// A wish from outside, such as a signal, that work end at the next point where nothing is lost.
public final class StopRequest: Sendable {
  private let reason = Mutex<String?>(nil)

  /// A request that nobody has made yet.
  public init() {}

  /// Makes the request; any thread may do so, and the first reason stays.
  ///
  /// - Parameter reason: What asked, such as `SIGTERM`.
  public func make(_ reason: String) { self.reason.withLock { $0 = $0 ?? reason } }

  /// Ends the work when that was asked for.
  ///
  /// - Parameters:
  ///   - operation: What is being done.
  ///   - subject: Where what has been done so far is kept.
  /// - Throws: `Failure` of category `tryAgain`.
  public func check(_ operation: String, _ subject: String) throws(Failure) {
    guard let reason = reason.withLock({ $0 }) else { return }
    throw StopRequest.failure(operation, subject, reason: reason)
  }

  /// What a stop says, the same whether the work ended by itself or had to be cut short.
  public static func failure(_ operation: String, _ subject: String, reason: String) -> Failure {
    Failure(
      .tryAgain, operation: operation, subject: subject, expected: "to be left to the end", got: reason,
      advice: "What is finished is saved: the same command with --resume in place of --overwrite goes on from there.")
  }
}
