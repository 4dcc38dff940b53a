import CVector
import Compute

extension CPUBackend {
  /// Softmax attention inside each text; heads of texts are shared out over the cores.
  ///
  /// A head of a text of T tokens costs 4·T²·d operations (half of that when causal) and scratch for T·2d floats.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit, `DeviceError.Code.outOfMemory`
  ///   when there is no room for the scratch.
  public func attention(
    queries: Matrix, keys: Matrix, values: Matrix, sequences: PackedSequences, shape: AttentionShape, into out: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.attention(
      queries: queries, keys: keys, values: values, sequences: sequences, shape: shape, into: out)
    guard out.elementType == .float32 else {
      return try rounding(into: out) { wide throws(DeviceError) in
        try attention(queries: queries, keys: keys, values: values, sequences: sequences, shape: shape, into: wide)
      }
    }

    let scratch = try attentionScratch(sequences, shape, loops.attentionScratch)
    let (query, key, value, output) = (queries.floats, keys.floats, values.floats, out.floats)
    workers.forEach(sequences.count * shape.queryHeads, grain: 1) { worker, piece in
      for number in piece {
        let place = HeadPlace(number, of: shape.queryHeads, sequences, shape)
        var head = AttentionHead(
          pattern: place.pattern(query, key, shape), values: value + place.keyOffset,
          output: output + place.queryOffset)
        loops.attention(&head, scratch[worker])
      }
    }
  }

  /// `out[t, h] = log Σ exp(score)` over the keys that a query sees; heads of texts are shared out over the cores.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit, `DeviceError.Code.outOfMemory`
  ///   when there is no room for the scratch, which is that of `attention`.
  public func attentionNormalisers(
    queries: Matrix, keys: Matrix, sequences: PackedSequences, shape: AttentionShape, into out: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.attentionNormalisers(
      queries: queries, keys: keys, sequences: sequences, shape: shape, into: out)

    let scratch = try attentionScratch(sequences, shape, loops.attentionScratch)
    let (query, key, output) = (queries.floats, keys.floats, out.floats)
    workers.forEach(sequences.count * shape.queryHeads, grain: 1) { worker, piece in
      for number in piece {
        let place = HeadPlace(number, of: shape.queryHeads, sequences, shape)
        var pattern = place.pattern(query, key, shape)
        loops.attentionNormalisers(&pattern, output + place.normaliserOffset, shape.queryHeads, scratch[worker])
      }
    }
  }

  /// How far an attention pattern is from a wanted one, and the gradients of that; key heads of texts are shared out over
  /// the cores, so that the query heads that share one add to its gradient one after another.
  ///
  /// A query head of a text of T tokens costs 8·T²·d operations (half of that when causal), and scratch for some T·3d
  /// floats.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit, `DeviceError.Code.outOfMemory`
  ///   when there is no room for the scratch.
  public func attentionDivergence(
    queries: Matrix, keys: Matrix, normalisers: Matrix, wantedQueries: Matrix, wantedKeys: Matrix,
    wantedNormalisers: Matrix, sequences: PackedSequences, shape: AttentionShape, divergences: Matrix,
    queryGradient: Matrix, keyGradient: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.attentionDivergence(
      queries: queries, keys: keys, normalisers: normalisers, wantedQueries: wantedQueries, wantedKeys: wantedKeys,
      wantedNormalisers: wantedNormalisers, sequences: sequences, shape: shape, divergences: divergences,
      queryGradient: queryGradient, keyGradient: keyGradient)

    let scratch = try attentionScratch(sequences, shape, loops.divergenceScratch)
    let (query, key, normaliser) = (queries.floats, keys.floats, normalisers.floats)
    let (wantedQuery, wantedKey) = (wantedQueries.floats, wantedKeys.floats)
    let (wantedNormaliser, output) = (wantedNormalisers.floats, divergences.floats)
    let (ofQuery, ofKey) = (queryGradient.floats, keyGradient.floats)
    workers.forEach(sequences.count * shape.keyValueHeads, grain: 1) { worker, piece in
      for number in piece {
        let place = HeadPlace(number, of: shape.keyValueHeads, sequences, shape)
        var divergence = AttentionDivergence(
          pattern: place.pattern(query, key, shape), wanted: place.pattern(wantedQuery, wantedKey, shape),
          queryHeads: shape.queryHeads / shape.keyValueHeads, normalisers: normaliser + place.normaliserOffset,
          wantedNormalisers: wantedNormaliser + place.normaliserOffset, divergences: output + place.normaliserOffset,
          normaliserStride: shape.queryHeads, queryGradient: ofQuery + place.queryOffset,
          keyGradient: ofKey + place.keyOffset)
        loops.attentionDivergence(&divergence, scratch[worker])
      }
    }
  }

  /// Each worker's scratch for the longest of the texts.
  private func attentionScratch(
    _ sequences: PackedSequences, _ shape: AttentionShape, _ size: (Int, Int) -> Int
  ) throws(DeviceError) -> [UnsafeMutablePointer<Float>] {
    let longest = (0..<sequences.count).map { sequences.starts[$0 + 1] - sequences.starts[$0] }.max() ?? 0
    let count = size(longest, shape.headDimension)
    return try workerScratch.map { scratch throws(DeviceError) in try scratch.floats(count) }
  }
}

/// Where a head of a text starts in the matrices of an attention.
private struct HeadPlace {
  /// The first element in matrices of queries.
  let queryOffset: Int
  /// The first element in matrices of keys.
  let keyOffset: Int
  /// The first element in matrices with a number for each query head.
  let normaliserOffset: Int
  private let tokens: Int

  /// Finds a head by its number among all texts' heads, which are query heads or key heads; of a key head the first of the
  /// query heads that share it.
  init(_ number: Int, of heads: Int, _ sequences: PackedSequences, _ shape: AttentionShape) {
    let (text, head) = number.quotientAndRemainder(dividingBy: heads)
    let queryHead = head * (shape.queryHeads / heads)
    let keyHead = queryHead / (shape.queryHeads / shape.keyValueHeads)
    let start = sequences.starts[text]
    tokens = sequences.starts[text + 1] - start
    queryOffset = (start * shape.queryHeads + queryHead) * shape.headDimension
    keyOffset = (start * shape.keyValueHeads + keyHead) * shape.headDimension
    normaliserOffset = start * shape.queryHeads + queryHead
  }

  /// The scores of this head.
  func pattern(
    _ queries: UnsafePointer<Float>, _ keys: UnsafePointer<Float>, _ shape: AttentionShape
  ) -> AttentionPattern {
    AttentionPattern(
      queries: queries + queryOffset, keys: keys + keyOffset, queryStride: shape.queryHeads * shape.headDimension,
      keyStride: shape.keyValueHeads * shape.headDimension, tokens: tokens, dimension: shape.headDimension,
      scale: shape.scale, causal: shape.causal, window: shape.window ?? 0, softCap: shape.softCap ?? 0)
  }
}
