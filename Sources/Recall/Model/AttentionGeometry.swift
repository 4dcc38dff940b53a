import Compute

/// The angles of a rotary embedding on a device, for texts of some length.
struct RotaryTables {
  let cosines: Matrix
  let sines: Matrix
  let reversedSines: Matrix

  /// Prepares the angles of texts of up to so many tokens.
  init(_ rotary: RotaryEmbedding, longestText: Int, on backend: any ComputeBackend) throws(DeviceError) {
    let tables = rotary.tables(positions: longestText)
    cosines = try backend.upload(tables.cosines, columns: rotary.dimension / 2)
    sines = try backend.upload(tables.sines, columns: rotary.dimension / 2)
    reversedSines = try backend.upload(tables.sines.map { -$0 }, columns: rotary.dimension / 2)
  }

  /// The bytes that they take.
  static func byteCount(_ rotary: RotaryEmbedding, longestText: Int) -> Int {
    3 * longestText * (rotary.dimension / 2) * ElementType.float32.byteCount
  }
}

/// What becomes of queries and keys between their maps and attention: they are normed and turned by the angles of their
/// positions, in families that do so.
struct AttentionGeometry {
  private let headDimension: Int
  private let tables: RotaryTables?
  private let backend: any ComputeBackend

  init(headDimension: Int, tables: RotaryTables?, on backend: any ComputeBackend) {
    (self.headDimension, self.tables, self.backend) = (headDimension, tables, backend)
  }

  /// Norms and turns heads in place.
  ///
  /// - Parameters:
  ///   - states: Heads side by side, `float32 [tokens, heads · headDimension]`.
  ///   - norm: The norm; `nil` for none.
  ///   - positions: Where the tokens are in their texts, `int32 [tokens, 1]`.
  /// - Throws: `DeviceError`.
  func normAndTurn(_ states: Matrix, norm: ResidentNorm?, positions: Matrix) throws(DeviceError) {
    try norm?.apply(to: states, into: states, on: backend)
    guard let tables else { return }
    try backend.rotaryEmbedding(
      states, headDimension: headDimension, positions: positions, cosines: tables.cosines, sines: tables.sines)
  }

  /// Turns a gradient by normed and turned heads, in place, into that by the heads before.
  ///
  /// - Parameters:
  ///   - gradient: The gradient.
  ///   - states: The heads before they were normed and turned; they do not matter without a norm.
  ///   - norm: The norm.
  ///   - positions: Where the tokens are in their texts.
  /// - Throws: `DeviceError`.
  func takeBack(_ gradient: Matrix, of states: Matrix, norm: ResidentNorm?, positions: Matrix) throws(DeviceError) {
    if let tables {
      try backend.rotaryEmbedding(
        gradient, headDimension: headDimension, positions: positions, cosines: tables.cosines,
        sines: tables.reversedSines)
    }
    try norm?.takeBack(gradient, of: states, on: backend)
  }
}
