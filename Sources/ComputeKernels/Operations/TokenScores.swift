import Compute

extension KernelBackend {
  /// Takes a piece of the vocabulary into the running softmax of every row; a target outside of it changes no logit.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and a negative first entry.
  package func accumulateTokenScores(
    _ logits: Matrix, firstEntry: Int, targets: Matrix, scores: Matrix, best: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.accumulateTokenScores(
      logits, firstEntry: firstEntry, targets: targets, scores: scores, best: best)
    try launch(
      "accumulateTokenScores", of: "token-scores", operation: "accumulateTokenScores", groups: logits.rows,
      [
        .matrix(logits), .matrix(targets), .matrix(scores), .matrix(best), .count(logits.columns), .count(firstEntry),
      ])
  }
}
