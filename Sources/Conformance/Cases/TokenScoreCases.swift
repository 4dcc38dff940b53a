import Compute

extension OperationCase {
  static var tokenScoreCases: [OperationCase] {
    [(0, [3]), (1, [1]), (3, [1021, 1, 0, 67]), (64, [512, 512]), (5, [10_007])].flatMap { rows, pieces in
      [
        accumulateTokenScores(rows: rows, pieces: pieces, scale: 3),
        accumulateTokenScores(rows: rows, pieces: pieces, scale: 0),
        accumulateTokenScores(rows: rows, pieces: pieces, scale: 100),
      ]
    }
  }

  /// With a scale of 0 all logits tie; with a large one earlier sums vanish beside later ones.
  static func accumulateTokenScores(rows: Int, pieces: [Int], scale: Double) -> OperationCase {
    let entries = pieces.reduce(0, +)
    return OperationCase(
      "accumulateTokenScores", "[\(rows), \(pieces.map(String.init).joined(separator: " + "))], logits × \(scale)",
      tolerance: .roundings(
        4 * (Double(entries).squareRoot() + 1) + 16,
        because: "a float32 sum of exponentials within 2 ulp, of differences that matter below 16 and are rounded once"),
      flops: 4 * rows * entries, bytes: 4 * rows * entries
    ) { bench throws(DeviceError) in
      let parts = pieces.map { bench.numbers.matrix(rows, $0, scale: scale) }
      let logits = HostMatrix(
        rows: rows, columns: entries, values: (0..<rows).flatMap { row in parts.flatMap { $0.row(row) } })
      let wanted = bench.numbers.integers(rows, below: entries)
      let inputs = try parts.map { part throws(DeviceError) in try bench.input(part) }
      let targets = try bench.input(wanted)
      let start = (0..<rows).flatMap { _ -> [Double] in [-.infinity, 0, -.infinity] }
      let scores = try bench.inPlace(HostMatrix(rows: rows, columns: 3, values: start))
      let best = try bench.inPlace(
        HostMatrix(rows: rows, columns: 1, .int32, values: [Double](repeating: -1, count: rows)))
      try bench.perform { () throws(DeviceError) in
        var firstEntry = 0
        for piece in inputs {
          try bench.backend.accumulateTokenScores(
            piece, firstEntry: firstEntry, targets: targets, scores: scores, best: best)
          firstEntry += piece.columns
        }
      }
      try bench.expect(scores, Reference.tokenScores(logits, targets: wanted).scores)
      try bench.expect(best, Reference.tokenScores(logits, targets: wanted).best)
    }
  }
}
