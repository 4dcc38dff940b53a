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

    let dimension = shape.headDimension
    let (queryWidth, keyWidth) = (queries.columns, keys.columns)
    let longest = (0..<sequences.count).map { sequences.starts[$0 + 1] - sequences.starts[$0] }.max() ?? 0
    let scratch = try workerScratch.map { scratch throws(DeviceError) in
      try scratch.floats(loops.attentionScratch(longest, dimension))
    }
    let (query, key, value, output) = (queries.floats, keys.floats, values.floats, out.floats)
    workers.forEach(sequences.count * shape.queryHeads, grain: 1) { worker, piece in
      for number in piece {
        let (text, queryHead) = number.quotientAndRemainder(dividingBy: shape.queryHeads)
        let start = sequences.starts[text]
        let keyHead = queryHead / (shape.queryHeads / shape.keyValueHeads)
        let queryOffset = start * queryWidth + queryHead * dimension
        let keyOffset = start * keyWidth + keyHead * dimension
        var head = AttentionHead(
          queries: query + queryOffset, keys: key + keyOffset, values: value + keyOffset, output: output + queryOffset,
          queryStride: queryWidth, keyStride: keyWidth, tokens: sequences.starts[text + 1] - start,
          dimension: dimension, scale: shape.scale, causal: shape.causal, window: shape.window ?? 0,
          softCap: shape.softCap ?? 0)
        loops.attention(&head, scratch[worker])
      }
    }
  }
}
