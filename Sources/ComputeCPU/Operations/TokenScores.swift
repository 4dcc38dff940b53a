import CVector
import Compute

extension CPUBackend {
  /// Takes a piece of the vocabulary into the running softmax of every row; exponentials are summed in double precision.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and a negative first entry.
  public func accumulateTokenScores(
    _ logits: Matrix, firstEntry: Int, targets: Matrix, scores: Matrix, best: Matrix
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: "accumulateTokenScores")
    let rows = logits.rows
    try check.matrix(logits, "logits", rows: rows, columns: logits.columns)
    try check.require(firstEntry >= 0, "a first entry of 0 or more", got: "\(firstEntry)")
    try check.matrix(targets, "targets", rows: rows, columns: 1, [.int32])
    try check.matrix(scores, "scores", rows: rows, columns: 3)
    try check.matrix(best, "best", rows: rows, columns: 1, [.int32])

    let entries = logits.columns
    let (input, targetNumbers) = (logits.floats, targets.integers)
    let (rowScores, bestEntries) = (scores.floats, best.integers)
    workers.forEach(rows, grain: Workers.grain(rowLength: entries)) { _, piece in
      for row in piece {
        loops.accumulateTokenScore(
          input + row * entries, entries, firstEntry, targetNumbers[row], rowScores + 3 * row, bestEntries + row)
      }
    }
  }
}
