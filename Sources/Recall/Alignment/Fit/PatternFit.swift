import Compute

/// Fits queries and keys to the attention patterns of the experts: the heads that share a key head at a time.
///
///     Σ_i v_i Σ_t Σ_h KL(a_i,t,h ‖ a_t,h) / (heads · Σ_i v_i tokens_i)
///
/// a is where the merged model's tokens look, a_i where the expert's look in the same text. So a query may look for what one
/// expert looks for in its texts and for what another looks for in other texts, where the mean of both queries finds neither.
struct PatternFit: FitObjective {
  private let samples: FitSamples
  private let arithmetic: FitArithmetic
  private let geometry: AttentionGeometry
  private let shape: AttentionShape
  /// Biases and gains of the merged model's queries and keys.
  private let parameters: (query: HeadParameters, key: HeadParameters)
  private let wanted: (queries: Matrix, keys: Matrix, normalisers: Matrix)

  /// What is added to heads, and what they are normed with, in families that do so.
  private struct HeadParameters {
    let bias: Matrix?
    let norm: ResidentNorm?

    init(_ tensors: LayerTensors, _ map: LinearMap, norm: Norm?, rows: Range<Int>) throws(DeviceError) {
      bias = try tensors.bias(of: map)?.columns(rows)
      self.norm = try tensors.norm(norm)
    }
  }

  /// The rows of the query and of the key map that belong to a key head.
  static func rows(ofKeyHead head: Int, _ shape: AttentionShape) -> (query: Range<Int>, key: Range<Int>) {
    let queries = shape.queryHeads / shape.keyValueHeads * shape.headDimension
    return (
      head * queries..<(head + 1) * queries, head * shape.headDimension..<(head + 1) * shape.headDimension
    )
  }

  /// Computes what is wanted of the heads that share a key head.
  ///
  /// - Parameters:
  ///   - head: The key head.
  ///   - attention: What the block's attention is made of.
  ///   - samples: What reaches the maps.
  ///   - experts: The block's tensors of every model.
  ///   - merged: Those of the merged model, biases and gains among them.
  ///   - geometry: How heads are normed and turned.
  ///   - arithmetic: Scratch.
  /// - Throws: `DeviceError`.
  init(
    keyHead head: Int, of attention: AttentionHalf, _ samples: FitSamples, experts: [LayerTensors],
    merged: LayerTensors, geometry: AttentionGeometry, _ arithmetic: FitArithmetic
  ) throws(DeviceError) {
    (self.samples, self.arithmetic, self.geometry) = (samples, arithmetic, geometry)
    var shape = attention.shape
    let (query, key) = PatternFit.rows(ofKeyHead: head, shape)
    (shape.queryHeads, shape.keyValueHeads) = (shape.queryHeads / shape.keyValueHeads, 1)
    self.shape = shape
    func parameters(
      _ tensors: LayerTensors
    ) throws(DeviceError) -> (query: HeadParameters, key: HeadParameters) {
      (
        try HeadParameters(tensors, attention.query, norm: attention.queryNorm, rows: query),
        try HeadParameters(tensors, attention.key, norm: attention.keyNorm, rows: key)
      )
    }
    self.parameters = try parameters(merged)
    wanted = (
      try samples.wanted(0, columns: query.count), try samples.wanted(1, columns: key.count),
      try samples.wanted(2, columns: shape.queryHeads)
    )
    for batch in samples.batches {
      let expert = experts[batch.model]
      let own = try parameters(expert)
      let (queries, keys) = (try wanted.queries.rows(batch.rows), try wanted.keys.rows(batch.rows))
      let maps = [
        (try expert.weights(of: attention.query), query, own.query, queries),
        (try expert.weights(of: attention.key), key, own.key, keys),
      ]
      for (map, rows, parameters, heads) in maps {
        try arithmetic.backend.multiply(
          samples.own(batch), transposed: map.rows(rows), bias: parameters.bias, precision: .full, into: heads)
        try geometry.normAndTurn(heads, norm: parameters.norm, positions: batch.sequences.positions)
      }
      try arithmetic.backend.attentionNormalisers(
        queries: queries, keys: keys, sequences: batch.sequences, shape: shape,
        into: wanted.normalisers.rows(batch.rows))
    }
  }

  func evaluate(
    _ rows: (first: Matrix, second: Matrix), gradient: (first: Matrix, second: Matrix)
  ) throws(DeviceError) -> Double {
    let divergences = try samples.wanted(3, columns: shape.queryHeads)
    let count = samples.weight * Double(shape.queryHeads)
    for (number, batch) in samples.batches.enumerated() {
      let inputs = try samples.merged(batch)
      let query = try Heads(inputs, rows.first, parameters.query, purposes: 0, batch, self)
      let key = try Heads(inputs, rows.second, parameters.key, purposes: 3, batch, self)
      let normalisers = try arithmetic.matrix(.outputs(6), rows: batch.rows.count, columns: shape.queryHeads)
      try arithmetic.backend.attentionNormalisers(
        queries: query.turned, keys: key.turned, sequences: batch.sequences, shape: shape, into: normalisers)
      try arithmetic.backend.attentionDivergence(
        queries: query.turned, keys: key.turned, normalisers: normalisers,
        wantedQueries: wanted.queries.rows(batch.rows), wantedKeys: wanted.keys.rows(batch.rows),
        wantedNormalisers: wanted.normalisers.rows(batch.rows), sequences: batch.sequences, shape: shape,
        divergences: divergences.rows(batch.rows), queryGradient: query.gradient, keyGradient: key.gradient)
      let scale = Float(batch.weight / count)
      for (heads, parameters, gradient) in [
        (query, parameters.query, gradient.first), (key, parameters.key, gradient.second),
      ] {
        try geometry.takeBack(
          heads.gradient, of: heads.plain, norm: parameters.norm, positions: batch.sequences.positions)
        try arithmetic.backend.multiply(
          heads.gradient.transposed, inputs.block, scale: scale, keeping: number == 0 ? 0 : 1, into: gradient.block)
      }
    }
    let found = try arithmetic.backend.download(divergences)
    return samples.batches.reduce(0) { sum, batch in
      let own = found[batch.rows.lowerBound * shape.queryHeads..<batch.rows.upperBound * shape.queryHeads]
      return sum + batch.weight / count * own.reduce(0) { $0 + Double($1) }
    }
  }

  /// What a map makes of a batch, as it puts it out and as attention takes it.
  private struct Heads {
    let plain: Matrix
    let turned: Matrix
    let gradient: Matrix

    init(
      _ inputs: Matrix, _ rows: Matrix, _ parameters: HeadParameters, purposes first: Int, _ batch: FitSamples.Batch,
      _ fit: PatternFit
    ) throws(DeviceError) {
      let arithmetic = fit.arithmetic
      let (tokens, width) = (inputs.rows, rows.rows)
      turned = try arithmetic.matrix(.outputs(first), rows: tokens, columns: width)
      gradient = try arithmetic.matrix(.outputs(first + 1), rows: tokens, columns: width)
      try arithmetic.backend.multiply(
        inputs, transposed: rows, bias: parameters.bias, precision: .full, into: turned)
      // Only a norm has to know what it normed.
      plain = parameters.norm == nil ? turned : try arithmetic.matrix(.outputs(first + 2), rows: tokens, columns: width)
      if parameters.norm != nil { try arithmetic.backend.copy(turned, into: plain) }
      try fit.geometry.normAndTurn(turned, norm: parameters.norm, positions: batch.sequences.positions)
    }
  }
}
