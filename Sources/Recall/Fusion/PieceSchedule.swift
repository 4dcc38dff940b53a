import Foundation

/// Hands pieces out in order to threads that work side by side, and lets them do the steps that depend on order, such as
/// digests, one piece after the other.
///
/// A piece waits for earlier ones only, so the earliest piece on its way never waits. After a failure no further piece is
/// handed out and later ones are given up, while earlier ones go on: which failure is reported does not depend on the
/// threads.
final class PieceSchedule: @unchecked Sendable {
  /// Thrown by a step whose turn never comes, because an earlier piece failed.
  struct GivenUp: Error {}

  private let count: Int
  /// Guards all that follows.
  private let condition = NSCondition()
  private var handedOut = 0
  private var turns: [Int]
  private var failed: (piece: Int, error: any Error)?

  /// Starts with piece 0.
  ///
  /// - Parameters:
  ///   - count: The number of pieces.
  ///   - steps: The number of steps that are done in order, each by itself.
  init(count: Int, steps: Int) {
    self.count = count
    turns = [Int](repeating: 0, count: steps)
  }

  /// The next piece for the calling thread; `nil` when there is none, or one has failed.
  func next() -> Int? {
    condition.withLock {
      guard failed == nil, handedOut < count else { return nil }
      handedOut += 1
      return handedOut - 1
    }
  }

  /// Does a step of a piece once the step is done for all earlier pieces.
  ///
  /// - Throws: `GivenUp`, or what the step throws.
  func inTurn(_ piece: Int, step: Int, _ body: () throws -> Void) throws {
    try condition.withLock {
      while turns[step] < piece {
        if let failed, failed.piece < piece { throw GivenUp() }
        condition.wait()
      }
    }
    try body()
    condition.withLock {
      turns[step] += 1
      condition.broadcast()
    }
  }

  /// Notes that a piece failed; of several failures the earliest piece's counts.
  func fail(_ piece: Int, _ error: any Error) {
    condition.withLock {
      if !(error is GivenUp), failed.map({ piece < $0.piece }) ?? true { failed = (piece, error) }
      condition.broadcast()
    }
  }

  /// Throws the failure of the earliest piece that failed.
  func finish() throws { if let failed = condition.withLock({ failed }) { throw failed.error } }
}
