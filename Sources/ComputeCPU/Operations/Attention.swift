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
    let check = ArgumentChecks(operation: "attention")
    try check.require(
      shape.keyValueHeads > 0 && shape.queryHeads > 0 && shape.queryHeads % shape.keyValueHeads == 0,
      "query heads that are a multiple of the \(shape.keyValueHeads) key and value heads", got: "\(shape.queryHeads)")
    try check.require(shape.headDimension > 0, "a head dimension above 0", got: "\(shape.headDimension)")
    try check.require((shape.window ?? 1) > 0, "a window above 0", got: "\(shape.window ?? 1)")
    try check.require((shape.softCap ?? 1) > 0, "a soft cap above 0", got: "\(shape.softCap ?? 1)")
    let (queryWidth, keyWidth) = (
      shape.queryHeads * shape.headDimension, shape.keyValueHeads * shape.headDimension
    )
    try check.matrix(queries, "queries", rows: sequences.tokens, columns: queryWidth)
    try check.matrix(keys, "keys", rows: sequences.tokens, columns: keyWidth)
    try check.matrix(values, "values", rows: sequences.tokens, columns: keyWidth)
    try check.matrix(out, "out", rows: sequences.tokens, columns: queryWidth)

    let dimension = shape.headDimension
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
