import Compute

/// Samples packed into batches: on a kind of device the same batches for every model and memory budget, because the order of
/// float sums inside a matrix product may depend on what is multiplied together.
public struct SampleBatches {
  /// Some samples, packed.
  struct Batch {
    let samples: Range<Int>
    let tokens: Range<Int>
    let sequences: PackedSequences
  }

  /// A batch is closed before it would hold more tokens than this; a longer text is a batch of its own.
  ///
  /// A processor's caches hold the activations of few tokens. A GPU has a hundred units to keep busy: with 1024 rows a
  /// product of 4096 columns has one tile for each of them, and every kernel between products costs as much to start as to
  /// run.
  static func tokensPerBatch(on kind: DeviceDescription.Kind) -> Int { kind == .processor ? 1024 : 4096 }

  /// The batches in order.
  let batches: [Batch]
  /// The token identifiers of all samples.
  let tokenIdentifiers: [Int32]
  /// The number of samples.
  public let sampleCount: Int

  /// The tokens of the largest batch.
  let largestBatch: Int
  /// The tokens of the longest text.
  let longestText: Int

  /// Packs samples and puts their layout on a device.
  ///
  /// - Throws: `DeviceError` when the device has no memory for it.
  public init(_ samples: [EncodedSample], on backend: any ComputeBackend) throws(DeviceError) {
    try self.init(samples.map(\.tokens), on: backend)
  }

  /// Packs texts that are given by their token identifiers.
  init(_ texts: [[Int32]], on backend: any ComputeBackend) throws(DeviceError) {
    let lengths = texts.map(\.count)
    var start = 0
    batches = try SampleBatches.groups(lengths: lengths, on: backend.device.kind).map { group throws(DeviceError) in
      let tokens = start..<start + lengths[group].reduce(0, +)
      start = tokens.upperBound
      let sequences = try PackedSequences(lengths: Array(lengths[group]), on: backend)
      return Batch(samples: group, tokens: tokens, sequences: sequences)
    }
    tokenIdentifiers = texts.flatMap { $0 }
    sampleCount = texts.count
    largestBatch = batches.map(\.tokens.count).max() ?? 0
    longestText = lengths.max() ?? 0
  }

  /// Which consecutive samples are run in one pass, so that their residual streams fit a budget; cut only where batches end.
  static func passes(lengths: [Int], width: Int, byteBudget: Int, on kind: DeviceDescription.Kind) -> [Range<Int>] {
    var passes: [Range<Int>] = []
    var taken = 0
    for group in groups(lengths: lengths, on: kind) {
      let bytes = lengths[group].reduce(0, +) * width * ElementType.float32.byteCount
      if let last = passes.last, taken + bytes <= byteBudget {
        passes[passes.count - 1] = last.lowerBound..<group.upperBound
        taken += bytes
      } else {
        passes.append(group)
        taken = bytes
      }
    }
    return passes
  }

  /// The most tokens that a batch can have, however some of the texts are packed.
  static func mostTokens(lengths: [Int], on kind: DeviceDescription.Kind) -> Int {
    max(lengths.max() ?? 0, min(tokensPerBatch(on: kind), lengths.reduce(0, +)))
  }

  /// The tokens of the largest batch of texts packed in their order.
  static func largestBatch(lengths: [Int], on kind: DeviceDescription.Kind) -> Int {
    groups(lengths: lengths, on: kind).map { lengths[$0].reduce(0, +) }.max() ?? 0
  }

  /// Which consecutive samples share a batch.
  package static func groups(lengths: [Int], on kind: DeviceDescription.Kind) -> [Range<Int>] {
    let tokensPerBatch = tokensPerBatch(on: kind)
    var groups: [Range<Int>] = []
    var start = 0
    var tokens = 0
    for (sample, length) in lengths.enumerated() {
      if sample > start, tokens + length > tokensPerBatch {
        groups.append(start..<sample)
        start = sample
        tokens = 0
      }
      tokens += length
    }
    if start < lengths.count { groups.append(start..<lengths.count) }
    return groups
  }
}
