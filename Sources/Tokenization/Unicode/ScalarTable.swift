/// Several sets of scalars laid out for look-up: a bit per scalar, in blocks of 256 that equal blocks share.
struct ScalarTable: Sendable {
  /// For each set and each block of 256 scalars, where the block's bits begin.
  private var blockStarts: [UInt32] = []
  /// The bits of all different blocks, four words each.
  private var words: [UInt64] = []
  private var known: [[UInt64]: UInt32] = [:]

  private static let blocksPerSet = 0x1100

  /// Lays out some sets; they are numbered in this order.
  init(_ sets: [ScalarSet]) {
    for set in sets { append(set) }
    known = [:]
  }

  /// Whether the scalar is in the set of that number.
  @inline(__always)
  func contains(_ scalar: UInt32, inSet set: Int) -> Bool {
    let start = blockStarts[set * Self.blocksPerSet + Int(scalar >> 8)]
    let word = words[Int(start) + Int(scalar >> 6 & 3)]
    return word >> UInt64(scalar & 63) & 1 == 1
  }

  private mutating func append(_ set: ScalarSet) {
    var blocks = [[UInt64]](repeating: [0, 0, 0, 0], count: Self.blocksPerSet)
    for range in set.ranges {
      for block in Int(range.lowerBound >> 8)...Int(range.upperBound >> 8) {
        let lowest = max(range.lowerBound, UInt32(block) << 8)
        let highest = min(range.upperBound, UInt32(block) << 8 | 255)
        for scalar in lowest...highest { blocks[block][Int(scalar >> 6 & 3)] |= 1 << UInt64(scalar & 63) }
      }
    }
    for block in blocks { blockStarts.append(start(of: block)) }
  }

  private mutating func start(of block: [UInt64]) -> UInt32 {
    if let start = known[block] { return start }
    let start = UInt32(words.count)
    words += block
    known[block] = start
    return start
  }
}
