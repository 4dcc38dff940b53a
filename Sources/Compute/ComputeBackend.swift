/// One device seen as one in-order stream of operations.
///
/// Operations enqueue and return; only `download`, `Transfer.wait` and `synchronize` wait, so a failed launch may surface
/// there. Callers own all memory; no operation allocates behind their back beyond scratch that the backend allocates once and keeps. A
/// backend is confined to one thread of control by its `DeviceQueue`.
///
/// Shapes are `[rows, columns]`, row major. Activations, accumulators and representations are `float32`; weights may be
/// `float32`, `float16` or `bfloat16` and stay as they are in device memory. Every operation throws
/// `DeviceError.Code.invalidArgument` when shapes or element types do not fit, before it touches memory.
///
/// Tokens, positions and clusters are numbers on the device. One that is out of range is an error where the host computes;
/// a device cannot tell without being waited for: there the row of such a token or position becomes NaN, and a point of
/// such a cluster counts nowhere. No operation leaves its matrices.
public protocol ComputeBackend: AnyObject {
  /// What this device is.
  var device: DeviceDescription { get }
  /// How further threads get backends of their own; `nil` for a device that is kept busy from one thread.
  var threadBackends: ThreadBackends? { get }

  // MARK: Memory

  /// Reserves device memory; its content is undefined.
  func allocate(byteCount: Int) throws(DeviceError) -> DeviceBuffer
  /// Reserves host memory that `upload` and `download` move fast; its content is undefined. May be called from any thread.
  func allocateHost(byteCount: Int) throws(DeviceError) -> HostBuffer
  /// Makes the content of host memory available on the device; until `synchronize` the host memory has to be left alone, and
  /// lives on where the caller lets it go.
  ///
  /// A device that computes in host memory hands out the same memory.
  func upload(_ host: HostBuffer) throws(DeviceError) -> DeviceBuffer
  /// Enqueues a copy of a matrix to the start of host memory, which must be left alone until the transfer has arrived.
  ///
  /// Operations that are enqueued later may change the matrix: the copy is of what it holds at this point of the stream.
  func enqueueDownload(_ matrix: Matrix, into host: HostBuffer) throws(DeviceError) -> Transfer
  /// Copies a matrix into another of the same shape and element type, as fast as the device's memory allows.
  func copy(_ source: Matrix, into destination: Matrix) throws(DeviceError)
  /// Waits for everything enqueued so far.
  func synchronize() throws(DeviceError)
  /// Enqueues operations, waits for them, and gives the time between two events around them where the device has events.
  func time(_ operations: () throws(DeviceError) -> Void) throws(DeviceError) -> DeviceTime

  // MARK: Hidden states

