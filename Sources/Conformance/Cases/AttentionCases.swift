import Compute

extension OperationCase {
  private static func shape(
    _ queryHeads: Int, _ keyValueHeads: Int, _ dimension: Int, causal: Bool = true, window: Int? = nil,
    softCap: Float? = nil, scale: Float? = nil
  ) -> AttentionShape {
    AttentionShape(
      queryHeads: queryHeads, keyValueHeads: keyValueHeads, headDimension: dimension,
      scale: scale ?? 1 / Float(dimension).squareRoot(), causal: causal, window: window, softCap: softCap)
  }

  static var attentionCases: [OperationCase] {
    [
      attention(lengths: [], shape(1, 1, 4)),
      attention(lengths: [1], shape(1, 1, 1)),
      attention(lengths: [1, 0, 2], shape(2, 1, 8)),
      attention(lengths: [7, 33, 1], shape(6, 2, 20)),
      attention(lengths: [64], shape(2, 2, 64)),
      attention(lengths: [16, 47], shape(4, 1, 80)),
      attention(lengths: [13, 64], shape(4, 2, 16, causal: false)),
      attention(lengths: [61, 5], shape(2, 1, 32, window: 1)),
      attention(lengths: [67, 128], shape(2, 1, 32, window: 19)),
      attention(lengths: [41], shape(2, 1, 32, causal: false, window: 17)),
      attention(lengths: [41, 3], shape(2, 1, 64, softCap: 2)),
      // Heads that do not lie in fours, over several tiles, and the longest.
      attention(lengths: [150, 5], shape(2, 1, 33)),
      attention(lengths: [9, 70], shape(2, 1, 300, causal: false)),
      attention(lengths: [7, 33, 1], shape(6, 2, 20), into: .bfloat16),
      attention(lengths: [67, 64], shape(4, 2, 128), into: .bfloat16),
      attention(lengths: [67, 64], shape(4, 2, 128), into: .bfloat16).shifted,
      attention(lengths: [5, 17], shape(2, 1, 9), into: .float16),
    ]
      + [
        // What tensor cores take: tiles of 128 queries and 32 keys, warps of 16 queries.
        ([], shape(1, 1, 16)), ([1, 0, 2], shape(2, 1, 16)), ([130, 31], shape(2, 1, 16)),
        ([150, 5], shape(4, 2, 64)), ([33], shape(2, 2, 96)), ([13, 64], shape(4, 2, 48, causal: false)),
        ([61, 5], shape(2, 1, 32, window: 1)), ([67, 200], shape(2, 1, 32, window: 19)),
        ([67, 200], shape(2, 1, 32, window: 18)), ([141], shape(2, 1, 80, causal: false, window: 17)),
        ([41, 3], shape(2, 1, 112, softCap: 2)), ([37], shape(2, 1, 4)), ([35, 9], shape(2, 1, 76)),
        // Scores that tell roundings of queries and keys apart.
        ([67, 64], shape(4, 2, 128, scale: 1)),
      ].map { attention(lengths: $0, $1, into: .bfloat16) } + [meanOfValues]
  }

  /// Two values of equal weight between numbers of bfloat16, whose mean rounds to another one than that of rounded values.
  private static var meanOfValues: OperationCase {
    let shape = shape(2, 1, 16, causal: false)
    return OperationCase(
      "attention", "a query of zeros to two keys", type: "float32 → bfloat16", tolerance: .exact, flops: 0, bytes: 0
    ) { bench throws(DeviceError) in
      let queries = HostMatrix(rows: 2, columns: 32, values: [Double](repeating: 0, count: 64))
      let two: [Double] = [1 + 0x1.cp-9, 1 + 0x5.cp-9]
      let values = two.flatMap { [Double](repeating: $0, count: 16) }
      let sequences = try PackedSequences(lengths: [2], on: bench.backend)
      let (query, key) = (try bench.input(queries), try bench.input(bench.numbers.matrix(2, 16)))
      let value = try bench.input(HostMatrix(rows: 2, columns: 16, values: values))
      let out = try bench.output(2, 32, .bfloat16)
      try bench.perform { () throws(DeviceError) in
        try bench.backend.attention(
          queries: query, keys: key, values: value, sequences: sequences, shape: shape, into: out)
      }
      try bench.expect(out, Expectation([Double](repeating: 1 + 0x1p-7, count: 64)))
    }
  }

