import Compute

/// The same numbers on every machine: SplitMix64.
struct SeededNumbers {
  /// After how many elements a matrix repeats itself; `nil` for numbers of its own for each element.
  ///
  /// For timing, where making a number takes longer than computing with it.
  var period: Int?
  private var state: UInt64

  /// Starts from a text, so that every case has numbers of its own.
  init(seed: String) {
    // FNV-1a: any fixed function of the text will do.
    state = seed.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }

  /// 64 random bits.
  mutating func bits() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }

  /// A number from -1 to 1.
  mutating func symmetric() -> Double { Double(Int64(bitPattern: bits()) >> 11) * 0x1p-52 }

  /// A number that is roughly normally distributed, with mean 0 and variance 1.
  mutating func normal() -> Double { symmetric() + symmetric() + symmetric() }

  /// A whole number below a limit.
  mutating func integer(below limit: Int) -> Int { Int(bits() % UInt64(limit)) }

  /// A matrix of roughly normal numbers.
  mutating func matrix(_ rows: Int, _ columns: Int, _ type: ElementType = .float32, scale: Double = 1) -> HostMatrix {
    let count = min(rows * columns, period ?? .max)
    let block = HostMatrix(rows: 1, columns: count, type, values: (0..<count).map { _ in scale * normal() })
    return HostMatrix(rows: rows, columns: columns, repeating: block)
  }

  /// The Gram matrix of some samples, scaled to a mean diagonal of 1, plus a ridge: symmetric and positive definite.
  mutating func positiveDefinite(_ order: Int, samples: Int, ridge: Double) -> HostMatrix {
    let rows = matrix(samples, order)
    func product(_ row: Int, _ column: Int) -> Double {
      (0..<samples).reduce(0) { $0 + rows[$1, row] * rows[$1, column] }
    }
    // Numbers that are made once and repeated are of no use in a matrix that is factored.
    guard period == nil else {
      let identity = (0..<order * order).map { $0 % (order + 1) == 0 ? 1 + ridge : 0 }
      return HostMatrix(rows: order, columns: order, values: identity)
    }
    let mean = (0..<order).reduce(0) { $0 + product($1, $1) } / Double(order)
    let values = (0..<order * order).map { index in
      product(index / order, index % order) / mean + (index % (order + 1) == 0 ? ridge : 0)
    }
    return HostMatrix(rows: order, columns: order, values: values)
  }

  /// A column of whole numbers below a limit.
  mutating func integers(_ rows: Int, below limit: Int) -> HostMatrix {
    HostMatrix(rows: rows, columns: 1, .int32, values: (0..<rows).map { _ in Double(integer(below: limit)) })
  }
}