  /// `states[t] = table[tokens[t]]`: tokens `int32 [tokens, 1]`, table `[vocabulary, d]`, states `float32 [tokens, d]`.
  func embeddingLookup(tokens: Matrix, table: Matrix, into states: Matrix) throws(DeviceError)
  /// `out = x / sqrt(mean(x²) + epsilon) · gain` by row: x `float32 [rows, d]`, gain `[1, d]`, out `[rows, d]`, which may be
  /// x, or of 16 bits.
  func rmsNorm(_ x: Matrix, gain: Matrix, epsilon: Float, into out: Matrix) throws(DeviceError)
  /// `out = (x − mean) / sqrt(variance + epsilon) · gain + bias` by row: x and out `float32 [rows, d]` (may be the same),
  /// gain and bias `[1, d]`, or no bias.
  func layerNorm(_ x: Matrix, gain: Matrix, bias: Matrix?, epsilon: Float, into out: Matrix) throws(DeviceError)
  /// `out = a · weightsᵀ + bias`, or `out += a · weightsᵀ + bias` for `adding`: a `[n, k]`, `float32` or in the 16 bits of
  /// the weights, weights `[m, k]`, bias `[1, m]` or none, out `float32 [n, m]`.
  func multiply(
    _ a: Matrix, transposed weights: Matrix, bias: Matrix?, precision: ProductPrecision, adding: Bool, into out: Matrix
  ) throws(DeviceError)
  /// The type in which what only such products read is best written: `float32`, or that of the weights where `multiply` would
  /// round to it, element by element, so that the product is the same and fewer bytes move.
  func activationType(withWeights type: ElementType, precision: ProductPrecision) -> ElementType
  /// The largest relative error with which `multiply` takes an activation; 0 where it takes activations as they are.
  func activationRoundoff(withWeights type: ElementType, precision: ProductPrecision) -> Double
  /// The most bytes of host memory that products of any size keep for themselves, beside what callers allocate.
  var productScratch: Int { get }
  /// Turns each head of each token by the angles of its position, in place, pairing element `i` with `i + rotated / 2`.
  ///
  /// States are `float32 [tokens, heads · headDimension]`; cosines and sines `float32 [positions, rotated / 2]` with
  /// `rotated ≤ headDimension`: elements from `rotated` on stay as they are.
  func rotaryEmbedding(
    _ states: Matrix, headDimension: Int, positions: Matrix, cosines: Matrix, sines: Matrix
  ) throws(DeviceError)
  /// Softmax attention inside each text of a packed batch: queries and out `[tokens, queryHeads · headDimension]`, keys and
  /// values `[tokens, keyValueHeads · headDimension]`, all `float32`, but for an out of 16 bits.
  func attention(
    queries: Matrix, keys: Matrix, values: Matrix, sequences: PackedSequences, shape: AttentionShape, into out: Matrix
  ) throws(DeviceError)
  /// The largest relative error with which `attention` takes its weights where out is of a type, as tensor cores need it; of
  /// queries, keys and values it is the square of that. 0 where it takes all as they are.
  func attentionRoundoff(_ shape: AttentionShape, into type: ElementType) -> Double
  /// `out = activation(x)`, element by element, `float32`, equal shapes; `out` may be `x`.
  func activate(_ activation: Activation, _ x: Matrix, into out: Matrix) throws(DeviceError)
  /// `out = activation(gate) · up`, element by element, equal shapes: gate and up `float32`, and so is out, which may be one
  /// of them; or out is of 16 bits and a matrix of its own.
  func gatedActivation(_ activation: Activation, gate: Matrix, up: Matrix, into out: Matrix) throws(DeviceError)
  /// `sum += addend`, element by element, `float32`, equal shapes; what a product gives it adds by itself.
  func add(_ addend: Matrix, to sum: Matrix) throws(DeviceError)
  /// One row per text: states `float32 [tokens, d]`, out `float32 [texts, d]`.
  func pool(_ states: Matrix, sequences: PackedSequences, pooling: Pooling, into out: Matrix) throws(DeviceError)

  // MARK: Similarity

  /// `out[r] = Σ_c (x[r, c] − y[r, c])²`: x, y `float32 [rows, d]`, out `float32 [rows, 1]`; zero exactly for equal rows.
  func pairedSquaredDistances(_ x: Matrix, _ y: Matrix, into out: Matrix) throws(DeviceError)
  /// How far models are apart on each of the samples that they share: `out[i · models + j, s] = |x_i,s − x_j,s|²`, and
  /// `|x_i,s|²` for i = j. x is `float32 [models · samples, d]`, model by model, out `float32 [models · models, samples]`.
  ///
  /// What is not finite in a row of x makes its square NaN or infinite.
  func squaredDistancesBetweenModels(_ x: Matrix, models: Int, into out: Matrix) throws(DeviceError)
  /// `out[a, b] = |x_a − y_b|²`: x `float32 [m, d]`, y `float32 [n, d]`, out `float32 [m, n]`; zero exactly for equal rows.
  func squaredDistances(_ x: Matrix, _ y: Matrix, into out: Matrix) throws(DeviceError)
  /// `out[a, b] = exp(−|x_a − y_b|² / 2σ²)`: shapes as in `squaredDistances`; `sigma` in the units of x.
  ///
  /// The error is at most 1e-5, also of rows that are nearly equal, for a σ² of at least a thousandth of the mean squared
  /// norm of the rows after their mean is taken away; 1 exactly for equal rows.
  func radialBasisKernel(_ x: Matrix, _ y: Matrix, sigma: Float, into out: Matrix) throws(DeviceError)
  /// The nearest centroid of each point, ties to the lowest index: points `float32 [n, d]`, centroids `float32 [k, d]`,
  /// clusters `int32 [n, 1]`, distances (squared) `float32 [n, 1]`.
  func assignClusters(points: Matrix, centroids: Matrix, clusters: Matrix, distances: Matrix) throws(DeviceError)
  /// The mean of each cluster's points; the row of an empty cluster is left as it is. Shapes as in `assignClusters`.
  func updateCentroids(points: Matrix, clusters: Matrix, centroids: Matrix) throws(DeviceError)

