import Foundation

/// Finds how much every group of samples has to count in a merge so that as little as possible is lost in all.
///
/// What is lost of each group is only known by trying. If it fell in inverse proportion to what the group counts, the sum would
/// be least where groups count as what is lost of them: half the way there, in logarithms, is the first step. From there
/// every group is changed once by itself; the logarithm of what is lost is taken as linear in the logarithms of what groups
/// count, and the sum of that model is made least within a trusted range. The better of both is kept, as it was tried.
public struct SampleBalance {
  /// Tells, of what every group counts (mean 1), how much of each is lost.
  public typealias Trial = (_ weights: [Double]) throws -> [Double]

  /// How much of the mean loss is added to every group's before the first step, so that no group comes down to nothing.
  private static let firstFloor = 0.1
  /// What a group is multiplied or divided by to find out what depends on it.
  private static let probe = 1.6
  /// The largest factor that the model of the probes is trusted for.
  private static let trust = 2.5
  /// A loss that is as good as none, in tokens of a text.
  private static let negligible = 0.01
  /// How fast trust falls with the distance from what was tried: the share of all that is lost which a step of 1 costs, twice.
  private static let caution = 0.2
  private static let (descentSteps, descentRate) = (4000, 0.05)

  /// How often groups are tried.
  public static func trials(of groups: Int) -> Int { groups > 1 ? groups + 3 : 0 }

  /// Finds the weights.
  ///
  /// - Parameters:
  ///   - groups: The number of groups.
  ///   - trial: Tries weights; it is asked `trials(of:)` times at most.
  /// - Returns: What every group counts; the mean is 1.
  /// - Throws: What `trial` throws.
  public static func find(groups: Int, trial: Trial) rethrows -> [Double] {
    let equal = [Double](repeating: 1, count: groups)
    guard groups > 1 else { return equal }
    let lost = try trial(equal)
    let mean = lost.reduce(0, +) / Double(groups)
    guard mean > 0 else { return equal }
    let first = normalised(lost.map { ($0 / mean + firstFloor).squareRoot() })
    let lostFirst = try trial(first)
    let responses = try first.indices.map { group in
      let factor = lostFirst[group] >= lostFirst.reduce(0, +) / Double(groups) ? probe : 1 / probe
      var probed = first
      probed[group] *= factor
      let lost = try trial(normalised(probed))
      return zip(lost, lostFirst).map { log(($0 + negligible) / ($1 + negligible)) / log(factor) }
    }
    let steps = leastSum(lostFirst.map { $0 + negligible }, responses: responses)
    let last = normalised(zip(first, steps).map { $0 * exp($1) })
    let tried = [(equal, lost), (first, lostFirst), (last, try trial(last))]
    return tried.min { $0.1.reduce(0, +) < $1.1.reduce(0, +) }?.0 ?? last
  }

  private static func normalised(_ weights: [Double]) -> [Double] {
    let mean = weights.reduce(0, +) / Double(weights.count)
    return weights.map { $0 / mean }
  }

  /// The steps d, in logarithms, at which Σ_i lost_i exp(Σ_j responses_j,i d_j) / Σ_i lost_i + caution/2 ‖d‖² is least: a
  /// convex function, descended from 0 among steps that sum to 0.
  ///
  /// - Parameters:
  ///   - lost: What is lost of every group before any step.
  ///   - responses: For each group that was probed, the slope of the logarithm of every group's loss.
  /// - Returns: A step for each group, within the trusted range.
  private static func leastSum(_ lost: [Double], responses: [[Double]]) -> [Double] {
    var steps = [Double](repeating: 0, count: lost.count)
    let total = lost.reduce(0, +)
    // Steep responses take smaller steps: a bound of the curvature about the start says how small.
    let steepest = lost.indices.map { group in responses.reduce(0) { $0 + $1[group] * $1[group] } }.max() ?? 0
    let rate = min(descentRate, 1 / (caution + 2 * steepest))
    for _ in 0..<descentSteps {
      let expected = lost.indices.map { group in
        lost[group] * exp(steps.indices.reduce(0) { $0 + responses[$1][group] * steps[$1] })
      }
      for (probed, slopes) in responses.enumerated() {
        let slope = zip(slopes, expected).reduce(0) { $0 + $1.0 * $1.1 } / total
        steps[probed] -= rate * (slope + caution * steps[probed])
      }
      let mean = steps.reduce(0, +) / Double(steps.count)
      steps = steps.map { min(max($0 - mean, -log(trust)), log(trust)) }
    }
    return steps
  }
}