  /// The patterns of attention, which have no values.
  static var attentionPatternCases: [OperationCase] {
    let patterns: [([Int], AttentionShape)] = [
      ([], shape(1, 1, 4)),
      ([1], shape(1, 1, 1)),
      ([1, 0, 2], shape(2, 1, 8)),
      ([7, 33, 1], shape(6, 2, 20)),
      ([64], shape(2, 2, 64)),
      ([13, 64], shape(4, 2, 16, causal: false)),
      ([61, 5], shape(2, 1, 32, window: 1)),
      ([67, 128], shape(2, 1, 32, window: 19)),
      ([91, 0, 17], shape(4, 2, 24, causal: false, window: 17)),
      ([41, 3], shape(2, 1, 64, softCap: 2)),
      ([29, 70], shape(3, 1, 33, window: 40, softCap: 5)),
      ([9, 18], shape(2, 1, 300)),
      ([211], shape(4, 2, 80)),
    ]
    return patterns.map { attentionNormalisers(lengths: $0, $1) }
      + patterns.map { attentionDivergence(lengths: $0, $1) } + [
        attentionDivergence(lengths: [5, 21], shape(4, 2, 20, softCap: 3), from: .same),
        attentionDivergence(lengths: [13, 64], shape(4, 2, 16)).shifted,
        attentionDivergence(lengths: [1, 5, 3], shape(4, 2, 3), from: .anotherByDifferences),
        attentionDivergence(lengths: [6], shape(2, 1, 4, causal: false, window: 3), from: .anotherByDifferences),
        attentionDivergence(lengths: [5, 4], shape(2, 1, 3, window: 3, softCap: 2), from: .anotherByDifferences),
      ]
  }

  private static func words(_ lengths: [Int], _ shape: AttentionShape) -> String {
    let traits = [
      shape.causal ? "causal" : "full", shape.window.map { "window \($0)" }, shape.softCap.map { "soft cap \($0)" },
      shape.scale == 1 ? "unscaled" : nil,
    ]
    return "\(lengths) · \(shape.queryHeads)/\(shape.keyValueHeads) heads of \(shape.headDimension), "
      + traits.compactMap { $0 }.joined(separator: ", ")
  }

  /// The pairs of a query and a key that it may see, without a window.
  private static func pairs(_ lengths: [Int], _ shape: AttentionShape) -> Int {
    lengths.reduce(0) { $0 + (shape.causal ? $1 * ($1 + 1) / 2 : $1 * $1) }
  }

  /// Sums over a head and so many terms.
  private static func tolerance(_ shape: AttentionShape, terms: Int) -> Tolerance {
    .roundings(
      4 * (Double(shape.headDimension).squareRoot() + Double(terms).squareRoot() + 4),
      because: "float32 sums of \(shape.headDimension) and \(terms) terms, and an exponential")
  }

  static func attention(
    lengths: [Int], _ shape: AttentionShape, into type: ElementType = .float32
  ) -> OperationCase {
    let tokens = lengths.reduce(0, +)
    let (queryWidth, keyWidth) = (shape.queryHeads * shape.headDimension, shape.keyValueHeads * shape.headDimension)
    return OperationCase(
      "attention", words(lengths, shape), type: type == .float32 ? type.rawValue : "float32 → \(type.rawValue)",
      tolerance: tolerance(shape, terms: lengths.max() ?? 0).rounded(to: type),
      flops: 4 * pairs(lengths, shape) * queryWidth,
      bytes: tokens * ((4 + type.byteCount) * queryWidth + 8 * keyWidth),
      rounding: .attention(shape, into: type)
    ) { bench throws(DeviceError) in
      let queries = bench.numbers.matrix(tokens, queryWidth)
      let (keys, values) = (bench.numbers.matrix(tokens, keyWidth), bench.numbers.matrix(tokens, keyWidth))
      let sequences = try PackedSequences(lengths: lengths, on: bench.backend)
      let (query, key, value) = (try bench.input(queries), try bench.input(keys), try bench.input(values))
      let out = try bench.output(tokens, queryWidth, type)
      try bench.perform { () throws(DeviceError) in
        try bench.backend.attention(
          queries: query, keys: key, values: value, sequences: sequences, shape: shape, into: out)
      }
      try bench.expect(
        out,
        Reference.attention(
          queries: queries, keys: keys, values: values, lengths: lengths, shape: shape,
          roundoff: bench.backend.attentionRoundoff(shape, into: type)
        )
        .rounded(to: type))
    }
  }