  // MARK: Scoring

  /// Takes the logits of consecutive vocabulary entries into the scores of the tokens that came next, so that the logits of
  /// a whole vocabulary never have to be held: row by row, over pieces of the vocabulary in ascending order.
  ///
  /// Logits are `float32 [rows, entries]`, of the entries from `firstEntry` on; targets `int32 [rows, 1]` are entries of the
  /// vocabulary. `scores`, `float32 [rows, 3]`, holds the largest logit m so far, the sum of exp(logit − m), and the target's
  /// logit; `best`, `int32 [rows, 1]`, the entry with the largest logit, ties to the lowest. Before the first piece they are
  /// −∞, 0, −∞ and −1. A NaN among the logits makes the sum NaN.
  func accumulateTokenScores(
    _ logits: Matrix, firstEntry: Int, targets: Matrix, scores: Matrix, best: Matrix
  ) throws(DeviceError)

  // MARK: Linear systems

  /// `out = share · out + scale · a · b`, all `float32`: a `[n, k]`, b `[k, m]`, out `[n, m]`, each a rectangle of a matrix
  /// or, but for `out`, the transpose of one.
  ///
  /// Nothing but `out` is written. With a share of 0 its content does not count, whatever it is. Terms are `float32`
  /// throughout, however the device would like to round them.
  func multiply(
    _ a: MatrixBlock, _ b: MatrixBlock, scale: Float, keeping share: Float, into out: MatrixBlock
  ) throws(DeviceError)
  /// `matrix[i, i] += values[i]`: matrix `float32 [n, n]`, values `float32 [1, n]`.
  func add(_ values: Matrix, toDiagonalOf matrix: Matrix) throws(DeviceError)
  /// `inverse = L⁻¹` with `L · Lᵀ = block`, L lower triangular, for a small positive definite block: both `float32 [n, n]`
  /// with n up to `CholeskyLimits.largestBlock`. Of the block only the lower triangle is read; the upper one of the inverse
  /// is 0.
  ///
  /// A block that is not positive definite in `float32` adds 1 to `failures`, `int32 [1, 1]`, and makes the inverse NaN.
  func invertCholesky(
    of block: MatrixBlock, into inverse: MatrixBlock, failures: Matrix
  ) throws(DeviceError)

  // MARK: Fitting

