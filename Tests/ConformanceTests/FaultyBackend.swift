import Compute
import ComputeCPU

/// The processor with a fault in some operations: what conformance has to find.
final class FaultyBackend: ComputeBackend {
  /// What an operation may do instead of its work.
  enum Fault {
    /// Nothing: its output stays as it was.
    case idle
    /// Its work, and one element more behind the output.
    case writesTooFar
    /// It says that it is not one of this backend's.
    case unsupported
    /// It fails in the driver.
    case fails
  }

  private let processor: CPUBackend
  private let faults: [String: Fault]

  init(_ faults: [String: Fault]) throws(DeviceError) {
    self.faults = faults
    processor = try CPUBackend()
  }

  private func perform(
    _ operation: String, into out: Matrix, _ work: () throws(DeviceError) -> Void
  ) throws(DeviceError) {
    switch faults[operation] {
    case .idle: return
    case .unsupported:
      throw DeviceError(.unsupported, operation: operation, expected: "an operation of this backend", got: operation)
    case .fails:
      throw DeviceError(.driver, operation: operation, expected: "a launch", got: "an error", driverStatus: 7)
    case .writesTooFar:
      try work()
      let behind = try Matrix(
        out.buffer, byteOffset: out.byteOffset + out.byteCount, rows: 1, columns: 1, elementType: out.elementType)
      try processor.copy(processor.upload([7 as Float], columns: 1), into: behind)
    case nil: try work()
    }
  }

  var device: DeviceDescription { processor.device }
  func allocate(byteCount: Int) throws(DeviceError) -> DeviceBuffer { try processor.allocate(byteCount: byteCount) }
  func allocateHost(byteCount: Int) throws(DeviceError) -> HostBuffer {
    try processor.allocateHost(byteCount: byteCount)
  }
  func upload(_ host: HostBuffer) throws(DeviceError) -> DeviceBuffer { try processor.upload(host) }
  func enqueueDownload(_ matrix: Matrix, into host: HostBuffer) throws(DeviceError) -> Transfer {
    try processor.enqueueDownload(matrix, into: host)
  }
  func synchronize() throws(DeviceError) { try processor.synchronize() }

