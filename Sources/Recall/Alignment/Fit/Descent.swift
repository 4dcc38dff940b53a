import Compute

/// Brings a smooth function of a matrix down by the limited-memory BFGS method (Liu and Nocedal 1989), on a device.
///
/// Steps are halved until the function falls as a slope promises (Armijo). Sums over elements are in double precision, on the
/// host; the vectors stay on the device in `float32`.
struct Descent {
  /// Computes the function at a point, and its gradient there, both `float32` of one shape.
  typealias Function = (_ point: Matrix, _ gradient: Matrix) throws -> Double

  /// How many of the last steps say how the function curves.
  private static let remembered = 5
  /// The share of the slope's promise that a step has to keep.
  private static let promise = 1e-4
  /// The share of the function that the first step would take away if the slope lasted.
  private static let firstShare = 0.2
  /// A value that is as good as 0.
  private static let nothing = 1e-6
  /// A step that lowers the function by less than this share of it is the last.
  private static let negligible = 1e-3

  /// How many vectors of the point's size are held: two for every step that is remembered and for the one being tried, the
  /// point with its gradient, and the direction.
  static let vectors = 2 * (remembered + 1) + 3

  private let rows: Int
  private let columns: Int
  private let arithmetic: FitArithmetic

  /// Prepares descents of one shape.
  init(rows: Int, columns: Int, _ arithmetic: FitArithmetic) {
    (self.rows, self.columns, self.arithmetic) = (rows, columns, arithmetic)
  }

  /// One step that was taken, and how the gradient changed along it.
  private struct Step {
    let step: Matrix
    let change: Matrix
    /// ⟨step, change⟩, above 0.
    let curvature: Double
  }

  /// Descends from 0.
  ///
  /// - Parameters:
  ///   - evaluations: How often the function may be computed.
  ///   - function: The function.
  /// - Returns: The lowest point that was found, and the function there.
  /// - Throws: `DeviceError`, and what the function throws.
  func minimise(
    evaluations: Int, _ function: Function
  ) throws -> (point: Matrix, last: Double) {
    var spare = try (0..<Descent.vectors).map { number throws(DeviceError) in
      try arithmetic.matrix(.vector(number), rows: rows, columns: columns)
    }
    var (point, gradient) = (spare.removeLast(), spare.removeLast())
    let direction = spare.removeLast()
    try arithmetic.clear(point)
    var value = try function(point, gradient)
    var steps: [Step] = []
    var left = evaluations - 1
    while left > 0, value.isFinite, value > Descent.nothing {
      let slope = try self.direction(gradient, value, steps, into: direction)
      guard slope > 0, slope.isFinite else { break }
      let (trial, trialGradient) = (spare.removeLast(), spare.removeLast())
      var length = 1.0
      var lower: Double?
      while left > 0, lower == nil {
        try arithmetic.combine([point, direction], [1, -length], into: trial)
        let found = try function(trial, trialGradient)
        left -= 1
        if found <= value - Descent.promise * length * slope { lower = found }
        length /= 2
      }
      guard let lower else { break }
      let (step, change) = (point, gradient)
      try arithmetic.combine([trial, step], [1, -1], into: step)
      try arithmetic.combine([trialGradient, change], [1, -1], into: change)
      (point, gradient) = (trial, trialGradient)
      let curvature = try arithmetic.product(step, change)
      if curvature > 0 {
        steps.append(Step(step: step, change: change, curvature: curvature))
      } else {
        spare += [step, change]
      }
      if steps.count > Descent.remembered {
        let oldest = steps.removeFirst()
        spare += [oldest.step, oldest.change]
      }
      let gain = value - lower
      value = lower
      if gain < Descent.negligible * value { break }
    }
    return (point, value)
  }

  /// The direction to step against: the gradient turned by what the last steps say of the curvature.
  ///
  /// - Returns: Its product with the gradient.
  private func direction(
    _ gradient: Matrix, _ value: Double, _ steps: [Step], into out: Matrix
  ) throws(DeviceError) -> Double {
    try arithmetic.combine([gradient], [1], into: out)
    var factors: [Double] = []
    for step in steps.reversed() {
      let factor = try arithmetic.product(step.step, out) / step.curvature
      factors.append(factor)
      try arithmetic.combine([out, step.change], [1, -factor], into: out)
    }
    let scale: Double
    if let last = steps.last {
      scale = try last.curvature / arithmetic.product(last.change, last.change)
    } else {
      let square = try arithmetic.product(gradient, gradient)
      scale = square > 0 ? Descent.firstShare * value / square : 0
    }
    try arithmetic.combine([out], [scale], into: out)
    for (step, factor) in zip(steps, factors.reversed()) {
      let overlap = try arithmetic.product(step.change, out) / step.curvature
      try arithmetic.combine([out, step.step], [1, factor - overlap], into: out)
    }
    return try arithmetic.product(gradient, out)
  }
}