  /// `out[t, h] = log Σ exp(score)` over the keys that a query sees, all `float32`: queries
  /// `[tokens, queryHeads · headDimension]`, keys `[tokens, keyValueHeads · headDimension]`, out `[tokens, queryHeads]`.
  ///
  /// Scores are those of `attention`: scaled, then capped. So `exp(score − out[t, h])` is what attention gives a key.
  func attentionNormalisers(
    queries: Matrix, keys: Matrix, sequences: PackedSequences, shape: AttentionShape, into out: Matrix
  ) throws(DeviceError)
  /// How far an attention pattern is from a wanted one, and how that changes with its queries and keys; all `float32`.
  ///
  /// With the pattern `â = exp(score − normaliser)` of queries and keys and the wanted one `a`, likewise of
  /// `wantedQueries` and `wantedKeys`, of each query and head: `divergences[t, h] = Σ a · (log a − log â)` over the keys
  /// that the query sees, the divergence of Kullback and Leibler in nats, with an absolute error like that of the scores,
  /// and so not always above 0. The gradients are the derivatives of the sum of all divergences by queries and keys; a
  /// key's is summed over the query heads that share it.
  ///
  /// Queries and `queryGradient` are `[tokens, queryHeads · headDimension]`, keys and `keyGradient`
  /// `[tokens, keyValueHeads · headDimension]`, normalisers and divergences `[tokens, queryHeads]`. Normalisers are those
  /// that `attentionNormalisers` gives. No output may be an input. Where `attention` takes two products of every query and
  /// key, this takes four on the processor and six on other devices, which score every pair for each of the gradients;
  /// nothing as large as the pattern is held.
  func attentionDivergence(
    queries: Matrix, keys: Matrix, normalisers: Matrix, wantedQueries: Matrix, wantedKeys: Matrix,
    wantedNormalisers: Matrix, sequences: PackedSequences, shape: AttentionShape, divergences: Matrix,
    queryGradient: Matrix, keyGradient: Matrix
  ) throws(DeviceError)
  /// The derivatives of `activation(gate) · up` times a gradient, element by element, `float32`, equal shapes:
  /// `gateGradient = gradient · up · activation′(gate)` and `upGradient = gradient · activation(gate)`.
  ///
  /// Either output may be any of the inputs, but not the other output.
  func gatedActivationGradient(
    _ activation: Activation, gate: Matrix, up: Matrix, gradient: Matrix, gateGradient: Matrix, upGradient: Matrix
  ) throws(DeviceError)
  /// Replaces the gradient of `rmsNorm(x)` by that of x, by row: with `r = 1 / sqrt(mean(x²) + epsilon)`,
  /// `gradient[j] = r · gain[j] · gradient[j] − x[j] · r³ · mean(gain · gradient · x)`.
  ///
  /// x and gradient are `float32 [rows, d]`, gain `[1, d]`; x may not be the gradient.
  func rmsNormGradient(_ x: Matrix, gain: Matrix, epsilon: Float, gradient: Matrix) throws(DeviceError)

  // MARK: Fusion

  /// `out = Σ weights[i] · inputs[i]`, element by element: `acc = w₀x₀`, then `acc = fma(wᵢ, xᵢ, acc)` in the given order in
  /// float32, rounded once to the type of `out` (nearest, ties to even).
  ///
  /// Inputs (1 to 16) and `out` have the same shape and any floating type each. Where it is wanted,
  /// `nonFinite`, `int32 [1, inputs + 1]`, is increased by the number of infinities and NaNs in each input and, last, in the
  /// result. Each input is read once, and `out` may be one of them.
  func weightedSum(_ inputs: [Matrix], weights: [Float], into out: Matrix, nonFinite: Matrix?) throws(DeviceError)
  /// `out = factor · (x − base)` of the elements that are kept and 0 of the others; a NaN wherever the change is not finite.
  ///
  /// x and base are of any floating type, out is `float32`, all of the same shape. The change is rounded to `float32`, and
  /// once more when it is multiplied. `first` is the number of the first element in its tensor.
  func sparseChange(
    of x: Matrix, from base: Matrix, first: Int, keeping selection: ElementSelection, factor: Float, into out: Matrix
  ) throws(DeviceError)
  /// Increases `counts[d]` by the number of elements whose digit is d: values `float32 [rows, columns]`, counts
  /// `int32 [1, digits]`, digits a power of two up to 2¹⁶. `first` is the number of the first element in its tensor.
  ///
  /// Counts go on as unsigned numbers beyond 2³¹.
  func countDigits(of values: Matrix, first: Int, digit: SortDigit, into counts: Matrix) throws(DeviceError)
  /// `Σx², Σy², Σxy, Σ|x|, Σ|y|` of every block of `MomentLimits.block` consecutive elements, the last of which may be
  /// shorter: x and y of one shape and any floating type each, sums `float32 [blocks, 5]`.
  ///
  /// Sixteen sums of every sixteenth element, by fma in ascending order, are added 8, 4, 2 and 1 apart: the same on every
  /// device.
  func blockMoments(_ x: Matrix, _ y: Matrix, into sums: Matrix) throws(DeviceError)
  /// `out = base + factors[s] · Σ changes[i]` over the set s of those that agree with the sign of the sum of all, element by
  /// element; a sum of 0 counts as positive, a change of 0 agrees with none.
  ///
  /// Changes are `float32 [changes, n]` (1 to 15), factors `float32 [1, 2^changes]` by the sets' bits, base and out `[1, n]` of
  /// any floating type. Sums run in ascending order in float32, the last step is one fma, rounded once to the type of `out`.
  /// `nonFinite`, `int32 [1, changes + 2]`, is increased by the number of infinities and NaNs in each of the changes, in the
  /// base and, last, in the result.
  func sumAgreeing(
    _ changes: Matrix, base: Matrix, factors: Matrix, into out: Matrix, nonFinite: Matrix
  ) throws(DeviceError)
  /// Converts element by element between floating types, rounding to nearest, ties to even.
  func convert(_ source: Matrix, into destination: Matrix) throws(DeviceError)
}

