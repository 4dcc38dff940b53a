import Compute

/// Fits two maps together that were each solved for alone, because what they put out meets before it matters: queries and keys
/// in attention, gates and ups in the gated activation.
///
/// The solution W* of each map is where the fit starts, and it is held there in the metric of the very system that it solves:
/// with A = L Lᵀ the fit is in the coordinates Z of W = W* + Z L⁻¹ / s, and descends on
///
///     f(W) + ‖Z‖² = f(W) + s² tr((W − W*) A (W − W*)ᵀ)      s² = caution / (α/a Σ v_i ‖X_i W*ᵀ‖²)
///
/// so that a change as large as all that the map puts out on the samples costs the caution, and a change of directions in which
/// the experts' training changed the weights costs as much.
struct MapPairFit {
  /// What a change of a map's outputs by all that they are costs.
  private static let caution = 0.01

  private let system: MapSystem
  private let numbers: (first: Int, second: Int)
  private let evaluations: Int
  private let arithmetic: FitArithmetic
  private let checkStop: () throws -> Void

  /// Prepares the fit of two maps that were solved for with their factors kept.
  ///
  /// - Parameters:
  ///   - system: The maps.
  ///   - numbers: Which two.
  ///   - evaluations: How often rows may be tried.
  ///   - arithmetic: Scratch.
  ///   - checkStop: Throws when the merge is to stop; asked before every trial.
  init(
    _ system: MapSystem, _ numbers: (first: Int, second: Int), evaluations: Int, _ arithmetic: FitArithmetic,
    checkStop: @escaping () throws -> Void
  ) {
    (self.system, self.numbers, self.evaluations, self.arithmetic) = (system, numbers, evaluations, arithmetic)
    self.checkStop = checkStop
  }

  /// Some rows of one of the maps, with their part of all vectors of the fit.
  private struct Part {
    let number: Int
    let rows: Range<Int>
    let solution: MapSystem.Solution
    /// Where they are in the vectors.
    let place: Range<Int>
    /// 1 / s.
    var length = 0.0
  }

  /// Fits some rows of both maps.
  ///
  /// - Parameters:
  ///   - first: The rows of the first map.
  ///   - second: The rows of the second.
  ///   - objective: f.
  /// - Returns: f before and after; `nil` where there is nothing to fit.
  /// - Throws: `DeviceError`, and what `checkStop` throws.
  func fit(
    _ first: Range<Int>, _ second: Range<Int>, to objective: some FitObjective
  ) throws -> (before: Double, after: Double)? {
    guard let one = system.solution(numbers.first), let other = system.solution(numbers.second) else { return nil }
    var parts = [
      Part(number: numbers.first, rows: first, solution: one, place: 0..<first.count),
      Part(number: numbers.second, rows: second, solution: other, place: first.count..<first.count + second.count),
    ]
    let (rows, columns) = (first.count + second.count, try system.gram().columns)
    let solved = try arithmetic.matrix(.solved, rows: rows, columns: columns)
    let tried = try arithmetic.matrix(.tried, rows: rows, columns: columns)
    let gradient = try arithmetic.matrix(.gradient, rows: rows, columns: columns)
    for index in parts.indices {
      parts[index].length = try length(parts[index], solved, scratch: tried)
      guard parts[index].length > 0, parts[index].length.isFinite else { return nil }
    }
    var (before, last) = (Double.nan, Double.nan)
    let descent = Descent(rows: rows, columns: columns, arithmetic)
    let found = try descent.minimise(evaluations: evaluations) { point, slope in
      try checkStop()
      for part in parts {
        let rows = try tried.rows(part.place)
        try step(part, point, scratch: gradient, into: rows)
        try arithmetic.combine([solved.rows(part.place), rows], [1, part.length], into: rows)
      }
      last = try objective.evaluate(
        (tried.rows(parts[0].place), tried.rows(parts[1].place)),
        gradient: (gradient.rows(parts[0].place), gradient.rows(parts[1].place)))
      if before.isNaN { before = last }
      for part in parts {
        let slope = try slope.rows(part.place)
        try part.solution.factor.solveTransposed(gradient.rows(part.place), into: slope)
        try arithmetic.combine([slope, point.rows(part.place)], [part.length, 2], into: slope)
      }
      return try last + arithmetic.product(point, point)
    }
    guard before.isFinite else { return nil }
    for part in parts {
      let rows = try tried.rows(part.place)
      try step(part, found.point, scratch: gradient, into: rows)
      let missing = try system.missing(part.number, rows: part.rows)
      try arithmetic.combine([missing, rows], [1, part.length], into: missing)
    }
    return (before, found.last - (try arithmetic.product(found.point, found.point)))
  }

  /// Forms rows as they were solved for, and finds 1 / s.
  private func length(_ part: Part, _ solved: Matrix, scratch: Matrix) throws(DeviceError) -> Double {
    let rows = try solved.rows(part.place)
    try system.form(part.number, rows: part.rows, into: rows)
    let products = try scratch.rows(part.place)
    try arithmetic.backend.multiply(rows.block, system.gram().block, scale: 1, keeping: 0, into: products.block)
    let outputs = try part.solution.sampleShare * arithmetic.product(products, rows)
    return (outputs / MapPairFit.caution).squareRoot()
  }

  /// `out = Z L⁻¹` of the rows of a part.
  private func step(_ part: Part, _ point: Matrix, scratch: Matrix, into out: Matrix) throws(DeviceError) {
    let rows = try scratch.rows(part.place)
    try arithmetic.backend.copy(point.rows(part.place), into: rows)
    try part.solution.factor.solveLower(rows, into: out)
  }
}
