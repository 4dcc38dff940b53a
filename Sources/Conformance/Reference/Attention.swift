import Compute
import Glibc

extension Reference {
  /// The magnitude of an element is its weighted sum of magnitudes, times one more than the largest magnitude of its
  /// row's scores.
  ///
  /// An error in a score changes a weight by as much, relatively. Where weights are rounded by a roundoff and queries and keys
  /// by its square, scores count six times that roundoff: a product of two rounded numbers is off by two squares, and by a
  /// third where that of their last parts is left out, in a weight as in the sum of all; and sums are cut off as they grow.
  static func attention(
    queries: HostMatrix, keys: HostMatrix, values: HostMatrix, lengths: [Int], shape: AttentionShape,
    roundoff: Double = 0
  ) -> Expectation {
    let shareOfScores = roundoff > 0 ? 6 * roundoff : 1
    let dimension = shape.headDimension
    var results = [Double](repeating: 0, count: queries.rows * queries.columns)
    var magnitudes = results
    forEachHead(lengths, shape) { place in
      let seen = SeenScores(queries, keys, place, shape)
      let weights = seen.scores.map { exp($0 - seen.normaliser) }
      for column in 0..<dimension {
        let terms = zip(place.seen, weights).map { values[$0, place.keyColumn(shape) + column] * $1 }
        let element = place.token * queries.columns + place.head * dimension + column
        results[element] = terms.reduce(0, +)
        magnitudes[element] = terms.reduce(0) { $0 + $1.magnitude } * (1 + shareOfScores * seen.steepest)
      }
    }
    return Expectation(results, magnitudes: magnitudes)
  }

  /// The magnitude of a normaliser is its own and that of the scores, and 1 for the exponentials' relative errors.
  static func attentionNormalisers(
    queries: HostMatrix, keys: HostMatrix, lengths: [Int], shape: AttentionShape
  ) -> Expectation {
    var (normalisers, magnitudes): ([Double], [Double]) = ([], [])
    forEachHead(lengths, shape) { place in
      let seen = SeenScores(queries, keys, place, shape)
      normalisers.append(seen.normaliser)
      magnitudes.append(1 + seen.steepest + seen.normaliser.magnitude)
    }
    return Expectation(normalisers, magnitudes: magnitudes)
  }

  /// What `ComputeBackend.attentionDivergence` gives.
  struct Divergence {
    let divergences: Expectation
    let queryGradient: Expectation
    let keyGradient: Expectation
  }

  /// The magnitudes follow from those of the logarithms, which are scores and normalisers of both patterns.
  ///
  /// An error in a logarithm is an error of the divergence, and relatively one of a weight. A score's error also moves the slope of its
  /// cap, by twice the score in units of the cap at most.
  static func attentionDivergence(
    queries: HostMatrix, keys: HostMatrix, wantedQueries: HostMatrix, wantedKeys: HostMatrix, lengths: [Int],
    shape: AttentionShape
  ) -> Divergence {
    let dimension = shape.headDimension
    var (divergences, divergenceMagnitudes): ([Double], [Double]) = ([], [])
    var ofQueries = [Double](repeating: 0, count: queries.rows * queries.columns)
    var ofKeys = [Double](repeating: 0, count: keys.rows * keys.columns)
    var (queryMagnitudes, keyMagnitudes) = (ofQueries, ofKeys)
    forEachHead(lengths, shape) { place in
      let own = SeenScores(queries, keys, place, shape)
      let wanted = SeenScores(wantedQueries, wantedKeys, place, shape)
      let logarithm = own.magnitude + wanted.magnitude
      let capError = shape.softCap.map { 2 * own.steepest / Double($0) } ?? 0
      var (divergence, differences) = (0.0, 0.0)
      for (index, key) in place.seen.enumerated() {
        let difference = (wanted.scores[index] - wanted.normaliser) - (own.scores[index] - own.normaliser)
        let (weight, wantedWeight) = (own.weight(index), wanted.weight(index))
        divergence += wantedWeight * difference
        differences += wantedWeight * difference.magnitude
        let scale = Double(shape.scale) * own.slope(index, shape)
        let magnitude = (weight + wantedWeight) * Double(shape.scale) * logarithm * (1 + capError)
        for column in 0..<dimension {
          let ofQuery = place.token * queries.columns + place.head * dimension + column
          let ofKey = key * keys.columns + place.keyColumn(shape) + column
          ofQueries[ofQuery] += (weight - wantedWeight) * scale * keys.values[ofKey]
          ofKeys[ofKey] += (weight - wantedWeight) * scale * queries.values[ofQuery]
          queryMagnitudes[ofQuery] += magnitude * keys.values[ofKey].magnitude
          keyMagnitudes[ofKey] += magnitude * queries.values[ofQuery].magnitude
        }
      }
      divergences.append(divergence)
      divergenceMagnitudes.append((1 + differences) * logarithm)
    }
    return Divergence(
      divergences: Expectation(divergences, magnitudes: divergenceMagnitudes),
      queryGradient: Expectation(ofQueries, magnitudes: queryMagnitudes),
      keyGradient: Expectation(ofKeys, magnitudes: keyMagnitudes))
  }

