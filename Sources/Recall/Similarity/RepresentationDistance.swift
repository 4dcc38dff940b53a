import Compute

/// How far two representations are from each other.
public enum DistanceMeasure: String, Sendable, CaseIterable {
  /// The squared Euclidean distance divided by the mean of the two squared norms, so that depth and scale do not decide.
  case relative
  /// The squared Euclidean distance.
  case absolute
}

/// The distances between models on the same samples at one layer: `D_ij(x)`.
public struct InterModelDistances: Sendable {
  /// K, the number of models.
  public let models: Int
  /// m, the number of samples.
  public let samples: Int
  /// What `all` would be if the representations of different models had nothing in common, that is, stood at right angles.
  public let unrelated: [Double]
  private let values: [Double]

  /// Measures every unordered pair of models sample by sample.
  public init(_ representations: LayerRepresentations, measure: DistanceMeasure) {
    models = representations.matrices.count
    samples = representations.samples
    var values = [Double](repeating: 0, count: models * models * samples)
    var unrelated: [Double] = []
    for i in 0..<models {
      for j in i + 1..<max(models, i + 1) {
        let norms = zip(representations.squares(i, i), representations.squares(j, j))
        for (sample, (squared, norms)) in zip(representations.squares(i, j), norms).enumerated() {
          let (x, y) = (Double(norms.0), Double(norms.1))
          let distance = measured(Double(squared), x, y, measure)
          values[(i * models + j) * samples + sample] = distance
          values[(j * models + i) * samples + sample] = distance
          unrelated.append(measured(x + y, x, y, measure))
        }
      }
    }
    self.values = values
    self.unrelated = unrelated
  }

  /// `D_ij(x)` for all samples x.
  public func between(_ i: Int, _ j: Int) -> ArraySlice<Double> {
    let start = (i * models + j) * samples
    return values[start..<start + samples]
  }

  /// `D_ij(x)` over all unordered pairs of models and all samples.
  public var all: [Double] {
    (0..<models).flatMap { i in (i + 1..<max(models, i + 1)).flatMap { j in between(i, j) } }
  }
}

/// The distances between one model's own samples at one layer, over all unordered pairs of samples.
///
/// - Parameters:
///   - representation: `float32 [samples, d]`.
///   - measure: What is divided by what.
///   - backend: The device that holds the representation.
/// - Returns: m(m − 1)/2 distances.
/// - Throws: `DeviceError`.
public func distancesBetweenSamples(
  of representation: Matrix, measure: DistanceMeasure, on backend: any ComputeBackend
) throws(DeviceError) -> [Double] {
  let samples = representation.rows
  let norms = try LayerRepresentations(representation, models: 1, on: backend).squares(0, 0).map(Double.init)
  let squares = try backend.allocate(rows: samples, columns: samples)
  try backend.squaredDistances(representation, representation, into: squares)
  let values = try backend.download(squares)
  return (0..<samples).flatMap { a in
    (a + 1..<max(samples, a + 1)).map { b in
      measured(Double(values[a * samples + b]), norms[a], norms[b], measure)
    }
  }
}

private func measured(
  _ squared: Double, _ normA: Double, _ normB: Double, _ measure: DistanceMeasure
) -> Double {
  switch measure {
  case .absolute: squared
  // Two zero vectors are equal.
  case .relative: normA + normB == 0 ? 0 : squared / ((normA + normB) / 2)
  }
}
