import Compute
import Diagnostics
import Foundation

/// The samples that stand for a pool, and how they were found.
public struct TypicalSamples: Sendable {
  /// How they were found, with σ² of the median heuristic.
  public var header: SelectionHeader
  /// m samples in ascending index, each with its cluster and the cluster's size.
  public var samples: [EncodedSample]
}

/// Finds typical samples: k-means over one model's representations, and of each cluster the sample nearest its centre.
public struct TypicalSampleSelection {
  private let model: Model
  private let digest: ModelDigester
  private let recipe: MergeRecipe
  private let stateBudget: Int
  private let scratchDirectory: String
  private let backend: any ComputeBackend

  /// Prepares a selection.
  ///
  /// - Parameters:
  ///   - model: The anchor, or what stands in for it.
  ///   - digest: What the bytes read add to.
  ///   - recipe: Number of samples, cluster layer, pooling and seed.
  ///   - stateBudget: How many bytes the residual stream of a pass may take; a larger pool takes more passes, with the same
  ///     result.
  ///   - scratchDirectory: Where the representations of the pool wait for the clustering, in a file without a name.
  ///   - backend: The device.
  public init(
    model: Model, digest: ModelDigester, recipe: MergeRecipe, stateBudget: Int, scratchDirectory: String,
    on backend: any ComputeBackend
  ) {
    self.model = model
    self.digest = digest
    self.recipe = recipe
    self.stateBudget = stateBudget
    self.scratchDirectory = scratchDirectory
    self.backend = backend
  }

  /// Selects from a pool.
  ///
  /// - Parameters:
  ///   - pool: The encoded pool, at least `recipe.typical` samples.
  ///   - path: The pool's file, for errors.
  ///   - progress: Told the layers that have been passed, of how many.
  /// - Returns: The samples and how they were found.
  /// - Throws: `Failure` for a pool that is too small or a cluster layer that the model lacks; `DeviceError`.
  public func select(
    from pool: [EncodedSample], path: String, progress: (Int, Int) -> Void
  ) throws -> TypicalSamples {
    let configuration = model.configuration
    let clusterBlock = try clusterBlock()
    guard pool.count >= recipe.typical else {
      throw Failure(
        .badData, operation: "select typical samples", subject: path, expected: "at least \(recipe.typical) samples",
        got: "\(pool.count)", advice: "Give more samples or a smaller --typical.")
    }
    let layers = Layer.all(blocks: configuration.blockCount)
    let representations = try RepresentationScratch(
      directory: scratchDirectory, layers: layers.count, samples: pool.count, width: configuration.hiddenSize)
    let passes = passes(over: pool)
    for (number, range) in passes.enumerated() {
      let walk = try LayerWalk(
        [model], digests: [digest], samples: SampleBatches(Array(pool[range]), on: backend), pooling: pooling,
        on: backend)
      var layer = 0
      try walk.run { _, states, _ in
        try representations.store(backend.download(states[0]), layer: layer, firstSample: range.lowerBound)
        layer += 1
        progress(number * layers.count + layer, passes.count * layers.count)
      }
    }
    let points = try representations.load(layer: clusterBlock + 1, samples: Array(pool.indices))
    let clustering = try KMeans(clusterCount: recipe.typical, seed: recipe.seed).cluster(
      backend.upload(points, columns: configuration.hiddenSize), on: backend)
    let chosen = nearestToCentres(clustering)
    return TypicalSamples(
      header: SelectionHeader(
        model: model.path, clusterLayer: Layer.block(clusterBlock).name, pooling: pooling,
        maxTokens: recipe.maxTokens ?? MergeRecipe.defaultMaxTokens, seed: recipe.seed,
        anchorMedian: try medians(of: chosen.map(\.point), in: representations, layers: layers.count)),
      samples: chosen.map { point, cluster, size in
        var sample = pool[point].sample
        sample.cluster = cluster
        sample.clusterSize = size
        return EncodedSample(sample: sample, tokens: pool[point].tokens)
      })
  }

  private var pooling: Pooling { recipe.pooling ?? .mean }