  /// The same, with gradients by differences of the divergences: what the formulas of the gradients have to agree with.
  static func attentionDivergenceByDifferences(
    queries: HostMatrix, keys: HostMatrix, wantedQueries: HostMatrix, wantedKeys: HostMatrix, lengths: [Int],
    shape: AttentionShape
  ) -> Divergence {
    func divergence(_ queries: HostMatrix, _ keys: HostMatrix) -> Divergence {
      attentionDivergence(
        queries: queries, keys: keys, wantedQueries: wantedQueries, wantedKeys: wantedKeys, lengths: lengths,
        shape: shape)
    }
    /// Differences of both sides: what they miss is a third derivative times 1e-8, far below a rounding to float32.
    func slopes(_ matrix: HostMatrix, _ sum: (HostMatrix) -> Double) -> [Double] {
      let step = 1e-4
      func moved(_ index: Int, _ distance: Double) -> HostMatrix {
        var values = matrix.values
        values[index] += distance
        return HostMatrix(rows: matrix.rows, columns: matrix.columns, .float64, values: values)
      }
      return matrix.values.indices.map { (sum(moved($0, step)) - sum(moved($0, -step))) / (2 * step) }
    }
    func total(_ divergence: Divergence) -> Double { divergence.divergences.values.reduce(0, +) }
    let formulas = divergence(queries, keys)
    return Divergence(
      divergences: formulas.divergences,
      queryGradient: Expectation(
        slopes(queries) { total(divergence($0, keys)) }, magnitudes: formulas.queryGradient.magnitudes),
      keyGradient: Expectation(
        slopes(keys) { total(divergence(queries, $0)) }, magnitudes: formulas.keyGradient.magnitudes))
  }

  /// A query and its head, in the order of a matrix with a number for each, and the keys that it sees.
  struct HeadPlace {
    let token: Int
    let head: Int
    let seen: [Int]

    func keyColumn(_ shape: AttentionShape) -> Int {
      head / (shape.queryHeads / shape.keyValueHeads) * shape.headDimension
    }
  }

  private static func forEachHead(_ lengths: [Int], _ shape: AttentionShape, _ body: (HeadPlace) -> Void) {
    var start = 0
    for length in lengths {
      for query in 0..<length {
        let seen = (0..<length).filter { key in
          (!shape.causal || key <= query) && key > query - (shape.window ?? .max)
        }
        for head in 0..<shape.queryHeads {
          body(HeadPlace(token: start + query, head: head, seen: seen.map { start + $0 }))
        }
      }
      start += length
    }
  }
}

/// The scores of what one query sees.
private struct SeenScores {
  let scores: [Double]
  /// The largest sum of the magnitudes of a product's terms, scaled.
  let steepest: Double
  /// The logarithm of the sum of the exponentials.
  let normaliser: Double

  init(_ queries: HostMatrix, _ keys: HostMatrix, _ place: Reference.HeadPlace, _ shape: AttentionShape) {
    let (queryColumn, keyColumn) = (place.head * shape.headDimension, place.keyColumn(shape))
    let products = place.seen.map { key in
      (0..<shape.headDimension).map { queries[place.token, queryColumn + $0] * keys[key, keyColumn + $0] }
    }
    let scores = products.map { terms in
      let score = terms.reduce(0, +) * Double(shape.scale)
      return shape.softCap.map { Double($0) * tanh(score / Double($0)) } ?? score
    }
    let largest = scores.max() ?? 0
    self.scores = scores
    steepest = products.map { $0.reduce(0) { $0 + $1.magnitude } * Double(shape.scale) }.max() ?? 0
    normaliser = largest + log(scores.reduce(0) { $0 + exp($1 - largest) })
  }

  /// What rounding errors of a logarithm of a weight are proportional to.
  var magnitude: Double { 1 + steepest + normaliser.magnitude }

  func weight(_ index: Int) -> Double { exp(scores[index] - normaliser) }

  /// How a score changes with its product, but for the scale.
  func slope(_ index: Int, _ shape: AttentionShape) -> Double {
    let share = shape.softCap.map { scores[index] / Double($0) } ?? 0
    return 1 - share * share
  }
}