/// Backends of one device for threads that work side by side, each of which computes with the calling thread alone.
public struct ThreadBackends: Sendable {
  /// How many threads keep the device busy.
  public let count: Int
  /// Opens a backend; it belongs to the thread that calls.
  public let open: @Sendable () throws(DeviceError) -> any ComputeBackend

  /// Describes how backends are opened.
  public init(count: Int, open: @escaping @Sendable () throws(DeviceError) -> any ComputeBackend) {
    self.count = count
    self.open = open
  }
}

/// The bounds of `ComputeBackend.invertCholesky`.
public enum CholeskyLimits {
  /// The most rows of a block: its factor and the inverse fit the local memory of every device.
  public static let largestBlock = 32
}

/// The bounds of `ComputeBackend.weightedSum`.
public enum WeightedSumLimits {
  /// The most matrices that one call sums.
  public static let mostInputs = 16
}

/// What distinguishes one attention from another.
public struct AttentionShape: Sendable, Equatable {
  /// The number of query heads, a multiple of `keyValueHeads`; consecutive ones share a key and value head.
  public var queryHeads: Int
  /// The number of key and value heads.
  public var keyValueHeads: Int
  /// The elements of one head.
  public var headDimension: Int
  /// What the products of queries and keys are multiplied by.
  public var scale: Float
  /// Whether a token sees only itself and those before it in its text.
  public var causal: Bool
  /// How many tokens a token sees back, itself included; `nil` for all.
  public var window: Int?
  /// Bounds the products: `cap · tanh(product / cap)`; `nil` for none.
  public var softCap: Float?

  /// Describes an attention.
  public init(
    queryHeads: Int, keyValueHeads: Int, headDimension: Int, scale: Float, causal: Bool = true, window: Int? = nil,
    softCap: Float? = nil
  ) {
    self.queryHeads = queryHeads
    self.keyValueHeads = keyValueHeads
    self.headDimension = headDimension
    self.scale = scale
    self.causal = causal
    self.window = window
    self.softCap = softCap
  }
}

/// How exactly a product takes its activations; weights are taken as they are, and sums are `float32`.
public enum ProductPrecision: String, Sendable, CaseIterable {
  /// Activations may be rounded to the type of 16-bit weights, as tensor cores need it: at full speed.
  case fast
  /// Activations keep at least 16 significant bits: for what a small difference may turn, such as a clustering. A device
  /// may need twice the time.
  case full
}

/// The nonlinearity of a feed-forward block.
public enum Activation: String, Sendable, CaseIterable {
  /// `x / (1 + exp(−x))`
  case silu
  /// `x · Φ(x)`, with the error function.
  case gelu
  /// `x/2 · (1 + tanh(√(2/π) · (x + 0.044715 x³)))`
  case geluTanh
}

/// How the hidden states of a text become one vector.
public enum Pooling: String, Sendable, CaseIterable {
  /// The mean over the text's tokens.
  case mean
  /// The state of the last token.
  case last
}

/// A copy to host memory on its way.
public struct Transfer: Sendable {
  private let arrival: @Sendable () throws(DeviceError) -> Void

  /// A transfer whose arrival a function waits for; the function is called from any thread, any number of times.
  public init(_ arrival: @escaping @Sendable () throws(DeviceError) -> Void) { self.arrival = arrival }

  /// A transfer that has arrived.
  public static let arrived = Transfer { () throws(DeviceError) in }

  /// Waits until the bytes are in host memory; may be called from any thread.
  ///
  /// - Throws: `DeviceError` when the copy, or an operation before it, failed.
  public func wait() throws(DeviceError) { try arrival() }
}

extension ComputeBackend {
  /// None: the device is kept busy from one thread.
  public var threadBackends: ThreadBackends? { nil }

