/// Merges the tokens of one piece: always the pair of the lowest rank, and of equal ones the leftmost.
///
/// A heap of candidates over a linked list, so that a piece of n tokens takes n log n steps. The arrays are kept from
/// piece to piece.
struct PieceMerger {
  /// The tokens of the piece, from the second to be merged on.
  var tokens: [Int32] = []
  private var previous: [Int] = []
  private var next: [Int] = []
  /// The rank of the pair that begins at each token; candidates of another rank are out of date.
  private var ranks: [UInt32] = []
  /// A binary heap, the lowest first, of rank and position in one number.
  private var candidates: [UInt64] = []

  /// Forgets the piece before.
  mutating func begin() {
    tokens.removeAll(keepingCapacity: true)
    candidates.removeAll(keepingCapacity: true)
  }

  /// Appends a token of the piece.
  mutating func append(_ token: Int32) { tokens.append(token) }

  /// Merges what can be merged and hands over the tokens that remain.
  mutating func merge(with merges: MergeTable, into identifiers: inout [Int32]) {
    guard tokens.count > 1 else {
      identifiers += tokens
      return
    }
    link(merges)
    while let candidate = popCandidate() {
      let position = Int(truncatingIfNeeded: candidate & 0xFFFF_FFFF)
      let rank = UInt32(truncatingIfNeeded: candidate >> 32)
      if ranks[position] == rank { merge(at: position, rank, merges) }
    }
    var position = 0
    while position < tokens.count {
      identifiers.append(tokens[position])
      position = next[position]
    }
  }

  private mutating func link(_ merges: MergeTable) {
    previous.removeAll(keepingCapacity: true)
    next.removeAll(keepingCapacity: true)
    ranks.removeAll(keepingCapacity: true)
    for position in tokens.indices {
      previous.append(position - 1)
      next.append(position + 1)
      ranks.append(MergeTable.noRank)
    }
    for position in tokens.indices { rankPair(at: position, merges) }
  }

  private mutating func merge(at position: Int, _ rank: UInt32, _ merges: MergeTable) {
    let right = next[position]
    tokens[position] = merges.product(of: rank)
    next[position] = next[right]
    if next[right] < tokens.count { previous[next[right]] = position }
    ranks[right] = MergeTable.noRank
    rankPair(at: position, merges)
    if previous[position] >= 0 { rankPair(at: previous[position], merges) }
  }

  private mutating func rankPair(at position: Int, _ merges: MergeTable) {
    let right = next[position]
    let rank = right < tokens.count ? merges.rank(tokens[position], tokens[right]) : MergeTable.noRank
    ranks[position] = rank
    if rank != MergeTable.noRank { pushCandidate(UInt64(rank) << 32 | UInt64(position)) }
  }

  private mutating func pushCandidate(_ candidate: UInt64) {
    var child = candidates.count
    candidates.append(candidate)
    while child > 0 {
      let parent = (child - 1) / 2
      guard candidates[parent] > candidate else { break }
      candidates[child] = candidates[parent]
      child = parent
    }
    candidates[child] = candidate
  }

  private mutating func popCandidate() -> UInt64? {
    guard let top = candidates.first, let last = candidates.popLast() else { return nil }
    let count = candidates.count
    guard count > 0 else { return top }
    var parent = 0
    while true {
      var child = 2 * parent + 1
      guard child < count else { break }
      if child + 1 < count, candidates[child + 1] < candidates[child] { child += 1 }
      guard candidates[child] < last else { break }
      candidates[parent] = candidates[child]
      parent = child
    }
    candidates[parent] = last
    return top
  }
}
