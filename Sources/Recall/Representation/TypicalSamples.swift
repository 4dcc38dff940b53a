import Checkpoint
import Compute
import Diagnostics

/// The samples that stand for a pool, and how they were found.
public struct TypicalSamples: Sendable {
  /// How they were found, with σ² of the median heuristic.
  public var header: SelectionHeader
  /// m samples in ascending index, each with its cluster and the cluster's size.
  public var samples: [EncodedSample]

  /// The file that `select` writes.
  public var text: String {
    ([header.json] + samples.map(\.sample.json)).map { $0.compact + "\n" }.joined()
  }
}

/// Finds typical samples: k-means over one model's representations, and of each cluster the sample nearest its centre.
public struct TypicalSampleSelection {
  private let walked: WalkedModel
  private let recipe: MergeRecipe
  private let stateBudget: Int
  private let scratchDirectory: String
  private let backend: any ComputeBackend

  /// Prepares a selection.
  ///
  /// - Parameters:
  ///   - model: The anchor, or what stands in for it.
  ///   - recipe: Number of samples, cluster layer, pooling and seed.
  ///   - stateBudget: How many bytes the residual stream of a pass may take; a larger pool takes more passes, with the same
  ///     result.
  ///   - scratchDirectory: Where the representations of the pool wait for the clustering, in a file without a name.
  ///   - backend: The device.
  public init(
    model: WalkedModel, recipe: MergeRecipe, stateBudget: Int, scratchDirectory: String,
    on backend: any ComputeBackend
  ) {
    walked = model
    self.recipe = recipe
    self.stateBudget = stateBudget
    self.scratchDirectory = scratchDirectory
    self.backend = backend
  }

  private var model: Model { walked.model }

  /// The bytes of the file that the representations of a pool take.
  static func scratchByteCount(_ configuration: ModelConfiguration, samples: Int) -> Int {
    Layer.all(blocks: configuration.blockCount).count * samples * configuration.hiddenSize
      * ElementType.float32.byteCount
  }

  /// Of equal texts the first: they are equally near their centre, and rounding in batches of different layout must not choose.
  private static func first(
    ofEqualTextsIn pool: [EncodedSample], _ representatives: [Clustering.Representative]
  ) -> [Clustering.Representative] {
    let firsts = Dictionary(
      pool.enumerated().map { ($0.element.tokens, $0.offset) }, uniquingKeysWith: { first, _ in first })
    var taken = Set(representatives.map(\.point))
    return representatives.map { representative in
      guard let first = firsts[pool[representative.point].tokens], taken.insert(first).inserted else {
        return representative
      }
      taken.remove(representative.point)
      return Clustering.Representative(
        point: first, cluster: representative.cluster, clusterSize: representative.clusterSize)
    }.sorted { $0.point < $1.point }
  }

  /// Selects from a pool.
  ///
  /// - Parameters:
  ///   - pool: The encoded pool, found large enough by `Pool.checkSelection`.
  ///   - takesAll: Whether all samples are typical, so that only how far they lie apart is found.
  ///   - progress: Told layers that have been passed, then starts of the clustering.
  /// - Returns: The samples and how they were found.
  /// - Throws: `Failure` or `DeviceError`.
  public func select(
    from pool: [EncodedSample], takesAll: Bool = false, progress: MergeProgress
  ) throws -> TypicalSamples {
    let configuration = model.configuration
    let layers = Layer.all(blocks: configuration.blockCount)
    let representations = try RepresentationScratch(
      directory: scratchDirectory, samples: pool.count, width: configuration.hiddenSize)
    let passes = SampleBatches.passes(
      lengths: pool.map(\.tokens.count), width: configuration.hiddenSize, byteBudget: stateBudget,
      on: backend.device.kind)
    for (number, range) in passes.enumerated() {
      // A text between two clusters goes to one or the other by the last bits of its states, and takes others along.
      let walk = try LayerWalk(
        [walked], samples: SampleBatches(Array(pool[range]), on: backend),
        pooling: recipe.poolingOrDefault, precision: .full, on: backend)
      var layer = 0
      try walk.run { _, states, _ in
        try representations.store(backend.download(states[0]), layer: layer, firstSample: range.lowerBound)
        layer += 1
        progress("select", number * layers.count + layer, of: passes.count * layers.count, unit: "layers")
      }
    }
    guard !takesAll else {
      return TypicalSamples(header: try header(over: Array(pool.indices), in: representations), samples: pool)
    }
    let points = try representations.load(layer: clusterBlock + 1, samples: Array(pool.indices))
    let clustering = try KMeans(clusterCount: recipe.typical, seed: UInt64(bitPattern: Int64(recipe.seed))).cluster(
      backend.upload(points, columns: configuration.hiddenSize), on: backend,
      progress: { progress("cluster", $0, of: $1, unit: "starts") })
    let chosen = TypicalSampleSelection.first(ofEqualTextsIn: pool, clustering.representatives)
    return TypicalSamples(
      header: try header(over: chosen.map(\.point), in: representations),
      samples: chosen.map { representative in
        var sample = pool[representative.point].sample
        sample.cluster = representative.cluster
        sample.clusterSize = representative.clusterSize
        return EncodedSample(sample: sample, tokens: pool[representative.point].tokens)
      })
  }

  private func header(over chosen: [Int], in representations: RepresentationScratch) throws -> SelectionHeader {
    SelectionHeader(
      model: model.path, clusterLayer: Layer.block(clusterBlock).name, pooling: recipe.poolingOrDefault,
      maxTokens: recipe.maxTokensOrDefault, seed: recipe.seed,
      anchorMedian: try medians(
        of: chosen, in: representations, layers: Layer.all(blocks: model.configuration.blockCount).count))
  }

  private var clusterBlock: Int { recipe.clusterLayer.block(of: model.configuration.blockCount) }

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
private struct RepresentationScratch {
  private let file: ScratchFile
  private let samples: Int
  private let width: Int

  init(directory: String, samples: Int, width: Int) throws(Failure) {
    file = try ScratchFile(in: directory)
    self.samples = samples
    self.width = width
  }

  func store(_ values: [Float], layer: Int, firstSample: Int) throws(Failure) {
    try file.write(values.span.bytes, at: byteOffset(layer: layer, sample: firstSample))
  }

  func load(layer: Int, samples chosen: [Int]) throws(Failure) -> [Float] {
    var values: [Float] = []
    values.reserveCapacity(chosen.count * width)
    var row = [Float](repeating: 0, count: width)
    for sample in chosen {
      var span = row.mutableSpan
      var bytes = span.mutableBytes
      let start = byteOffset(layer: layer, sample: sample)
      try file.read(start..<start + bytes.byteCount, into: &bytes)
      values += row
    }
    return values
  }

  private func byteOffset(layer: Int, sample: Int) -> Int {
    (layer * samples + sample) * width * MemoryLayout<Float>.size
  }
}