  private func clusterBlock() throws(Failure) -> Int {
    let blocks = model.configuration.blockCount
    switch recipe.clusterLayer {
    case .last: return blocks - 1
    case .block(let number):
      guard number < blocks else {
        throw Failure(
          .usage, operation: "select typical samples", subject: "--cluster-layer",
          expected: "last or a block below \(blocks)", got: "\(number)")
      }
      return number
    }
  }

  /// Consecutive samples whose residual streams fit the budget together, cut only where batches end.
  private func passes(over pool: [EncodedSample]) -> [Range<Int>] {
    let bytesPerToken = model.configuration.hiddenSize * ElementType.float32.byteCount
    var passes: [Range<Int>] = []
    var taken = 0
    for group in SampleBatches.groups(lengths: pool.map(\.tokens.count)) {
      let bytes = pool[group].reduce(0) { $0 + $1.tokens.count * bytesPerToken }
      if let last = passes.last, taken + bytes <= stateBudget {
        passes[passes.count - 1] = last.lowerBound..<group.upperBound
        taken += bytes
      } else {
        passes.append(group)
        taken = bytes
      }
    }
    return passes
  }

  /// The member of each non-empty cluster that is nearest its centre, the lowest index first; in ascending index.
  private func nearestToCentres(_ clustering: Clustering) -> [(point: Int, cluster: Int, size: Int)] {
    let distances = clustering.squaredDistances
    return clustering.members.compactMap { cluster, points in
      points.min { (distances[$0], $0) < (distances[$1], $1) }.map { ($0, cluster, points.count) }
    }
    .sorted { $0.0 < $1.0 }
  }

  /// σ² of the median heuristic for both measures, over all layers and pairs of the chosen samples.
  private func medians(
    of chosen: [Int], in representations: RepresentationScratch, layers: Int
  ) throws -> [DistanceMeasure: Double] {
    var distances: [DistanceMeasure: [Double]] = [:]
    for layer in 0..<layers {
      let values = try representations.load(layer: layer, samples: chosen)
      let matrix = try backend.upload(values, columns: model.configuration.hiddenSize)
      for measure in DistanceMeasure.allCases {
        distances[measure, default: []] += try distancesBetweenSamples(of: matrix, measure: measure, on: backend)
      }
    }
    return distances.compactMapValues { medianBandwidth(of: $0) }
  }
}

/// The representations of a whole pool at all layers, in a file without a name: large pools do not fit memory, and the
/// selection is known only after the last layer.
private final class RepresentationScratch {
  private let file: FileHandle
  private let samples: Int
  private let width: Int

  init(directory: String, layers: Int, samples: Int, width: Int) throws(Failure) {
    let path = "\(directory)/.recall-\(UUID().uuidString)"
    guard FileManager.default.createFile(atPath: path, contents: nil), let file = FileHandle(forUpdatingAtPath: path)
    else {
      throw Failure(
        .cannotCreate, operation: "keep the representations of the pool", subject: directory,
        expected: "a directory that takes a temporary file", got: "none")
    }
    // The open handle keeps the file; without its name nothing is left behind however the process ends.
    try? FileManager.default.removeItem(atPath: path)
    self.file = file
    self.samples = samples
    self.width = width
  }

  func store(_ values: [Float], layer: Int, firstSample: Int) throws(Failure) {
    try access("write", layer: layer, sample: firstSample) { file in
      try file.write(contentsOf: values.withUnsafeBytes { Data($0) })
    }
  }

  func load(layer: Int, samples chosen: [Int]) throws(Failure) -> [Float] {
    var values: [Float] = []
    values.reserveCapacity(chosen.count * width)
    for sample in chosen {
      let data = try access("read", layer: layer, sample: sample) { try $0.read(upToCount: width * 4) ?? Data() }
      values += [Float](unsafeUninitializedCapacity: width) { buffer, count in
        count = data.copyBytes(to: buffer) / 4
      }
    }
    return values
  }

  private func access<Result>(
    _ operation: String, layer: Int, sample: Int, _ body: (FileHandle) throws -> Result
  ) throws(Failure) -> Result {
    do {
      try file.seek(toOffset: UInt64((layer * samples + sample) * width * 4))
      return try body(file)
    } catch {
      throw Failure(
        .inputOutput, operation: "\(operation) the representations of the pool", subject: "temporary file",
        expected: "room and a sound disk", got: "\(error)")
    }
  }
}
