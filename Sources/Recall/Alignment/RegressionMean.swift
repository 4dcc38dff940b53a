import Compute

/// The sums of RegMean, one expert after the other.
///
///     W = (Σ Ĝ_i)⁻¹ Σ Ĝ_i W_i     G_i = X_iᵀX_i / samples, with everything but its diagonal scaled by 0.9
///
/// X_i is what reaches expert i's own map on its own samples. The system of W − P, P the plain mean, has the same solution,
/// and where the samples say nothing, a ridge too small to matter elsewhere makes it P.
final class RegressionMean {
  /// What the paper scales by, so that the system is as good as never singular.
  private static let offDiagonal = 0.9
  /// In units of the mean diagonal: enough for directions that no sample has.
  static let ridge = 1e-5

  private let system: MapSystem
  private var expert: (number: Int, samples: Int)?

  /// Starts with the empty sums of a system.
  init(_ system: MapSystem) { self.system = system }

  /// Takes in some inputs of an expert; those of one expert come one after another.
  ///
  /// - Parameters:
  ///   - inputs: X, `float32 [tokens, in]`.
  ///   - number: The expert.
  ///   - samples: How many samples the expert has.
  /// - Throws: `DeviceError`.
  func add(_ inputs: Matrix, of number: Int, samples: Int) throws(DeviceError) {
    let isFirst = expert?.number != number
    if isFirst { try finishExpert() }
    expert = (number, samples)
    try system.gather(inputs, keeping: isFirst ? 0 : 1)
  }

  /// Adds the Gram matrix of the last expert to the sums.
  ///
  /// - Throws: `DeviceError`.
  func finishExpert() throws(DeviceError) {
    guard let expert else { return }
    // The solution is the same for 1 / 0.9 of everything.
    try system.addGathered(
      of: expert.number, weight: 1 / Float(expert.samples),
      diagonal: Float((1 - RegressionMean.offDiagonal) / RegressionMean.offDiagonal))
    self.expert = nil
  }
}
