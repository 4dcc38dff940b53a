import Compute
import ComputeCPU
import JSON
import Recall
import TestSupport
import Testing

/// k-means against scikit-learn's best of ten starts.
@Suite struct ClusteringTests {
  private static let cases = [
    "separate-blobs", "overlapping-blobs", "one-cluster", "every-point-its-own", "duplicates",
    "fewer-distinct-points-than-clusters", "all-equal", "one-point",
  ]

  @Test("inertia is within 2 % of scikit-learn's, for several seeds", arguments: cases, [0, 1, 20, 77] as [UInt64])
  func inertia(name: String, seed: UInt64) throws {
    let backend = try CPUBackend()
    let expected = try #require(try Fixtures.json("clustering/expected.json")[name])
    let points = try #require(try Fixtures.tensors("clustering/points.safetensors")[name])
    let count = try #require(expected["clusters"]?.integer)
    let matrix = try backend.upload(points.values, columns: points.shape[1])
    let clustering = try KMeans(clusterCount: count, seed: seed).cluster(matrix, on: backend)
    let best = try #require(expected["inertia"]?.double)
    let scale = points.values.reduce(0.0) { $0 + Double($1 * $1) }
    #expect(clustering.inertia <= best * 1.02 + scale * 1e-12)
    if let partition = expected["partition"]?.array?.compactMap(\.integer) {
      #expect(inOrderOfAppearance(clustering.clusters) == partition)
      #expect(clustering.representatives.count == expected["nonEmpty"]?.integer)
    }
    if let typical = expected["typical"]?.array?.compactMap(\.integer) {
      #expect(clustering.representatives.map(\.point) == typical)
    }
    #expect(clustering.representatives.map(\.clusterSize).reduce(0, +) == points.shape[0])
    let again = try KMeans(clusterCount: count, seed: seed).cluster(matrix, on: backend)
    #expect(again.clusters == clustering.clusters)
  }

  private func inOrderOfAppearance(_ clusters: [Int]) -> [Int] {
    var numbers: [Int: Int] = [:]
    return clusters.map { cluster in
      let number = numbers[cluster] ?? numbers.count
      numbers[cluster] = number
      return number
    }
  }
}
