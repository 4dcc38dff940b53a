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
  /// The weights' type and the precision of a product, whose activations the backend may round.
  let product: (weights: ElementType, precision: ProductPrecision)?
  let body: @Sendable (Bench) throws(DeviceError) -> Void

  init(
    _ operation: String, _ shape: String, type elementType: String = "float32", tolerance: Tolerance,
    flops: Int, bytes: Int, product: (weights: ElementType, precision: ProductPrecision)? = nil,
    _ body: @escaping @Sendable (Bench) throws(DeviceError) -> Void
  ) {
    self.operation = operation
    self.shape = shape
    self.elementType = elementType
    self.tolerance = tolerance
    self.flops = flops
    self.bytes = bytes
    self.product = product
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
      product: product
    ) { [body] bench throws(DeviceError) in
      bench.offset = 1
      try body(bench)
    }
  }

  /// A product may be further from the reference by what the backend says that it rounds activations by: an error of a
  /// term is at most so much of the term.
  private func tolerance(on backend: any ComputeBackend) -> Tolerance {
    guard let product, case .relative(let bound, let reason) = tolerance else { return tolerance }
    let roundoff = backend.activationRoundoff(withWeights: product.weights, precision: product.precision)
    guard roundoff > 0 else { return tolerance }
    return .relative(bound + roundoff, because: "\(reason), and activations rounded for \(product.weights.rawValue)")
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