  /// Products take activations as they are, unless a backend says otherwise.
  public func activationRoundoff(withWeights type: ElementType, precision: ProductPrecision) -> Double { 0 }

  /// `attention` rounds nothing before its result, unless a backend says otherwise.
  public func attentionRoundoff(_ shape: AttentionShape, into type: ElementType) -> Double { 0 }

  /// Products take activations in `float32`, unless a backend says otherwise.
  public func activationType(withWeights type: ElementType, precision: ProductPrecision) -> ElementType { .float32 }

  /// None: products of a device of its own keep nothing on the host.
  public var productScratch: Int { 0 }

  /// `out = a · weightsᵀ + bias` at full speed.
  public func multiply(
    _ a: Matrix, transposed weights: Matrix, bias: Matrix?, into out: Matrix
  ) throws(DeviceError) {
    try multiply(a, transposed: weights, bias: bias, precision: .fast, into: out)
  }

  /// `out = a · weightsᵀ + bias`.
  public func multiply(
    _ a: Matrix, transposed weights: Matrix, bias: Matrix?, precision: ProductPrecision, into out: Matrix
  ) throws(DeviceError) {
    try multiply(a, transposed: weights, bias: bias, precision: precision, adding: false, into: out)
  }

  /// `out = Σ weights[i] · inputs[i]`, without counting what is not finite.
  public func weightedSum(_ inputs: [Matrix], weights: [Float], into out: Matrix) throws(DeviceError) {
    try weightedSum(inputs, weights: weights, into: out, nonFinite: nil)
  }

  /// Copies a matrix to the start of host memory and waits until it is there.
  public func download(_ matrix: Matrix, into host: HostBuffer) throws(DeviceError) {
    try enqueueDownload(matrix, into: host).wait()
  }

  /// Reserves a matrix whose content is undefined.
  public func allocate(rows: Int, columns: Int, _ elementType: ElementType = .float32) throws(DeviceError) -> Matrix {
    let buffer = try allocate(byteCount: rows * columns * elementType.byteCount)
    return try Matrix(buffer, rows: rows, columns: columns, elementType: elementType)
  }

  /// Puts numbers on the device as a matrix with the given number of columns.
  public func upload(_ values: [Float], columns: Int) throws(DeviceError) -> Matrix {
    try upload(values, columns: columns, elementType: .float32)
  }

  /// Puts whole numbers on the device as a matrix with the given number of columns.
  public func upload(_ values: [Int32], columns: Int) throws(DeviceError) -> Matrix {
    try upload(values, columns: columns, elementType: .int32)
  }

  private func upload<Value: BitwiseCopyable>(
    _ values: [Value], columns: Int, elementType: ElementType
  ) throws(DeviceError) -> Matrix {
    let byteCount = values.count * elementType.byteCount
    let host = try allocateHost(byteCount: byteCount)
    values.withUnsafeBytes { UnsafeMutableRawBufferPointer(start: host.address, count: byteCount).copyMemory(from: $0) }
    let rows = columns == 0 ? 0 : values.count / columns
    return try Matrix(upload(host), rows: rows, columns: columns, elementType: elementType)
  }

  /// Brings a `float32` matrix back, row after row.
  public func download(_ matrix: Matrix) throws(DeviceError) -> [Float] {
    try download(matrix, elementType: .float32, zero: 0)
  }

  /// Brings an `int32` matrix back, row after row.
  public func downloadIntegers(_ matrix: Matrix) throws(DeviceError) -> [Int32] {
    try download(matrix, elementType: .int32, zero: 0)
  }

  private func download<Value: BitwiseCopyable>(
    _ matrix: Matrix, elementType: ElementType, zero: Value
  ) throws(DeviceError) -> [Value] {
    guard matrix.elementType == elementType else {
      throw DeviceError(
        .invalidArgument, operation: "download", expected: elementType.rawValue, got: matrix.elementType.rawValue)
    }
    let host = try allocateHost(byteCount: matrix.byteCount)
    try download(matrix, into: host)
    return [Value](unsafeUninitializedCapacity: matrix.count) { values, count in
      UnsafeMutableRawBufferPointer(values).copyMemory(
        from: UnsafeRawBufferPointer(start: host.address, count: matrix.byteCount))
      count = matrix.count
    }
  }
}
