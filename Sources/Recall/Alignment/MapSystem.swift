import Compute
import Diagnostics

/// The linear systems of the maps that share their inputs: sums over samples and experts, then a solution for each map.
///
/// All in `float32`. The right sides are what P leaves to be explained, so what is lost in them is small beside W.
final class MapSystem {
  /// The maps, in the order of the pass.
  let maps: [JointMap]
  private let rule: AlignmentRule
  private let balance: [Double]
  private let workspace: AlignmentWorkspace
  private let backend: any ComputeBackend
  private var hasSamples = false
  /// The solutions by the numbers of their maps: what P lacks lies where the right side was.
  private var solutions: [Int: Solution] = [:]

  /// A map that was solved for.
  struct Solution {
    /// A, factored; good until the next map is solved for, unless factors are kept.
    let factor: CholeskyFactor
    /// What XᵀX of the samples was multiplied by to become a part of A; 0 without samples.
    let sampleShare: Double
  }

  /// Starts with empty sums.
  ///
  /// - Parameters:
  ///   - maps: The maps.
  ///   - rule: How much the parts count.
  ///   - balance: How much the change of every expert counts.
  ///   - workspace: Scratch.
  ///   - backend: The device.
  init(
    _ maps: [JointMap], rule: AlignmentRule, balance: [Double], workspace: AlignmentWorkspace,
    on backend: any ComputeBackend
  ) {
    self.maps = maps
    self.rule = rule
    self.balance = balance
    self.workspace = workspace
    self.backend = backend
  }

  private var width: Int { maps[0].inputs }

  // MARK: Samples

  /// Adds `v XᵀX` to what will be A, and `v Xᵀ(Y − X Pᵀ)` to every right side.
  ///
  /// What is missing, `Y − X Pᵀ`, is the small difference of two products; it is formed of small differences instead, as
  /// `(X_own − X) W_iᵀ + X (W_i − P)ᵀ`, and is 0 where nothing is missing.
  ///
  /// - Parameters:
  ///   - given: What reaches the maps.
  ///   - expert: The number of the expert whose samples they are.
  ///   - weight: v, how much the samples count.
  /// - Throws: `DeviceError`.
  func add(_ given: AlignedStates.MapInputs, of expert: Int, weight: Float) throws(DeviceError) {
    let (inputs, ownInputs) = (given.merged, given.own)
    let share: Float = hasSamples ? 1 : 0
    let gram = try self.gram()
    try backend.multiply(inputs.transposed, inputs.block, scale: weight, keeping: share, into: gram.block)
    let deviation = try workspace.matrix(.deviation, rows: inputs.rows, columns: width)
    try backend.weightedSum([ownInputs, inputs], weights: [1, -1], into: deviation)
    let lag = try given.streams.map { streams throws(DeviceError) in
      let lag = try workspace.matrix(.lag, rows: inputs.rows, columns: streams.own.columns)
      try backend.weightedSum([streams.own, streams.merged], weights: [1, -1], into: lag)
      return lag
    }
    for (number, map) in maps.enumerated() {
      let right = try right(number)
      for rows in AlignmentWorkspace.pieces(of: map) {
        let distance = try workspace.matrix(.rows, rows: rows.count, columns: width)
        try map.form(map.distance(of: expert), rows: rows, into: distance, on: backend)
        let missing = try workspace.matrix(.outputs, rows: inputs.rows, columns: rows.count)
        try backend.multiply(
          deviation, transposed: map.sources[expert].rows(rows), bias: nil, precision: .full, into: missing)
        try backend.multiply(inputs.block, distance.transposed, scale: 1, keeping: 1, into: missing.block)
        try backend.multiply(
          missing.transposed, inputs.block, scale: weight, keeping: share, into: right.rows(rows).block)
        guard let lag else { continue }
        try backend.multiply(
          lag.block(rows: 0..<lag.rows, columns: rows).transposed, inputs.block, scale: weight, keeping: 1,
          into: right.rows(rows).block)
      }
    }
    hasSamples = true
  }

  // MARK: The Gram matrix of one expert