  func copy(_ source: Matrix, into destination: Matrix) throws(DeviceError) {
    try perform("copy", into: destination) { () throws(DeviceError) in
      try processor.copy(source, into: destination)
    }
  }
  func embeddingLookup(tokens: Matrix, table: Matrix, into states: Matrix) throws(DeviceError) {
    try perform("embeddingLookup", into: states) { () throws(DeviceError) in
      try processor.embeddingLookup(tokens: tokens, table: table, into: states)
    }
  }
  func rmsNorm(_ x: Matrix, gain: Matrix, epsilon: Float, into out: Matrix) throws(DeviceError) {
    try perform("rmsNorm", into: out) { () throws(DeviceError) in
      try processor.rmsNorm(x, gain: gain, epsilon: epsilon, into: out)
    }
  }
  func layerNorm(_ x: Matrix, gain: Matrix, bias: Matrix?, epsilon: Float, into out: Matrix) throws(DeviceError) {
    try perform("layerNorm", into: out) { () throws(DeviceError) in
      try processor.layerNorm(x, gain: gain, bias: bias, epsilon: epsilon, into: out)
    }
  }
  func multiply(
    _ a: Matrix, transposed weights: Matrix, bias: Matrix?, precision: ProductPrecision, adding: Bool, into out: Matrix
  ) throws(DeviceError) {
    try perform("multiply", into: out) { () throws(DeviceError) in
      try processor.multiply(a, transposed: weights, bias: bias, precision: precision, adding: adding, into: out)
    }
  }
  func rotaryEmbedding(
    _ states: Matrix, headDimension: Int, positions: Matrix, cosines: Matrix, sines: Matrix
  ) throws(DeviceError) {
    try perform("rotaryEmbedding", into: states) { () throws(DeviceError) in
      try processor.rotaryEmbedding(
        states, headDimension: headDimension, positions: positions, cosines: cosines, sines: sines)
    }
  }
  func attention(
    queries: Matrix, keys: Matrix, values: Matrix, sequences: PackedSequences, shape: AttentionShape, into out: Matrix
  ) throws(DeviceError) {
    try perform("attention", into: out) { () throws(DeviceError) in
      try processor.attention(
        queries: queries, keys: keys, values: values, sequences: sequences, shape: shape, into: out)
    }
  }
  func activate(_ activation: Activation, _ x: Matrix, into out: Matrix) throws(DeviceError) {
    try perform("activate", into: out) { () throws(DeviceError) in
      try processor.activate(activation, x, into: out)
    }
  }
  func gatedActivation(_ activation: Activation, gate: Matrix, up: Matrix, into out: Matrix) throws(DeviceError) {
    try perform("gatedActivation", into: out) { () throws(DeviceError) in
      try processor.gatedActivation(activation, gate: gate, up: up, into: out)
    }
  }
  func add(_ addend: Matrix, to sum: Matrix) throws(DeviceError) {
    try perform("add", into: sum) { () throws(DeviceError) in try processor.add(addend, to: sum) }
  }
  func pool(_ states: Matrix, sequences: PackedSequences, pooling: Pooling, into out: Matrix) throws(DeviceError) {
    try perform("pool", into: out) { () throws(DeviceError) in
      try processor.pool(states, sequences: sequences, pooling: pooling, into: out)
    }
  }
  func pairedSquaredDistances(_ x: Matrix, _ y: Matrix, into out: Matrix) throws(DeviceError) {
    try perform("pairedSquaredDistances", into: out) { () throws(DeviceError) in
      try processor.pairedSquaredDistances(x, y, into: out)
    }
  }
  func squaredDistancesBetweenModels(_ x: Matrix, models: Int, into out: Matrix) throws(DeviceError) {
    try perform("squaredDistancesBetweenModels", into: out) { () throws(DeviceError) in
      try processor.squaredDistancesBetweenModels(x, models: models, into: out)
    }
  }
  func squaredDistances(_ x: Matrix, _ y: Matrix, into out: Matrix) throws(DeviceError) {
    try perform("squaredDistances", into: out) { () throws(DeviceError) in
      try processor.squaredDistances(x, y, into: out)
    }
  }
  func radialBasisKernel(_ x: Matrix, _ y: Matrix, sigma: Float, into out: Matrix) throws(DeviceError) {
    try perform("radialBasisKernel", into: out) { () throws(DeviceError) in
      try processor.radialBasisKernel(x, y, sigma: sigma, into: out)
    }
  }
  func assignClusters(points: Matrix, centroids: Matrix, clusters: Matrix, distances: Matrix) throws(DeviceError) {
    try perform("assignClusters", into: clusters) { () throws(DeviceError) in
      try processor.assignClusters(points: points, centroids: centroids, clusters: clusters, distances: distances)
    }
  }
  func updateCentroids(points: Matrix, clusters: Matrix, centroids: Matrix) throws(DeviceError) {
    try perform("updateCentroids", into: centroids) { () throws(DeviceError) in
      try processor.updateCentroids(points: points, clusters: clusters, centroids: centroids)
    }
  }
  func accumulateTokenScores(
    _ logits: Matrix, firstEntry: Int, targets: Matrix, scores: Matrix, best: Matrix
  ) throws(DeviceError) {
    try perform("accumulateTokenScores", into: scores) { () throws(DeviceError) in
      try processor.accumulateTokenScores(
        logits, firstEntry: firstEntry, targets: targets, scores: scores, best: best)
    }
  }
  func multiply(
    _ a: MatrixBlock, _ b: MatrixBlock, scale: Float, keeping share: Float, into out: MatrixBlock
  ) throws(DeviceError) {
    try perform("multiplyBlocks", into: out.matrix) { () throws(DeviceError) in
      try processor.multiply(a, b, scale: scale, keeping: share, into: out)
    }
  }
  func add(_ values: Matrix, toDiagonalOf matrix: Matrix) throws(DeviceError) {
    try perform("addToDiagonal", into: matrix) { () throws(DeviceError) in
      try processor.add(values, toDiagonalOf: matrix)
    }
  }
  func invertCholesky(
    of block: MatrixBlock, into inverse: MatrixBlock, failures: Matrix
  ) throws(DeviceError) {
    try perform("invertCholesky", into: inverse.matrix) { () throws(DeviceError) in
      try processor.invertCholesky(of: block, into: inverse, failures: failures)
    }
  }
  func attentionNormalisers(
    queries: Matrix, keys: Matrix, sequences: PackedSequences, shape: AttentionShape, into out: Matrix
  ) throws(DeviceError) {
    try perform("attentionNormalisers", into: out) { () throws(DeviceError) in
      try processor.attentionNormalisers(queries: queries, keys: keys, sequences: sequences, shape: shape, into: out)
    }
  }
  func attentionDivergence(
    queries: Matrix, keys: Matrix, normalisers: Matrix, wantedQueries: Matrix, wantedKeys: Matrix,
    wantedNormalisers: Matrix, sequences: PackedSequences, shape: AttentionShape, divergences: Matrix,
    queryGradient: Matrix, keyGradient: Matrix
  ) throws(DeviceError) {
    try perform("attentionDivergence", into: keyGradient) { () throws(DeviceError) in
      try processor.attentionDivergence(
        queries: queries, keys: keys, normalisers: normalisers, wantedQueries: wantedQueries, wantedKeys: wantedKeys,
        wantedNormalisers: wantedNormalisers, sequences: sequences, shape: shape, divergences: divergences,
        queryGradient: queryGradient, keyGradient: keyGradient)
    }
  }
  func gatedActivationGradient(
    _ activation: Activation, gate: Matrix, up: Matrix, gradient: Matrix, gateGradient: Matrix, upGradient: Matrix
  ) throws(DeviceError) {
    try perform("gatedActivationGradient", into: upGradient) { () throws(DeviceError) in
      try processor.gatedActivationGradient(
        activation, gate: gate, up: up, gradient: gradient, gateGradient: gateGradient, upGradient: upGradient)
    }
  }
  func rmsNormGradient(_ x: Matrix, gain: Matrix, epsilon: Float, gradient: Matrix) throws(DeviceError) {
    try perform("rmsNormGradient", into: gradient) { () throws(DeviceError) in
      try processor.rmsNormGradient(x, gain: gain, epsilon: epsilon, gradient: gradient)
    }
  }
  func weightedSum(
    _ inputs: [Matrix], weights: [Float], into out: Matrix, nonFinite: Matrix?
  ) throws(DeviceError) {
    try perform("weightedSum", into: out) { () throws(DeviceError) in
      try processor.weightedSum(inputs, weights: weights, into: out, nonFinite: nonFinite)
    }
  }
  func sparseChange(
    of x: Matrix, from base: Matrix, first: Int, keeping selection: ElementSelection, factor: Float, into out: Matrix
  ) throws(DeviceError) {
    try perform("sparseChange", into: out) { () throws(DeviceError) in
      try processor.sparseChange(of: x, from: base, first: first, keeping: selection, factor: factor, into: out)
    }
  }
  func countDigits(of values: Matrix, first: Int, digit: SortDigit, into counts: Matrix) throws(DeviceError) {
    try perform("countDigits", into: counts) { () throws(DeviceError) in
      try processor.countDigits(of: values, first: first, digit: digit, into: counts)
    }
  }
  func blockMoments(_ x: Matrix, _ y: Matrix, into sums: Matrix) throws(DeviceError) {
    try perform("blockMoments", into: sums) { () throws(DeviceError) in
      try processor.blockMoments(x, y, into: sums)
    }
  }
  func sumAgreeing(
    _ changes: Matrix, base: Matrix, factors: Matrix, into out: Matrix, nonFinite: Matrix
  ) throws(DeviceError) {
    try perform("sumAgreeing", into: out) { () throws(DeviceError) in
      try processor.sumAgreeing(changes, base: base, factors: factors, into: out, nonFinite: nonFinite)
    }
  }
  func convert(_ source: Matrix, into destination: Matrix) throws(DeviceError) {
    try perform("convert", into: destination) { () throws(DeviceError) in
      try processor.convert(source, into: destination)
    }
  }
}
