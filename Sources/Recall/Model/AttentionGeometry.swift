import Compute

/// What becomes of queries and keys between their maps and attention: each head is normed, in families that do so, and turned
/// by the angles of its position.
struct AttentionGeometry {
  private let headDimension: Int
  private let normEpsilon: Float
  private let cosines: Matrix
  private let sines: Matrix
  private let reversedSines: Matrix
  private let backend: any ComputeBackend

  /// Prepares the angles of texts of up to so many tokens.
  init(
    _ configuration: ModelConfiguration, longestText: Int, on backend: any ComputeBackend
  ) throws(DeviceError) {
    headDimension = configuration.headDimension
    normEpsilon = configuration.normEpsilon
    self.backend = backend
    let tables = configuration.rotary.tables(positions: longestText)
    cosines = try backend.upload(tables.cosines, columns: headDimension / 2)
    sines = try backend.upload(tables.sines, columns: headDimension / 2)
    reversedSines = try backend.upload(tables.sines.map { -$0 }, columns: headDimension / 2)
  }

  /// The bytes that the angles take.
  static func byteCount(_ configuration: ModelConfiguration, longestText: Int) -> Int {
    6 * longestText * configuration.headDimension
  }

  /// Norms and turns heads in place.
  ///
  /// - Parameters:
  ///   - states: Heads side by side, `float32 [tokens, heads · headDimension]`.
  ///   - gain: The gain of the norm, `[1, headDimension]`; `nil` for none.
  ///   - positions: Where the tokens are in their texts, `int32 [tokens, 1]`.
  /// - Throws: `DeviceError`.
  func normAndTurn(_ states: Matrix, gain: Matrix?, positions: Matrix) throws(DeviceError) {
    if let gain {
      let heads = try heads(of: states)
      try backend.rmsNorm(heads, gain: gain, epsilon: normEpsilon, into: heads)
    }
    try backend.rotaryEmbedding(
      states, headDimension: headDimension, positions: positions, cosines: cosines, sines: sines)
  }

  /// Turns a gradient by normed and turned heads, in place, into that by the heads before.
  ///
  /// - Parameters:
  ///   - gradient: The gradient.
  ///   - states: The heads before they were normed and turned; they do not matter without a gain.
  ///   - gain: The gain of the norm.
  ///   - positions: Where the tokens are in their texts.
  /// - Throws: `DeviceError`.
  func takeBack(_ gradient: Matrix, of states: Matrix, gain: Matrix?, positions: Matrix) throws(DeviceError) {
    try backend.rotaryEmbedding(
      gradient, headDimension: headDimension, positions: positions, cosines: cosines, sines: reversedSines)
    if let gain {
      try backend.rmsNormGradient(heads(of: states), gain: gain, epsilon: normEpsilon, gradient: heads(of: gradient))
    }
  }

  private func heads(of states: Matrix) throws(DeviceError) -> Matrix {
    try states.reshaped(rows: states.count / headDimension, columns: headDimension)
  }
}