  /// Takes inputs into the Gram matrix of the expert at hand: `G = share · G + XᵀX`.
  func gather(_ inputs: Matrix, keeping share: Float) throws(DeviceError) {
    let form = try workspace.matrix(.factor, rows: width, columns: width)
    try backend.multiply(inputs.transposed, inputs.block, scale: 1, keeping: share, into: form.block)
  }

  /// Adds the matrix that was gathered, with a share of its diagonal once more, to what will be A, and its product with
  /// `W_i − P` to every right side, both times a weight.
  func addGathered(of expert: Int, weight: Float, diagonal share: Float) throws(DeviceError) {
    let form = try workspace.matrix(.factor, rows: width, columns: width)
    let gram = try self.gram()
    let diagonal = try diagonal(of: form)
    try backend.weightedSum([diagonal], weights: [share], into: diagonal)
    try backend.add(diagonal, toDiagonalOf: form)
    let (terms, weights) = hasSamples ? ([gram, form], [1, weight]) : ([form], [weight])
    try backend.weightedSum(terms, weights: weights, into: gram)
    for (number, map) in maps.enumerated() {
      try add(form, of: expert, factor: weight, keeping: hasSamples ? 1 : 0, to: right(number), of: map)
    }
    hasSamples = true
  }

  // MARK: Solutions

  /// Solves for one map.
  ///
  /// - Parameters:
  ///   - number: Its number among the maps.
  ///   - keepsFactor: Whether the factor of A is to outlast the next map's solution.
  /// - Returns: How well the system could be solved.
  /// - Throws: `Failure` of category `badData` for a system that is not positive definite; `DeviceError`.
  func solve(_ number: Int, keepsFactor: Bool = false) throws -> MapAlignment {
    let map = maps[number]
    let right = try right(number)
    let changes = try changes(of: map)
    // Where neither samples nor changes say anything, the map is P.
    guard hasSamples || !changes.isEmpty else {
      return MapAlignment(tensor: map.tensor.layout.name, condition: 1, residual: 0)
    }
    let system = try workspace.matrix(.system, rows: width, columns: width)
    // Sums over samples wait for their mean diagonal; what is added first brings them to scale.
    var share = 0.0
    if hasSamples {
      let gram = try self.gram()
      let mean = try meanDiagonal(of: gram)
      share = mean > 0 ? rule.share / mean : 0
      // The next map needs the sum as it is.
      try backend.weightedSum([gram], weights: [Float(share)], into: system)
      try backend.weightedSum([right], weights: [Float(share)], into: right)
    }
    let total = changes.reduce(0) { $0 + $1.weight * $1.squaredNorm } / Double(width)
    var isFirst = !hasSamples
    for change in changes {
      let factor = Float((1 - rule.share) / total * change.weight)
      let form = try quadraticForm(of: map, change.expert)
      let (terms, weights) = isFirst ? ([form], [factor]) : ([system, form], [1, factor])
      try backend.weightedSum(terms, weights: weights, into: system)
      try add(form, of: change.expert, factor: factor, keeping: isFirst ? 0 : 1, to: right, of: map)
      isFirst = false
    }
    let lower = try workspace.matrix(keepsFactor ? .keptFactor(number) : .factor, rows: width, columns: width)
    let (factor, alignment) = try solve(system, right, of: map, lower: lower)
    solutions[number] = Solution(factor: factor, sampleShare: share)
    return alignment
  }

  /// How a map was solved for; `nil` for one that is P.
  func solution(_ number: Int) -> Solution? { solutions[number] }

  /// What P lacks of some rows of a map that was solved for.
  func missing(_ number: Int, rows: Range<Int>) throws(DeviceError) -> Matrix { try right(number).rows(rows) }

  /// Some rows of a map as it was solved for, `float32 [rows, in]`.
  func form(_ number: Int, rows: Range<Int>, into out: Matrix) throws(DeviceError) {
    try maps[number].form(maps[number].fusion, rows: rows, into: out, on: backend)
    try backend.weightedSum([out, missing(number, rows: rows)], weights: [1, 1], into: out)
  }

