import Compute
import Glibc

extension Reference {
  static func pairedSquaredDistances(_ x: HostMatrix, _ y: HostMatrix) -> Expectation {
    Expectation((0..<x.rows).map { squaredDistance(x.row($0), y.row($0)) })
  }

  static func squaredDistancesBetweenModels(_ x: HostMatrix, models: Int) -> Expectation {
    let samples = x.rows / models
    let origin = ArraySlice([Double](repeating: 0, count: x.columns))
    return Expectation(
      (0..<models * models).flatMap { pair in
        (0..<samples).map { sample in
          let (i, j) = (pair / models, pair % models)
          return squaredDistance(
            x.row(i * samples + sample), i == j ? origin : x.row(j * samples + sample))
        }
      })
  }

  static func squaredDistances(_ x: HostMatrix, _ y: HostMatrix) -> Expectation {
    Expectation((0..<x.rows).flatMap { row in (0..<y.rows).map { squaredDistance(x.row(row), y.row($0)) } })
  }

  static func radialBasisKernel(_ x: HostMatrix, _ y: HostMatrix, sigma: Float) -> Expectation {
    let variance = Double(sigma) * Double(sigma)
    let distances = squaredDistances(x, y).values
    // An error in the exponent is a relative error of the power.
    return Expectation(
      distances.map { exp(-$0 / (2 * variance)) },
      magnitudes: distances.map { exp(-$0 / (2 * variance)) * (1 + $0 / (2 * variance)) })
  }

  static func assignClusters(points: HostMatrix, centroids: HostMatrix) -> (
    clusters: Expectation, distances: Expectation
  ) {
    let nearest = (0..<points.rows).map { point in
      let distances = (0..<centroids.rows).map { squaredDistance(points.row(point), centroids.row($0)) }
      let least = distances.min() ?? 0
      return (cluster: Double(distances.firstIndex(of: least) ?? 0), distance: least)
    }
    return (Expectation(nearest.map(\.cluster)), Expectation(nearest.map(\.distance)))
  }

  static func updateCentroids(points: HostMatrix, clusters: HostMatrix, centroids: HostMatrix) -> Expectation {
    var (means, magnitudes): ([Double], [Double]) = ([], [])
    for cluster in 0..<centroids.rows {
      let members = (0..<points.rows).filter { Int(clusters[$0, 0]) == cluster }
      for column in 0..<centroids.columns {
        let values = members.isEmpty ? [centroids[cluster, column]] : members.map { points[$0, column] }
        means.append(values.reduce(0, +) / Double(values.count))
        magnitudes.append(values.reduce(0) { $0 + $1.magnitude } / Double(values.count))
      }
    }
    return Expectation(means, magnitudes: magnitudes)
  }

  private static func squaredDistance(_ x: ArraySlice<Double>, _ y: ArraySlice<Double>) -> Double {
    zip(x, y).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
  }
}
