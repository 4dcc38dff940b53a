import Compute

extension OperationCase {
  static var clusteringCases: [OperationCase] {
    [(0, 1, 4), (1, 1, 1), (101, 7, 67), (64, 16, 128)].flatMap { points, clusters, width in
      [
        assignClusters(points: points, clusters: clusters, width: width),
        assignTies(points: points, clusters: clusters, width: width),
        updateCentroids(points: points, clusters: clusters, width: width),
      ]
    }
  }

  static func assignClusters(points: Int, clusters: Int, width: Int) -> OperationCase {
    OperationCase(
      "assignClusters", "[\(points), \(width)] to \(clusters)",
      tolerance: .roundings(4, because: "distances as in squaredDistances; clusters of random points are far apart"),
      flops: 3 * points * clusters * width, bytes: 4 * (points + clusters) * width
    ) { bench throws(DeviceError) in
      let vectors = bench.numbers.matrix(points, width)
      let centres = bench.numbers.matrix(clusters, width)
      let (input, centroids) = (try bench.input(vectors), try bench.input(centres))
      let (numbers, distances) = (try bench.output(points, 1, .int32), try bench.output(points, 1))
      try bench.perform { () throws(DeviceError) in
        try bench.backend.assignClusters(points: input, centroids: centroids, clusters: numbers, distances: distances)
      }
      try bench.expect(numbers, Reference.assignClusters(points: vectors, centroids: centres).clusters)
      try bench.expect(distances, Reference.assignClusters(points: vectors, centroids: centres).distances)
    }
  }

  static func assignTies(points: Int, clusters: Int, width: Int) -> OperationCase {
    OperationCase(
      "assignClusters", "ties [\(points), \(width)] to \(clusters)", tolerance: .exact,
      flops: 3 * points * clusters * width,
      bytes: 4 * (points + clusters) * width
    ) { bench throws(DeviceError) in
      let row = bench.numbers.matrix(1, width).values
      let vectors = HostMatrix(rows: points, columns: width, values: (0..<points).flatMap { _ in row })
      // The first centroid lies elsewhere when there are several; all others on the points.
      let centres = HostMatrix(
        rows: clusters, columns: width,
        values: (0..<clusters).flatMap { cluster in cluster == 0 && clusters > 1 ? row.map { $0 + 1 } : row })
      let (input, centroids) = (try bench.input(vectors), try bench.input(centres))
      let (numbers, distances) = (try bench.output(points, 1, .int32), try bench.output(points, 1))
      try bench.perform { () throws(DeviceError) in
        try bench.backend.assignClusters(points: input, centroids: centroids, clusters: numbers, distances: distances)
      }
      try bench.expect(numbers, Expectation([Double](repeating: clusters > 1 ? 1 : 0, count: points)))
      try bench.expect(distances, Expectation([Double](repeating: 0, count: points)))
    }
  }

  static func updateCentroids(points: Int, clusters: Int, width: Int) -> OperationCase {
    OperationCase(
      "updateCentroids", "[\(points), \(width)] in \(clusters) + 1 empty", tolerance: .sum(of: points),
      flops: points * width, bytes: 4 * (points + clusters) * width
    ) { bench throws(DeviceError) in
      let vectors = bench.numbers.matrix(points, width)
      let members = bench.numbers.integers(points, below: clusters)
      let centres = bench.numbers.matrix(clusters + 1, width)
      let (input, numbers) = (try bench.input(vectors), try bench.input(members))
      let centroids = try bench.inPlace(centres)
      try bench.perform { () throws(DeviceError) in
        try bench.backend.updateCentroids(points: input, clusters: numbers, centroids: centroids)
      }
      try bench.expect(centroids, Reference.updateCentroids(points: vectors, clusters: members, centroids: centres))
    }
  }
}
