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

  /// Compares every unordered pair of models sample by sample.
  ///
  /// - Parameters:
  ///   - representations: One `float32 [samples, d]` per model.
  ///   - measure: What is divided by what.
  ///   - backend: The device that holds the representations.
  /// - Throws: `DeviceError`. Cost: K(K − 1)/2 passes over two representations.
  public init(
    _ representations: [Matrix], measure: DistanceMeasure, on backend: any ComputeBackend
  ) throws(DeviceError) {
    models = representations.count
    samples = representations.first?.rows ?? 0
    let norms = try representations.map { representation throws(DeviceError) in
      try squaredNorms(of: representation, on: backend)
    }
    let distances = try backend.allocate(rows: samples, columns: 1)
    var values = [Double](repeating: 0, count: models * models * samples)
    var unrelated: [Double] = []
    for i in 0..<models {
      for j in i + 1..<max(models, i + 1) {
        try backend.pairedSquaredDistances(representations[i], representations[j], into: distances)
        for (sample, squared) in try backend.download(distances).enumerated() {
          let distance = measured(Double(squared), norms[i][sample], norms[j][sample], measure)
          values[(i * models + j) * samples + sample] = distance
          values[(j * models + i) * samples + sample] = distance
          let (x, y) = (norms[i][sample], norms[j][sample])
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
  let norms = try squaredNorms(of: representation, on: backend)
  let squares = try backend.allocate(rows: samples, columns: samples)
  try backend.squaredDistances(representation, representation, into: squares)
  let values = try backend.download(squares)
  return (0..<samples).flatMap { a in
    (a + 1..<max(samples, a + 1)).map { b in
      measured(Double(values[a * samples + b]), norms[a], norms[b], measure)
    }
  }
}

/// `|x|²` of each row, as the distance from the origin.
private func squaredNorms(of representation: Matrix, on backend: any ComputeBackend) throws(DeviceError) -> [Double] {
  let origin = try backend.upload([Float](repeating: 0, count: representation.count), columns: representation.columns)
  let norms = try backend.allocate(rows: representation.rows, columns: 1)
  try backend.pairedSquaredDistances(representation, origin, into: norms)
  return try backend.download(norms).map(Double.init)
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
