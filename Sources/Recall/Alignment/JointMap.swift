import Compute

/// One linear map of all models, `[out, in]`, on the device: every matrix that is made of them is a weighted sum.
struct JointMap {
  /// What the map is in the output.
  let tensor: PlannedTensor
  /// W_i of every model as stored, and the base's W behind them where it is not one of the models.
  let sources: [Matrix]
  /// How many of the sources are models.
  let models: Int
  /// Which of the sources is the base; `nil` without a base.
  let base: Int?
  /// How much every source counts in P.
  let fusion: [Float]

  /// The number of outputs.
  var outputs: Int { sources[0].rows }
  /// The number of inputs.
  var inputs: Int { sources[0].columns }

  /// What W_i is a sum of.
  func expert(_ index: Int) -> [Float] { sources.indices.map { $0 == index ? 1 : 0 } }

  /// What the changes of weights start from: the base, or without one the models' mean.
  var origin: [Float] {
    if let base { return expert(base) }
    return sources.indices.map { $0 < models ? 1 / Float(models) : 0 }
  }

  /// What δ_i is a sum of.
  func change(of index: Int) -> [Float] { zip(expert(index), origin).map(-) }

  /// What W_i − P is a sum of.
  func distance(of index: Int) -> [Float] { zip(expert(index), fusion).map(-) }

  /// Forms some rows of a weighted sum of the sources.
  ///
  /// - Parameters:
  ///   - weights: One for each source.
  ///   - rows: Which rows.
  ///   - out: `[rows, in]` in any floating type.
  ///   - backend: The device.
  /// - Throws: `DeviceError`.
  func form(
    _ weights: [Float], rows: Range<Int>, into out: Matrix, on backend: any ComputeBackend
  ) throws(DeviceError) {
    let used = weights.indices.filter { weights[$0] != 0 }
    // A sum of nothing is 0 times anything finite.
    let terms = used.isEmpty ? [0] : used
    try backend.weightedSum(
      terms.map { source throws(DeviceError) in try sources[source].rows(rows) }, weights: terms.map { weights[$0] },
      into: out)
  }
}
