// The two steps of k-means, without atomics: the same sums in the same order every time.

// clusters[point] = the first column of the least of distances [points, count]; nearest[point] = that distance.
KERNEL nearestCentroid(
    MATRIX(const float, all), MATRIX(int, clusters), MATRIX(float, nearest), ulong points, uint count) {
  for (ulong point = FIRST_ELEMENT; point < points; point += ELEMENT_STRIDE) {
    GLOBAL const float *distances = ELEMENTS(all) + point * count;
    uint cluster = 0;
    float least = distances[0];
    for (uint candidate = 1; candidate < count; candidate++) {
      if (distances[candidate] < least) {
        cluster = candidate;
        least = distances[candidate];
      }
    }
    ELEMENTS(clusters)[point] = (int)cluster;
    ELEMENTS(nearest)[point] = least;
  }
}

// centroids[cluster] = the mean of its points [points, width]; a cluster without points keeps its centroid, a point whose
// number is that of no cluster counts nowhere. A group per cluster and GROUP_SIZE columns.
KERNEL updateCentroids(
    MATRIX(const float, points), MATRIX(const int, clusters), MATRIX(float, centroids), ulong count, ulong width) {
  ulong blocks = (width + GROUP_SIZE - 1) / GROUP_SIZE;
  int cluster = (int)(GROUP / blocks);
  ulong column = GROUP % blocks * GROUP_SIZE + ITEM;
  if (column >= width) return;
  GLOBAL const int *numbers = ELEMENTS(clusters);
  GLOBAL const float *vectors = ELEMENTS(points);
  Pair sum = pair(0.0f, 0.0f);
  uint members = 0;
  for (ulong point = 0; point < count; point++) {
    if (numbers[point] != cluster) continue;
    sum = addToPair(sum, vectors[point * width + column]);
    members++;
  }
  if (members > 0) ELEMENTS(centroids)[(ulong)cluster * width + column] = quotient(pairValue(sum), (float)members);
}