  /// XᵀX of the samples.
  func gram() throws(DeviceError) -> Matrix { try workspace.matrix(.gram, rows: width, columns: width) }

  /// Forms a map.
  ///
  /// - Parameters:
  ///   - number: Its number among the maps.
  ///   - out: Takes P and what it lacks, `[out, in]` in the type of the output.
  /// - Returns: How many values are not finite: of each source, then of the result.
  /// - Throws: `DeviceError`.
  func form(_ number: Int, into out: Matrix) throws(DeviceError) -> [Int] {
    let map = maps[number]
    let missing = solutions[number] == nil ? [] : [try right(number)]
    let terms = map.sources + missing
    let nonFinite = try backend.upload([Int32](repeating: 0, count: terms.count + 1), columns: terms.count + 1)
    try backend.weightedSum(terms, weights: map.fusion + missing.map { _ in 1 }, into: out, nonFinite: nonFinite)
    let found = try backend.downloadIntegers(nonFinite).map(Int.init)
    return Array(found.prefix(map.sources.count)) + found.suffix(1)
  }

  private func right(_ number: Int) throws(DeviceError) -> Matrix {
    try workspace.matrix(.right(number), rows: maps[number].outputs, columns: width)
  }

  // MARK: Changes of weights

  private struct Change {
    let expert: Int
    let squaredNorm: Double
    let weight: Double
  }

  /// The experts whose weights differ from where they started; none where only samples count.
  private func changes(of map: JointMap) throws(DeviceError) -> [Change] {
    guard rule.share < 1 else { return [] }
    var changes: [Change] = []
    for expert in 0..<map.models {
      let squaredNorm = try squaredDistance(map.expert(expert), map.origin, of: map)
      guard squaredNorm > 0 else { continue }
      changes.append(
        Change(expert: expert, squaredNorm: squaredNorm, weight: balance[expert]))
    }
    return changes
  }

  /// ‖x − y‖² of two weighted sums of the sources.
  private func squaredDistance(_ x: [Float], _ y: [Float], of map: JointMap) throws(DeviceError) -> Double {
    var sum = 0.0
    for rows in AlignmentWorkspace.pieces(of: map) {
      let left = try workspace.matrix(.rows, rows: rows.count, columns: width)
      let right = try workspace.matrix(.otherRows, rows: rows.count, columns: width)
      try map.form(x, rows: rows, into: left, on: backend)
      try map.form(y, rows: rows, into: right, on: backend)
      let distances = try backend.allocate(rows: rows.count, columns: 1)
      try backend.pairedSquaredDistances(left, right, into: distances)
      sum += try backend.download(distances).reduce(0) { $0 + Double($1) }
    }
    return sum
  }

  /// δᵀδ of an expert.
  private func quadraticForm(of map: JointMap, _ expert: Int) throws(DeviceError) -> Matrix {
    let form = try workspace.matrix(.factor, rows: width, columns: width)
    for (place, rows) in AlignmentWorkspace.pieces(of: map).enumerated() {
      let change = try workspace.matrix(.rows, rows: rows.count, columns: width)
      try map.form(map.change(of: expert), rows: rows, into: change, on: backend)
      try backend.multiply(change.transposed, change.block, scale: 1, keeping: place == 0 ? 0 : 1, into: form.block)
    }
    return form
  }

  /// `right = share · right + factor · (W_i − P) · form`.
  private func add(
    _ form: Matrix, of expert: Int, factor: Float, keeping share: Float, to right: Matrix, of map: JointMap
  ) throws(DeviceError) {
    for rows in AlignmentWorkspace.pieces(of: map) {
      let distance = try workspace.matrix(.rows, rows: rows.count, columns: width)
      try map.form(map.distance(of: expert), rows: rows, into: distance, on: backend)
      try backend.multiply(distance.block, form.block, scale: factor, keeping: share, into: right.rows(rows).block)
    }
  }

  private func meanDiagonal(of matrix: Matrix) throws(DeviceError) -> Double {
    try backend.download(diagonal(of: matrix)).reduce(0) { $0 + Double($1) } / Double(width)
  }

