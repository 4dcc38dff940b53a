/// The candidate that differs least from a word, when it is near enough to be what was meant.
///
/// - Parameters:
///   - word: What was written.
///   - candidates: What may have been meant.
/// - Returns: The nearest, or `nil` when all are far.
public func nearest(to word: String, among candidates: [String]) -> String? {
  let distances = candidates.map { (candidate: $0, distance: editDistance(word, $0)) }
  guard let best = distances.min(by: { $0.distance < $1.distance }), best.distance <= max(2, word.count / 3) else {
    return nil
  }
  return best.candidate
}

/// How many letters have to be inserted, removed or replaced to turn one word into the other (Levenshtein).
private func editDistance(_ left: String, _ right: String) -> Int {
  let right = Array(right)
  var row = Array(0...right.count)
  for (i, letter) in left.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for j in right.indices {
      let replaced = diagonal + (letter == right[j] ? 0 : 1)
      diagonal = row[j + 1]
      row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
    }
  }
  return row[right.count]
}
