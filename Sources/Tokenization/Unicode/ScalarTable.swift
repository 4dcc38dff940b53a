/// Several sets of scalars laid out for look-up: a bit per scalar, in blocks of 256 that equal blocks share.
struct ScalarTable: Sendable {
  /// For each set and each block of 256 scalars, where the block's words begin.
  private var blockStarts: [UInt32] = []
  /// The bits of all different blocks, four words each.
  private var words: [UInt64] = []

  private static let blocksPerSet = 0x1100

  /// Lays out some sets; they are numbered in this order.
  init(_ sets: [ScalarSet]) {
    var known: [SIMD4<UInt64>: UInt32] = [:]
    for set in sets {
      for block in Self.blocks(of: set) {
        let start = known[block] ?? UInt32(words.count)
        if known.updateValue(start, forKey: block) == nil {
          words += [block.x, block.y, block.z, block.w]
        }
        blockStarts.append(start)
      }
    }
  }

  /// Whether the scalar is in the set of that number.
  @inline(__always)
  func contains(_ scalar: UInt32, inSet set: Int) -> Bool {
    let start = blockStarts[set * Self.blocksPerSet + Int(scalar >> 8)]
    let word = words[Int(start) + Int(scalar >> 6 & 3)]
    return word >> UInt64(scalar & 63) & 1 == 1
  }

  private static func blocks(of set: ScalarSet) -> [SIMD4<UInt64>] {
    var blocks = [SIMD4<UInt64>](repeating: .zero, count: blocksPerSet)
    for range in set.ranges {
      for word in range.lowerBound >> 6...range.upperBound >> 6 {
        let first = max(range.lowerBound, word << 6) & 63
        let last = min(range.upperBound, word << 6 | 63) & 63
        let bits = UInt64.max << UInt64(first) & UInt64.max >> UInt64(63 - last)
        blocks[Int(word >> 2)][Int(word & 3)] |= bits
      }
    }
    return blocks
  }
}