  /// The diagonal of a square matrix, `[1, n]`: rows of one element each, looked up in a table of all.
  private func diagonal(of matrix: Matrix) throws(DeviceError) -> Matrix {
    let places = (0..<matrix.rows).map { Int32($0 * (matrix.columns + 1)) }
    let diagonal = try backend.allocate(rows: matrix.rows, columns: 1)
    try backend.embeddingLookup(
      tokens: backend.upload(places, columns: 1), table: matrix.reshaped(rows: matrix.count, columns: 1),
      into: diagonal)
    return try diagonal.reshaped(rows: 1, columns: matrix.rows)
  }

  // MARK: The solution

  /// The vectors that the residual is estimated with.
  private static let probes = 4
  /// The steps towards the largest and the smallest eigenvalue.
  private static let eigenvalueSteps = 4

  private func solve(
    _ system: Matrix, _ right: Matrix, of map: JointMap, lower: Matrix
  ) throws -> (factor: CholeskyFactor, alignment: MapAlignment) {
    let ridge = [Float](repeating: Float(rule.ridge), count: width)
    try backend.add(backend.upload(ridge, columns: width), toDiagonalOf: system)
    let probes = try backend.upload(MapSystem.signs(MapSystem.probes * width), columns: width)
    let images = try backend.allocate(rows: MapSystem.probes, columns: width)
    try backend.multiply(probes, transposed: system, bias: nil, precision: .full, into: images)
    let wanted = try backend.allocate(rows: map.outputs, columns: MapSystem.probes)
    try backend.multiply(right, transposed: probes, bias: nil, precision: .full, into: wanted)
    let largest = try eigenvalue { x, y throws(DeviceError) in
      try backend.multiply(x, transposed: system, bias: nil, precision: .full, into: y)
    }
    guard let factor = try CholeskyFactor(of: system, into: lower, on: backend) else {
      throw Failure(
        .badData, operation: "align the layers", subject: "tensor \(map.tensor.layout.name)",
        expected: "a system that is positive definite with --ridge \(rule.ridge)", got: "one that is not",
        advice: "Give a larger --ridge; values that are NaN or infinite have the same effect.")
    }
    let inverse = try eigenvalue { x, y throws(DeviceError) in
      try backend.copy(x, into: y)
      try factor.solve(y, scratch: workspace.matrix(.otherRows, rows: 1, columns: width))
    }
    for rows in AlignmentWorkspace.pieces(of: map) {
      try factor.solve(
        right.rows(rows), scratch: workspace.matrix(.otherRows, rows: rows.count, columns: width))
    }
    let got = try backend.allocate(rows: map.outputs, columns: MapSystem.probes)
    try backend.multiply(right, transposed: images, bias: nil, precision: .full, into: got)
    let residual = try MapSystem.relativeDistance(backend.download(got), backend.download(wanted))
    return (factor, MapAlignment(tensor: map.tensor.layout.name, condition: largest * inverse, residual: residual))
  }

  /// The largest eigenvalue of a symmetric operation, after a few steps from one and the same vector.
  private func eigenvalue(
    _ apply: (_ x: Matrix, _ y: Matrix) throws(DeviceError) -> Void
  ) throws(DeviceError) -> Double {
    var vector = MapSystem.signs(width)
    var length = Double(width).squareRoot()
    let image = try backend.allocate(rows: 1, columns: width)
    for _ in 0..<MapSystem.eigenvalueSteps {
      let unit = vector.map { Float(Double($0) / length) }
      try apply(backend.upload(unit, columns: width), image)
      vector = try backend.download(image)
      length = vector.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
      guard length > 0 else { return 0 }
    }
    return length
  }

  /// Signs without a pattern, the same every time.
  private static func signs(_ count: Int) -> [Float] {
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    return (0..<count).map { _ in
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return state >> 63 == 0 ? 1 : -1
    }
  }

  private static func relativeDistance(_ x: [Float], _ y: [Float]) -> Double {
    let distance = zip(x, y).reduce(0.0) { $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1)) }
    let length = y.reduce(0.0) { $0 + Double($1) * Double($1) }
    return length > 0 ? (distance / length).squareRoot() : 0
  }
}
