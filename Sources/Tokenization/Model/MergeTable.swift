/// Which two neighbouring tokens become one, and in what order.
struct MergeTable: Sendable {
  /// What stands for a pair that does not merge; it ranks behind all that do.
  static let noRank = UInt32.max

  /// The pairs by slot, open addressing with linear probing; no pair has the value of a free slot, as ids are positive.
  private var pairs: [UInt64]
  private var ranks: [UInt32]
  /// The token that a merge makes, by rank.
  private var products: [Int32] = []

  private static let free = UInt64.max

  /// A table with room for so many merges.
  init(capacity count: Int) {
    var capacity = 16
    while capacity < count * 2 { capacity *= 2 }
    pairs = [UInt64](repeating: Self.free, count: capacity)
    ranks = [UInt32](repeating: Self.noRank, count: capacity)
    products.reserveCapacity(count)
  }

  /// Adds the next merge; a pair that was there already takes the later rank.
  mutating func append(_ left: Int32, _ right: Int32, product: Int32) {
    let slot = slot(of: Self.pair(left, right))
    pairs[slot] = Self.pair(left, right)
    ranks[slot] = UInt32(products.count)
    products.append(product)
  }

  /// The rank of a pair, lower before higher, or `noRank`.
  @inline(__always)
  func rank(_ left: Int32, _ right: Int32) -> UInt32 {
    ranks[slot(of: Self.pair(left, right))]
  }

  /// The token that the merge of a rank makes.
  @inline(__always)
  func product(of rank: UInt32) -> Int32 { products[Int(rank)] }

  @inline(__always)
  private func slot(of pair: UInt64) -> Int {
    let mixed = pair &* 0x9E37_79B9_7F4A_7C15
    var slot = Int(truncatingIfNeeded: mixed >> 32) & (pairs.count - 1)
    while pairs[slot] != pair, pairs[slot] != Self.free { slot = (slot + 1) & (pairs.count - 1) }
    return slot
  }

  @inline(__always)
  private static func pair(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }
}
