import Compute

extension CPUBackend {
  /// The nearest centroid of each point, ties to the lowest index, and its squared distance.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and points without centroids.
  public func assignClusters(
    points: Matrix, centroids: Matrix, clusters: Matrix, distances: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.assignClusters(points: points, centroids: centroids, clusters: clusters, distances: distances)

    let width = points.columns
    let (vectors, centres) = (points.floats, centroids.floats)
    let (numbers, nearest) = (clusters.integers, distances.floats)
    workers.forEach(points.rows, grain: Workers.grain(rowLength: width * centroids.rows)) { _, piece in
      for point in piece {
        let vector = vectors + point * width
        var (cluster, distance) = (0, loops.squaredDistance(vector, centres, width))
        for candidate in 1..<max(1, centroids.rows) {
          let candidateDistance = loops.squaredDistance(vector, centres + candidate * width, width)
          if candidateDistance < distance { (cluster, distance) = (candidate, candidateDistance) }
        }
        numbers[point] = Int32(cluster)
        nearest[point] = Float(distance)
      }
    }
  }

  /// The mean of each cluster's points, summed in double precision; the row of an empty cluster is left as it is.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and clusters without a centroid.
  public func updateCentroids(points: Matrix, clusters: Matrix, centroids: Matrix) throws(DeviceError) {
    try ArgumentChecks.updateCentroids(points: points, clusters: clusters, centroids: centroids)
    try ArgumentChecks(operation: "updateCentroids").numbers(clusters, "cluster", in: 0..<centroids.rows)

    let width = points.columns
    let (vectors, numbers, centres) = (points.floats, clusters.integers, centroids.floats)
    var members = [[Int]](repeating: [], count: centroids.rows)
    for point in 0..<points.rows { members[Int(numbers[point])].append(point) }
    workers.forEach(centroids.rows, grain: 1) { _, piece in
      for cluster in piece where !members[cluster].isEmpty {
        var sums = [Double](repeating: 0, count: width)
        for point in members[cluster] { loops.addToDoubles(vectors + point * width, &sums, width) }
        for column in 0..<width {
          centres[cluster * width + column] = Float(sums[column] / Double(members[cluster].count))
        }
      }
    }
  }
}
