import Foundation

extension Reference {
  /// The softmax of whole rows of logits, however they are cut into pieces.
  static func tokenScores(_ logits: HostMatrix, targets: HostMatrix) -> (scores: Expectation, best: Expectation) {
    var (scores, best): ([Double], [Double]) = ([], [])
    for row in 0..<logits.rows {
      let values = Array(logits.row(row))
      let largest = values.max() ?? -.infinity
      scores += [
        largest, values.reduce(0) { $0 + exp($1 - largest) }, values[Int(targets[row, 0])],
      ]
      best.append(Double(values.firstIndex(of: largest) ?? -1))
    }
    return (Expectation(scores), Expectation(best))
  }
}
