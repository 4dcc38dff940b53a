import Compute
import Foundation

/// Points grouped around their means.
public struct Clustering: Sendable {
  /// The cluster of each point, 0 to k − 1; some clusters may be empty.
  public let clusters: [Int]
  /// The squared distance of each point to the mean of its cluster.
  public let squaredDistances: [Double]

  /// The sum of all squared distances.
  public var inertia: Double { squaredDistances.reduce(0, +) }

  /// A point that stands for its cluster.
  public struct Representative: Sendable, Equatable {
    /// The point nearest the mean of its cluster; the lowest index of several.
    public let point: Int
    /// Its cluster.
    public let cluster: Int
    /// The number of points in that cluster.
    public let clusterSize: Int
  }

  /// One point for each cluster that is not empty, in ascending index.
  public var representatives: [Representative] {
    Dictionary(grouping: clusters.indices, by: { clusters[$0] })
      .compactMap { cluster, points in
        points.min { (squaredDistances[$0], $0) < (squaredDistances[$1], $1) }
          .map { Representative(point: $0, cluster: cluster, clusterSize: points.count) }
      }
      .sorted { $0.point < $1.point }
  }
}

/// k-means: greedy k-means++ starts (Arthur and Vassilvitskii 2007), then Lloyd's steps; the best of ten starts.
public struct KMeans {
  /// k.
  public let clusterCount: Int
  /// Seeds the starts; the same seed gives the same clusters.
  public let seed: UInt64
  /// How many starts are tried.
  public let starts = 10
  /// Lloyd stops here at the latest; it nearly always settles long before.
  public let mostSteps = 300

  /// Describes a clustering into `clusterCount` groups.
  public init(clusterCount: Int, seed: UInt64) {
    self.clusterCount = clusterCount
    self.seed = seed
  }

  /// Groups the rows of a matrix; ties go to the lowest index everywhere.
  ///
  /// - Parameters:
  ///   - points: `float32 [n, d]` with n ≥ 1.
  ///   - backend: The device that holds them.
  ///   - progress: Told the starts that are done, of how many.
  /// - Returns: The best clustering of all starts.
  /// - Throws: `DeviceError`. Cost: about `starts · steps · n · k · d` multiplications.
  public func cluster(
    _ points: Matrix, on backend: any ComputeBackend, progress: (Int, Int) -> Void = { _, _ in }
  ) throws(DeviceError) -> Clustering {
    var random = SplitMix64(state: seed)
    var best = try settle(from: spreadCentroids(points, random: &random, on: backend), points, on: backend)
    for start in 1..<starts {
      progress(start, starts)
      let next = try settle(from: spreadCentroids(points, random: &random, on: backend), points, on: backend)
      if next.inertia < best.inertia { best = next }
    }
    progress(starts, starts)
    return best
  }

  /// Chooses points as first centroids, each with probability proportional to its squared distance from those chosen
  /// before; of a few candidates the one that leaves the least distance is taken.
  private func spreadCentroids(
    _ points: Matrix, random: inout SplitMix64, on backend: any ComputeBackend
  ) throws(DeviceError) -> [Int] {
    let candidates = 2 + Int(log(Double(clusterCount)))
    var chosen = [Int(random.nextUnit() * Double(points.rows))]
    var nearest = try squaredDistances(points, to: chosen[0], on: backend)
    while chosen.count < clusterCount {
      var best: (point: Int, nearest: [Double], rest: Double)?
      for _ in 0..<candidates {
        let point = index(in: nearest, at: random.nextUnit())
        let distances = try squaredDistances(points, to: point, on: backend)
        let remaining = zip(nearest, distances).map(min)
        let rest = remaining.reduce(0, +)
        if rest < best?.rest ?? .infinity { best = (point, remaining, rest) }
      }
      guard let best else { break }
      chosen.append(best.point)
      nearest = best.nearest
    }
    return chosen
  }

  private func settle(
    from start: [Int], _ points: Matrix, on backend: any ComputeBackend
  ) throws(DeviceError) -> Clustering {
    let rows = try start.map { point throws(DeviceError) in try backend.download(points.rows(point..<point + 1)) }
    let centroids = try backend.upload(Array(rows.joined()), columns: points.columns)
    let clusters = try backend.allocate(rows: points.rows, columns: 1, .int32)
    let distances = try backend.allocate(rows: points.rows, columns: 1)
    try backend.assignClusters(points: points, centroids: centroids, clusters: clusters, distances: distances)
    var assignment = try backend.downloadIntegers(clusters)
    for _ in 0..<mostSteps {
      try backend.updateCentroids(points: points, clusters: clusters, centroids: centroids)
      try backend.assignClusters(points: points, centroids: centroids, clusters: clusters, distances: distances)
      let next = try backend.downloadIntegers(clusters)
      if next == assignment { break }
      assignment = next
    }
    let squared = try backend.download(distances).map(Double.init)
    return Clustering(clusters: assignment.map(Int.init), squaredDistances: squared)
  }

  private func squaredDistances(
    _ points: Matrix, to point: Int, on backend: any ComputeBackend
  ) throws(DeviceError) -> [Double] {
    let distances = try backend.allocate(rows: points.rows, columns: 1)
    try backend.squaredDistances(points, points.rows(point..<point + 1), into: distances)
    return try backend.download(distances).map(Double.init)
  }

  /// The index at which the running sum of `masses` passes a share of the total; any index when all masses are zero.
  private func index(in masses: [Double], at share: Double) -> Int {
    let target = share * masses.reduce(0, +)
    var sum = 0.0
    for (index, mass) in masses.enumerated() {
      sum += mass
      if sum > target { return index }
    }
    return min(Int(share * Double(masses.count)), masses.count - 1)
  }
}

/// A small random number generator whose sequence is fixed by its seed (Steele, Lea and Flood 2014).
struct SplitMix64 {
  var state: UInt64

  /// A number in [0, 1).
  mutating func nextUnit() -> Double {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = state
    bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
    bits ^= bits >> 31
    return Double(bits >> 11) * 0x1p-53
  }
}
