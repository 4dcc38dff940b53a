import Compute

/// One operation on given inputs: what it is, what it costs, how it is run and what it has to give.
///
/// The same cases run as tests, on machines without a test framework, and as benchmarks.
public struct OperationCase: Sendable {
  /// The operation's name in `ComputeBackend`.
  public let operation: String
  /// The shape in words, such as `[7, 64] · [31, 64]ᵀ + bias`.
  public let shape: String
  /// The element types that vary in this operation.
  public let elementType: String
  /// How far the result may be from the reference.
  public let tolerance: Tolerance
  /// The floating point operations that the formula needs.
  public let flops: Int
  /// The bytes that have to be read and written at least.
  public let bytes: Int
  /// What a backend may round before it computes.
  let rounding: ArgumentRounding
  let body: @Sendable (Bench) throws(DeviceError) -> Void

  init(
    _ operation: String, _ shape: String, type elementType: String = "float32", tolerance: Tolerance,
    flops: Int, bytes: Int, rounding: ArgumentRounding = .none,
    _ body: @escaping @Sendable (Bench) throws(DeviceError) -> Void
  ) {
    self.operation = operation
    self.shape = shape
    self.elementType = elementType
    self.tolerance = tolerance
    self.flops = flops
    self.bytes = bytes
    self.rounding = rounding
    self.body = body
  }

  /// The case in one phrase.
  public var name: String { "\(operation) \(shape) \(elementType)" }

  /// Runs the operation, then compares the result with the reference.
  ///
  /// Outputs are poisoned before the operation; it fails when they stay so, when memory around any argument or an input
  /// changes, and when the result is too far from the reference.
  public func check(on backend: any ComputeBackend) -> CaseReport {
    report(Bench(backend, seed: name, tolerance: tolerance(on: backend), compares: true))
  }

  /// Runs the operation without comparing, the given number of times after a first one; the report has the best time.
  public func time(on backend: any ComputeBackend, repetitions: Int) -> CaseReport {
    let bench = Bench(backend, seed: name, tolerance: tolerance, compares: false)
    bench.repetitions = repetitions
    return report(bench)
  }

  /// The same case with arguments that all start at an odd element, as views of matrices may.
  var shifted: OperationCase {
    OperationCase(
      operation, "\(shape), from an odd element", type: elementType, tolerance: tolerance, flops: flops, bytes: bytes,
      rounding: rounding
    ) { [body] bench throws(DeviceError) in
      bench.offset = 1
      try body(bench)
    }
  }

  private func tolerance(on backend: any ComputeBackend) -> Tolerance {
    let rounding = rounding.error(on: backend)
    guard rounding > 0, case .relative(let bound, let reason) = tolerance else { return tolerance }
    return .relative(bound + rounding, because: "\(reason), and arguments rounded for tensor cores")
  }

  private func report(_ bench: Bench) -> CaseReport {
    let outcome: CaseReport.Outcome
    do throws(DeviceError) {
      try body(bench)
      try bench.checkSurroundings()
      outcome = bench.complaints.isEmpty ? .passed : .failed(bench.complaints.joined(separator: "; "))
    } catch {
      outcome = error.code == .unsupported ? .skipped(error.description) : .failed(error.description)
    }
    return CaseReport(
      operation: operation, shape: shape, elementType: elementType, error: bench.largestError,
      bound: bench.tolerance.bound, time: bench.time, flops: flops, bytes: bytes, outcome: outcome)
  }
}

/// What a backend may round, by what it says of itself, before it computes.
enum ArgumentRounding: Sendable {
  case none
  /// The activations of a product.
  case activations(withWeights: ElementType, precision: ProductPrecision)
  /// The weights of an attention, and far less its queries, keys and values.
  case attention(AttentionShape, into: ElementType)

  /// How far that may take a result from the reference.
  func error(on backend: any ComputeBackend) -> Double {
    switch self {
    case .none: 0
    // An error of a term is at most so much of the term.
    case .activations(let type, let precision): backend.activationRoundoff(withWeights: type, precision: precision)
    // A weight is rounded itself and in the sum of all.
    case .attention(let shape, let type):
      backend.attentionRoundoff(shape, into: type) * (2 + backend.attentionRoundoff(shape, into: type))
    }
  }
}
