/// What the arguments of each operation have to be: the same for every backend.
///
/// All throw `DeviceError.Code.invalidArgument`.
extension ArgumentChecks {
  /// Checks `ComputeBackend.embeddingLookup`, but not the token numbers, which lie on the device.
  package static func embeddingLookup(tokens: Matrix, table: Matrix, into states: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "embeddingLookup")
    try check.matrix(tokens, "tokens", rows: tokens.rows, columns: 1, [.int32])
    try check.matrix(table, "table", rows: table.rows, columns: states.columns, ElementType.weights)
    try check.matrix(states, "states", rows: tokens.rows, columns: states.columns)
  }

  /// Checks `ComputeBackend.rmsNorm`.
  package static func rmsNorm(_ x: Matrix, gain: Matrix, into out: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "rmsNorm")
    try check.matrix(x, "x", rows: x.rows, columns: x.columns)
    try check.matrix(gain, "gain", rows: 1, columns: x.columns, ElementType.weights)
    try check.activations(out, "out", of: [x])
  }

  /// Checks `ComputeBackend.layerNorm`.
  package static func layerNorm(_ x: Matrix, gain: Matrix, bias: Matrix?, into out: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "layerNorm")
    try check.matrix(x, "x", rows: x.rows, columns: x.columns)
    try check.matrix(gain, "gain", rows: 1, columns: x.columns, ElementType.weights)
    if let bias { try check.matrix(bias, "bias", rows: 1, columns: x.columns, ElementType.weights) }
    try check.matrix(out, "out", rows: x.rows, columns: x.columns)
  }

  /// Checks `ComputeBackend.multiply`.
  package static func multiply(
    _ a: Matrix, transposed weights: Matrix, bias: Matrix?, into out: Matrix
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: "multiply")
    try check.matrix(weights, "weights", rows: weights.rows, columns: a.columns, ElementType.weights)
    let type = weights.elementType
    try check.matrix(a, "a", rows: a.rows, columns: a.columns, type == .float32 ? [.float32] : [.float32, type])
    if let bias { try check.matrix(bias, "bias", rows: 1, columns: weights.rows, ElementType.weights) }
    try check.matrix(out, "out", rows: a.rows, columns: weights.rows)
  }

  /// Checks `ComputeBackend.rotaryEmbedding`, but not the positions, which lie on the device.
  package static func rotaryEmbedding(
    _ states: Matrix, headDimension: Int, positions: Matrix, cosines: Matrix, sines: Matrix
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: "rotaryEmbedding")
    try check.require(
      headDimension > 0 && states.columns % headDimension == 0, "a head dimension that divides \(states.columns)",
      got: "\(headDimension)")
    try check.require(
      cosines.columns * 2 <= headDimension, "at most \(headDimension / 2) cosines per position",
      got: "\(cosines.columns)")
    try check.matrix(states, "states", rows: states.rows, columns: states.columns)
    try check.matrix(positions, "positions", rows: states.rows, columns: 1, [.int32])
    try check.matrix(cosines, "cosines", rows: cosines.rows, columns: cosines.columns)
    try check.matrix(sines, "sines", rows: cosines.rows, columns: cosines.columns)
  }

  /// Checks `ComputeBackend.attention`.
  package static func attention(
    queries: Matrix, keys: Matrix, values: Matrix, sequences: PackedSequences, shape: AttentionShape, into out: Matrix
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: "attention")
    try check.heads(shape, [(queries, "queries")], [(keys, "keys"), (values, "values")], sequences)
    try check.activations(out, "out", of: [queries])
  }

  /// Requires heads that fit each other, and a row for every token of queries and of keys, whose names follow them.
  private func heads(
    _ shape: AttentionShape, _ queries: [(Matrix, String)], _ keys: [(Matrix, String)], _ sequences: PackedSequences
  ) throws(DeviceError) {
    try require(
      shape.keyValueHeads > 0 && shape.queryHeads > 0 && shape.queryHeads % shape.keyValueHeads == 0,
      "query heads that are a multiple of the \(shape.keyValueHeads) key and value heads", got: "\(shape.queryHeads)")
    try require(shape.headDimension > 0, "a head dimension above 0", got: "\(shape.headDimension)")
    try require((shape.window ?? 1) > 0, "a window above 0", got: "\(shape.window ?? 1)")
    try require((shape.softCap ?? 1) > 0, "a soft cap above 0", got: "\(shape.softCap ?? 1)")
    for (heads, matrices) in [(shape.queryHeads, queries), (shape.keyValueHeads, keys)] {
      for (states, name) in matrices {
        try matrix(states, name, rows: sequences.tokens, columns: heads * shape.headDimension)
      }
    }
  }

  /// Checks `ComputeBackend.activate`.
  package static func activate(_ x: Matrix, into out: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "activate")
    try check.matrix(x, "x", rows: x.rows, columns: x.columns)
    try check.matrix(out, "out", rows: x.rows, columns: x.columns)
  }

  /// Checks `ComputeBackend.gatedActivation`.
  package static func gatedActivation(gate: Matrix, up: Matrix, into out: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "gatedActivation")
    try check.matrix(gate, "gate", rows: gate.rows, columns: gate.columns)
    try check.matrix(up, "up", rows: gate.rows, columns: gate.columns)
    try check.activations(out, "out", of: [gate, up])
  }

  /// Requires an output of the shape of its inputs, in `float32` or, in memory of its own, in 16 bits.
  private func activations(_ out: Matrix, _ name: String, of inputs: [Matrix]) throws(DeviceError) {
    try matrix(out, name, rows: inputs[0].rows, columns: inputs[0].columns, ElementType.weights)
    try require(
      out.elementType == .float32 || inputs.allSatisfy { $0.buffer !== out.buffer },
      "\(name) of 16 bits in memory of its own", got: "that of an input")
  }

  /// Checks `ComputeBackend.add`.
  package static func add(_ addend: Matrix, to sum: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "add")
    try check.matrix(addend, "addend", rows: sum.rows, columns: sum.columns)
    try check.matrix(sum, "sum", rows: sum.rows, columns: sum.columns)
  }

  /// Checks `ComputeBackend.pool`.
  package static func pool(_ states: Matrix, sequences: PackedSequences, into out: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "pool")
    try check.matrix(states, "states", rows: sequences.tokens, columns: states.columns)
    try check.matrix(out, "out", rows: sequences.count, columns: states.columns)
  }

  /// Checks `ComputeBackend.pairedSquaredDistances`.
  package static func pairedSquaredDistances(_ x: Matrix, _ y: Matrix, into out: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "pairedSquaredDistances")
    try check.matrix(x, "x", rows: x.rows, columns: x.columns)
    try check.matrix(y, "y", rows: x.rows, columns: x.columns)
    try check.matrix(out, "out", rows: x.rows, columns: 1)
  }

  /// Checks `ComputeBackend.squaredDistancesBetweenModels`.
  package static func squaredDistancesBetweenModels(_ x: Matrix, models: Int, into out: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "squaredDistancesBetweenModels")
    try check.require(models > 0, "at least one model", got: "\(models)")
    try check.matrix(x, "x", rows: models * out.columns, columns: x.columns)
    try check.matrix(out, "out", rows: models * models, columns: out.columns)
  }

  /// Checks `ComputeBackend.squaredDistances`.
  package static func squaredDistances(_ x: Matrix, _ y: Matrix, into out: Matrix) throws(DeviceError) {
    try ArgumentChecks(operation: "squaredDistances").everyPair(x, y, into: out)
  }

  /// Checks `ComputeBackend.radialBasisKernel`.
  package static func radialBasisKernel(
    _ x: Matrix, _ y: Matrix, sigma: Float, into out: Matrix
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: "radialBasisKernel")
    try check.require(sigma > 0, "a sigma above 0", got: "\(sigma)")
    try check.everyPair(x, y, into: out)
  }

  private func everyPair(_ x: Matrix, _ y: Matrix, into out: Matrix) throws(DeviceError) {
    try matrix(x, "x", rows: x.rows, columns: x.columns)
    try matrix(y, "y", rows: y.rows, columns: x.columns)
    try matrix(out, "out", rows: x.rows, columns: y.rows)
  }

  /// Checks `ComputeBackend.assignClusters`.
  package static func assignClusters(
    points: Matrix, centroids: Matrix, clusters: Matrix, distances: Matrix
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: "assignClusters")
    try check.matrix(points, "points", rows: points.rows, columns: points.columns)
    try check.matrix(centroids, "centroids", rows: centroids.rows, columns: points.columns)
    try check.matrix(clusters, "clusters", rows: points.rows, columns: 1, [.int32])
    try check.matrix(distances, "distances", rows: points.rows, columns: 1)
    try check.require(centroids.rows > 0 || points.rows == 0, "at least one centroid", got: "none")
  }

  /// Checks `ComputeBackend.updateCentroids`, but not the cluster numbers, which lie on the device.
  package static func updateCentroids(points: Matrix, clusters: Matrix, centroids: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "updateCentroids")
    try check.matrix(points, "points", rows: points.rows, columns: points.columns)
    try check.matrix(clusters, "clusters", rows: points.rows, columns: 1, [.int32])
    try check.matrix(centroids, "centroids", rows: centroids.rows, columns: points.columns)
  }

  /// Checks `ComputeBackend.accumulateTokenScores`, but not the targets, which lie on the device.
  package static func accumulateTokenScores(
    _ logits: Matrix, firstEntry: Int, targets: Matrix, scores: Matrix, best: Matrix
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: "accumulateTokenScores")
    let rows = logits.rows
    try check.matrix(logits, "logits", rows: rows, columns: logits.columns)
    try check.require(firstEntry >= 0, "a first entry of 0 or more", got: "\(firstEntry)")
    try check.matrix(targets, "targets", rows: rows, columns: 1, [.int32])
    try check.matrix(scores, "scores", rows: rows, columns: 3)
    try check.matrix(best, "best", rows: rows, columns: 1, [.int32])
  }

  /// Checks `ComputeBackend.multiply` of blocks.
  package static func multiply(_ a: MatrixBlock, _ b: MatrixBlock, into out: MatrixBlock) throws(DeviceError) {
    let check = ArgumentChecks(operation: "multiplyBlocks")
    try check.block(a, "a", rows: a.rows, columns: a.columns)
    try check.block(b, "b", rows: a.columns, columns: b.columns)
    try check.block(out, "out", rows: a.rows, columns: b.columns)
    try check.require(!out.isTransposed, "an out as it is stored", got: "its transpose")
  }

  /// Checks `ComputeBackend.add(_:toDiagonalOf:)`.
  package static func add(_ values: Matrix, toDiagonalOf matrix: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "addToDiagonal")
    try check.matrix(matrix, "matrix", rows: matrix.rows, columns: matrix.rows)
    try check.matrix(values, "values", rows: 1, columns: matrix.rows)
  }

  /// Checks `ComputeBackend.invertCholesky`.
  package static func invertCholesky(
    of block: MatrixBlock, into inverse: MatrixBlock, failures: Matrix
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: "invertCholesky")
    let most = CholeskyLimits.largestBlock
    try check.require(block.rows <= most, "at most \(most) rows", got: "\(block.rows)")
    try check.block(block, "block", rows: block.rows, columns: block.rows)
    try check.block(inverse, "inverse", rows: block.rows, columns: block.rows)
    try check.require(!block.isTransposed && !inverse.isTransposed, "blocks as they are stored", got: "a transpose")
    try check.matrix(failures, "failures", rows: 1, columns: 1, [.int32])
  }

  private func block(_ block: MatrixBlock, _ name: String, rows: Int, columns: Int) throws(DeviceError) {
    try matrix(block.matrix, "\(name)'s matrix", rows: block.matrix.rows, columns: block.matrix.columns)
    try require(
      block.rows == rows && block.columns == columns, "\(name) [\(rows), \(columns)]",
      got: "[\(block.rows), \(block.columns)]")
  }

  /// Checks `ComputeBackend.attentionNormalisers`.
  package static func attentionNormalisers(
    queries: Matrix, keys: Matrix, sequences: PackedSequences, shape: AttentionShape, into out: Matrix
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: "attentionNormalisers")
    try check.heads(shape, [(queries, "queries")], [(keys, "keys")], sequences)
    try check.matrix(out, "out", rows: sequences.tokens, columns: shape.queryHeads)
  }

  /// Checks `ComputeBackend.attentionDivergence`.
  package static func attentionDivergence(
    queries: Matrix, keys: Matrix, normalisers: Matrix, wantedQueries: Matrix, wantedKeys: Matrix,
    wantedNormalisers: Matrix, sequences: PackedSequences, shape: AttentionShape, divergences: Matrix,
    queryGradient: Matrix, keyGradient: Matrix
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: "attentionDivergence")
    try check.heads(
      shape, [(queries, "queries"), (wantedQueries, "wantedQueries"), (queryGradient, "queryGradient")],
      [(keys, "keys"), (wantedKeys, "wantedKeys"), (keyGradient, "keyGradient")], sequences)
    for (matrix, name) in [
      (normalisers, "normalisers"), (wantedNormalisers, "wantedNormalisers"), (divergences, "divergences"),
    ] {
      try check.matrix(matrix, name, rows: sequences.tokens, columns: shape.queryHeads)
    }
  }

  /// Checks `ComputeBackend.gatedActivationGradient`.
  package static func gatedActivationGradient(
    gate: Matrix, up: Matrix, gradient: Matrix, gateGradient: Matrix, upGradient: Matrix
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: "gatedActivationGradient")
    for (matrix, name) in [
      (gate, "gate"), (up, "up"), (gradient, "gradient"), (gateGradient, "gateGradient"), (upGradient, "upGradient"),
    ] {
      try check.matrix(matrix, name, rows: gate.rows, columns: gate.columns)
    }
  }

  /// Checks `ComputeBackend.rmsNormGradient`.
  package static func rmsNormGradient(_ x: Matrix, gain: Matrix, gradient: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "rmsNormGradient")
    try check.matrix(x, "x", rows: x.rows, columns: x.columns)
    try check.matrix(gain, "gain", rows: 1, columns: x.columns, ElementType.weights)
    try check.matrix(gradient, "gradient", rows: x.rows, columns: x.columns)
  }

  /// Checks `ComputeBackend.weightedSum`.
  package static func weightedSum(
    _ inputs: [Matrix], weights: [Float], into out: Matrix, nonFinite: Matrix?
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: "weightedSum")
    let most = WeightedSumLimits.mostInputs
    try check.require(1...most ~= inputs.count, "1 to \(most) inputs", got: "\(inputs.count)")
    try check.require(weights.count == inputs.count, "\(inputs.count) weights", got: "\(weights.count)")
    for (index, input) in inputs.enumerated() {
      try check.matrix(input, "input \(index)", rows: out.rows, columns: out.columns, ElementType.floating)
    }
    try check.matrix(out, "out", rows: out.rows, columns: out.columns, ElementType.floating)
    if let nonFinite { try check.matrix(nonFinite, "nonFinite", rows: 1, columns: inputs.count + 1, [.int32]) }
  }

  /// Checks `ComputeBackend.sparseChange`.
  package static func sparseChange(
    of x: Matrix, from base: Matrix, first: Int, into out: Matrix
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: "sparseChange")
    try check.matrix(x, "x", rows: out.rows, columns: out.columns, ElementType.floating)
    try check.matrix(base, "base", rows: out.rows, columns: out.columns, ElementType.floating)
    try check.matrix(out, "out", rows: out.rows, columns: out.columns)
    try check.require(first >= 0, "a first element of 0 or more", got: "\(first)")
  }

  /// Checks `ComputeBackend.countDigits`.
  package static func countDigits(
    of values: Matrix, first: Int, digit: SortDigit, into counts: Matrix
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: "countDigits")
    try check.matrix(values, "values", rows: values.rows, columns: values.columns)
    try check.require(first >= 0, "a first element of 0 or more", got: "\(first)")
    let digits = counts.columns
    try check.require(
      1...1 << 16 ~= digits && digits & (digits - 1) == 0, "a power of two of counts up to 65536", got: "\(digits)")
    try check.matrix(counts, "counts", rows: 1, columns: digits, [.int32])
    try check.require(
      0...31 ~= digit.shift && 0...31 ~= digit.prefixShift, "shifts from 0 to 31",
      got: "\(digit.shift) and \(digit.prefixShift)")
  }

  /// Checks `ComputeBackend.blockMoments`.
  package static func blockMoments(_ x: Matrix, _ y: Matrix, into sums: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "blockMoments")
    try check.matrix(x, "x", rows: x.rows, columns: x.columns, ElementType.floating)
    try check.matrix(y, "y", rows: x.rows, columns: x.columns, ElementType.floating)
    try check.matrix(sums, "sums", rows: (x.count + MomentLimits.block - 1) / MomentLimits.block, columns: 5)
  }

  /// Checks `ComputeBackend.sumAgreeing`.
  package static func sumAgreeing(
    _ changes: Matrix, base: Matrix, factors: Matrix, into out: Matrix, nonFinite: Matrix
  ) throws(DeviceError) {
    let check = ArgumentChecks(operation: "sumAgreeing")
    let most = WeightedSumLimits.mostInputs - 1
    try check.require(1...most ~= changes.rows, "1 to \(most) changes", got: "\(changes.rows)")
    try check.matrix(changes, "changes", rows: changes.rows, columns: out.columns)
    try check.matrix(base, "base", rows: 1, columns: out.columns, ElementType.floating)
    try check.matrix(factors, "factors", rows: 1, columns: 1 << changes.rows)
    try check.matrix(out, "out", rows: 1, columns: out.columns, ElementType.floating)
    try check.matrix(nonFinite, "nonFinite", rows: 1, columns: changes.rows + 2, [.int32])
  }

  /// Checks `ComputeBackend.convert`.
  package static func convert(_ source: Matrix, into destination: Matrix) throws(DeviceError) {
    let check = ArgumentChecks(operation: "convert")
    try check.matrix(source, "source", rows: source.rows, columns: source.columns, ElementType.floating)
    try check.matrix(destination, "destination", rows: source.rows, columns: source.columns, ElementType.floating)
  }

  /// Checks `ComputeBackend.copy`.
  package static func copy(_ source: Matrix, into destination: Matrix) throws(DeviceError) {
    try ArgumentChecks(operation: "copy").matrix(
      destination, "destination", rows: source.rows, columns: source.columns, [source.elementType])
  }

  /// Checks a download: the host memory has to be large enough.
  package static func download(_ matrix: Matrix, into host: HostBuffer) throws(DeviceError) {
    try ArgumentChecks(operation: "download").require(
      matrix.byteCount <= host.byteCount, "at least \(matrix.byteCount) bytes of host memory", got: "\(host.byteCount)")
  }
}
