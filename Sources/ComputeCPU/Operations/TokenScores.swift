import CVector
import Compute

extension CPUBackend {
  /// Takes a piece of the vocabulary into the running softmax of every row; exponentials are summed in double precision.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and a negative first entry.
  public func accumulateTokenScores(
    _ logits: Matrix, firstEntry: Int, targets: Matrix, scores: Matrix, best: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.accumulateTokenScores(
      logits, firstEntry: firstEntry, targets: targets, scores: scores, best: best)
    let entries = logits.columns
    let (input, targetNumbers) = (logits.floats, targets.integers)
    let (rowScores, bestEntries) = (scores.floats, best.integers)
    workers.forEach(logits.rows, grain: Workers.grain(rowLength: entries)) { _, piece in
      for row in piece {
        loops.accumulateTokenScore(
          input + row * entries, entries, firstEntry, targetNumbers[row], rowScores + 3 * row, bestEntries + row)
      }
    }
  }
}