  static func attentionNormalisers(lengths: [Int], _ shape: AttentionShape) -> OperationCase {
    let tokens = lengths.reduce(0, +)
    let (queryWidth, keyWidth) = (shape.queryHeads * shape.headDimension, shape.keyValueHeads * shape.headDimension)
    return OperationCase(
      "attentionNormalisers", words(lengths, shape), tolerance: tolerance(shape, terms: lengths.max() ?? 0),
      flops: 2 * pairs(lengths, shape) * queryWidth, bytes: 4 * tokens * (queryWidth + keyWidth + shape.queryHeads)
    ) { bench throws(DeviceError) in
      let (queries, keys) = (bench.numbers.matrix(tokens, queryWidth), bench.numbers.matrix(tokens, keyWidth))
      let sequences = try PackedSequences(lengths: lengths, on: bench.backend)
      let (query, key) = (try bench.input(queries), try bench.input(keys))
      let out = try bench.output(tokens, shape.queryHeads)
      try bench.perform { () throws(DeviceError) in
        try bench.backend.attentionNormalisers(
          queries: query, keys: key, sequences: sequences, shape: shape, into: out)
      }
      try bench.expect(
        out, Reference.attentionNormalisers(queries: queries, keys: keys, lengths: lengths, shape: shape))
    }
  }

  static func attentionDivergence(
    lengths: [Int], _ shape: AttentionShape, from wanted: WantedPattern = .another
  ) -> OperationCase {
    let tokens = lengths.reduce(0, +)
    let (queryWidth, keyWidth) = (shape.queryHeads * shape.headDimension, shape.keyValueHeads * shape.headDimension)
    // A key's gradient has terms from all query heads that share it.
    let terms = (lengths.max() ?? 0) * shape.queryHeads / shape.keyValueHeads
    return OperationCase(
      "attentionDivergence", "\(words(lengths, shape)), \(wanted.rawValue)", tolerance: tolerance(shape, terms: terms),
      flops: 8 * pairs(lengths, shape) * queryWidth,
      bytes: 12 * tokens * (queryWidth + keyWidth + shape.queryHeads)
    ) { bench throws(DeviceError) in
      let (queries, keys) = (bench.numbers.matrix(tokens, queryWidth), bench.numbers.matrix(tokens, keyWidth))
      let isSame = wanted == .same
      let wantedQueries = isSame ? queries : bench.numbers.matrix(tokens, queryWidth)
      let wantedKeys = isSame ? keys : bench.numbers.matrix(tokens, keyWidth)
      func normalisers(_ queries: HostMatrix, _ keys: HostMatrix) -> HostMatrix {
        // Where nothing is compared any number will do.
        guard bench.numbers.period == nil else { return bench.numbers.matrix(tokens, shape.queryHeads) }
        return HostMatrix(
          rows: tokens, columns: shape.queryHeads,
          values: Reference.attentionNormalisers(queries: queries, keys: keys, lengths: lengths, shape: shape).values)
      }
      let sequences = try PackedSequences(lengths: lengths, on: bench.backend)
      let (query, key) = (try bench.input(queries), try bench.input(keys))
      let (wantedQuery, wantedKey) = (try bench.input(wantedQueries), try bench.input(wantedKeys))
      let normaliser = try bench.input(normalisers(queries, keys))
      let wantedNormaliser = try bench.input(normalisers(wantedQueries, wantedKeys))
      let divergences = try bench.output(tokens, shape.queryHeads)
      let (ofQueries, ofKeys) = (try bench.output(tokens, queryWidth), try bench.output(tokens, keyWidth))
      try bench.perform { () throws(DeviceError) in
        try bench.backend.attentionDivergence(
          queries: query, keys: key, normalisers: normaliser, wantedQueries: wantedQuery, wantedKeys: wantedKey,
          wantedNormalisers: wantedNormaliser, sequences: sequences, shape: shape, divergences: divergences,
          queryGradient: ofQueries, keyGradient: ofKeys)
      }
      guard bench.numbers.period == nil else { return }
      let reference =
        wanted == .anotherByDifferences
        ? Reference.attentionDivergenceByDifferences : Reference.attentionDivergence
      let expected = reference(queries, keys, wantedQueries, wantedKeys, lengths, shape)
      try bench.expect(divergences, expected.divergences)
      try bench.expect(ofQueries, expected.queryGradient)
      try bench.expect(ofKeys, expected.keyGradient)
    }
  }
}

/// Which pattern is wanted, and how the reference finds the gradients.
enum WantedPattern: String {
  case another = "from another"
  case anotherByDifferences = "from another by differences"
  case same = "from itself"
}
