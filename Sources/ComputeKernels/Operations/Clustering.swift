import Compute

extension KernelBackend {
  /// The nearest centroid of each point, ties to the lowest index, and its squared distance; takes scratch for the
  /// distances of all pairs.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit and points without centroids.
  package func assignClusters(
    points: Matrix, centroids: Matrix, clusters: Matrix, distances: Matrix
  ) throws(DeviceError) {
    try ArgumentChecks.assignClusters(
      points: points, centroids: centroids, clusters: clusters, distances: distances)
    let all = try scratch(rows: points.rows, columns: centroids.rows)
    try everyPair(points, centroids, sigma: nil, into: all, operation: "assignClusters")
    try launchForElements(
      "nearestCentroid", of: "clusters", operation: "assignClusters", count: points.rows,
      [
        .matrix(all), .matrix(clusters), .matrix(distances), .count(points.rows), .uint32(UInt32(centroids.rows)),
      ])
  }

  /// The mean of each cluster's points; a point whose number is that of no cluster counts nowhere.
  ///
  /// - Throws: `DeviceError.Code.invalidArgument` for shapes and types that do not fit.
  package func updateCentroids(points: Matrix, clusters: Matrix, centroids: Matrix) throws(DeviceError) {
    try ArgumentChecks.updateCentroids(points: points, clusters: clusters, centroids: centroids)
    try launch(
      "updateCentroids", of: "clusters", operation: "updateCentroids",
      groups: centroids.rows * LaunchSizes.parts(of: points.columns, sizes.group),
      [.matrix(points), .matrix(clusters), .matrix(centroids), .count(points.rows), .count(points.columns)])
  }
}
