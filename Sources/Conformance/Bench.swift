import Compute

/// The place where one case runs: it makes the arguments, surrounds them with sentinels, and watches what becomes of them.
final class Bench {
  let backend: any ComputeBackend
  /// The case's own numbers.
  var numbers: SeededNumbers
  var repetitions = 0
  /// How many elements later than devices like the arguments start.
  var offset = 0
  private(set) var complaints: [String] = []
  private(set) var largestError = 0.0
  /// The best time of the operation; `nil` until it has run.
  private(set) var time: DeviceTime?
  /// How many elements are made before they repeat; a prime, so that rows differ.
  private static let period = 65_521
  let tolerance: Tolerance
  private let compares: Bool
  private var arguments: [GuardedMatrix] = []

  init(_ backend: any ComputeBackend, seed: String, tolerance: Tolerance, compares: Bool) {
    self.backend = backend
    self.tolerance = tolerance
    self.compares = compares
    numbers = SeededNumbers(seed: seed)
    if !compares { numbers.period = Bench.period }
  }

  /// Puts a matrix on the device that the operation must leave alone.
  func input(_ matrix: HostMatrix) throws(DeviceError) -> Matrix {
    try place(GuardedMatrix(matrix, isInput: true, offset: offset, on: backend))
  }

  /// Puts a matrix on the device that the operation changes.
  func inPlace(_ matrix: HostMatrix) throws(DeviceError) -> Matrix {
    try place(GuardedMatrix(matrix, isInput: false, offset: offset, on: backend))
  }

  /// Makes room for a result, filled with NaN.
  func output(_ rows: Int, _ columns: Int, _ type: ElementType = .float32) throws(DeviceError) -> Matrix {
    let count = min(rows * columns, Bench.period)
    let poison = HostMatrix(rows: 1, columns: count, type, bits: [UInt64](repeating: .max, count: count))
    return try place(
      GuardedMatrix(
        HostMatrix(rows: rows, columns: columns, repeating: poison), isInput: false, offset: offset, on: backend))
  }

  /// Runs the operation and takes its time.
  func perform(_ operation: () throws(DeviceError) -> Void) throws(DeviceError) {
    var best = try backend.time(operation)
    for _ in 0..<repetitions {
      let time = try backend.time(operation)
      if time.seconds < best.seconds { best = time }
    }
    time = best
  }

  /// Compares a result with the reference.
  func expect(_ matrix: Matrix, _ expectation: @autoclosure () -> Expectation) throws(DeviceError) {
    guard compares else { return }
    guard let argument = arguments.first(where: { $0.matrix.buffer === matrix.buffer }) else {
      complaints.append("the case expects something of a matrix that it did not make here")
      return
    }
    let results = try argument.content().values
    let expectation = expectation()
    guard results.count == expectation.values.count else {
      complaints.append("the reference has \(expectation.values.count) elements, the result \(results.count)")
      return
    }
    largestError = max(largestError, expectation.relativeError(of: results))
    guard case .relative(let bound, _) = tolerance else {
      if let index = expectation.firstDifference(from: results) {
        complaints.append("element \(index) is \(results[index]), expected exactly \(expectation.values[index])")
      }
      return
    }
    if !(largestError <= bound) { complaints.append("relative error \(largestError), allowed \(bound)") }
  }

  /// Looks for writes outside of the outputs.
  func checkSurroundings() throws(DeviceError) {
    guard compares else { return }
    for (index, argument) in arguments.enumerated() {
      if let damage = try argument.damage() { complaints.append("argument \(index): \(damage)") }
    }
  }

  private func place(_ argument: GuardedMatrix) -> Matrix {
    arguments.append(argument)
    return argument.matrix
  }
}
