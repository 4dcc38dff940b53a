import Compute

extension OperationCase {
  static var attentionCases: [OperationCase] {
    func shape(
      _ queryHeads: Int, _ keyValueHeads: Int, _ dimension: Int, causal: Bool = true, window: Int? = nil,
      softCap: Float? = nil
    ) -> AttentionShape {
      AttentionShape(
        queryHeads: queryHeads, keyValueHeads: keyValueHeads, headDimension: dimension,
        scale: 1 / Float(dimension).squareRoot(), causal: causal, window: window, softCap: softCap)
    }
    return [
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
    ]
  }

  static func attention(lengths: [Int], _ shape: AttentionShape) -> OperationCase {
    let tokens = lengths.reduce(0, +)
    let pairs = lengths.reduce(0) { $0 + (shape.causal ? $1 * ($1 + 1) / 2 : $1 * $1) }
    let (queryWidth, keyWidth) = (shape.queryHeads * shape.headDimension, shape.keyValueHeads * shape.headDimension)
    let traits = [
      shape.causal ? "causal" : "full", shape.window.map { "window \($0)" }, shape.softCap.map { "soft cap \($0)" },
    ]
    let roots = Double(shape.headDimension).squareRoot() + Double(lengths.max() ?? 0).squareRoot()
    let bound = Tolerance.roundings(
      4 * (roots + 4),
      because: "float32 sums of \(shape.headDimension) and \(lengths.max() ?? 0) terms, and an exponential")
    return OperationCase(
      "attention",
      "\(lengths) · \(shape.queryHeads)/\(shape.keyValueHeads) heads of \(shape.headDimension), "
        + traits.compactMap { $0 }.joined(separator: ", "), tolerance: bound,
      flops: 4 * pairs * queryWidth, bytes: 8 * tokens * (queryWidth + keyWidth)
    ) { bench throws(DeviceError) in
      let queries = bench.numbers.matrix(tokens, queryWidth)
      let (keys, values) = (bench.numbers.matrix(tokens, keyWidth), bench.numbers.matrix(tokens, keyWidth))
      let sequences = try PackedSequences(lengths: lengths, on: bench.backend)
      let (query, key, value) = (try bench.input(queries), try bench.input(keys), try bench.input(values))
      let out = try bench.output(tokens, queryWidth)
      try bench.perform { () throws(DeviceError) in
        try bench.backend.attention(
          queries: query, keys: key, values: value, sequences: sequences, shape: shape, into: out)
      }
      try bench.expect(
        out, Reference.attention(queries: queries, keys: keys, values: values, lengths: lengths, shape: shape))
    }
  }
}
