import Compute
import Diagnostics

/// The part of a merge that solves for its linear maps: first what every group of samples has to count, then the maps.
struct AlignedMerge {
  /// Walks the layers of all models, weighed, shallow to deep.
  typealias Walk = (_ visit: (LayerWeights, [ResidentTensors]) throws -> Void) throws -> Void

  let alignment: AlignmentPlan
  let inputs: MergeInputs<Model>
  let plan: FusionPlan
  /// The samples that maps are fitted to.
  let groups: [SampleGroup]
  let decisions: MergeDecisions
  /// How many bytes a residual stream may take.
  let stateBudget: Int
  let backend: any ComputeBackend
  /// Throws when the merge is to stop.
  let checkStop: () throws -> Void
  let progress: MergeProgress

  /// Finds how much every group of samples has to count, or takes what an earlier run found.
  ///
  /// - Parameter walk: Walks the layers, once for every rehearsal.
  /// - Returns: A weight for each group; 1 for those in which nothing was learned that could be lost.
  /// - Throws: `Failure` or `DeviceError`.
  func balance(_ walk: Walk) throws -> [Double] {
    let equal = [Double](repeating: 1, count: groups.count)
    let rehearsals = alignment.rehearsals
    guard rehearsals > 0, groups.count > 1 else { return equal }
    if let known = decisions.balance(of: groups.count) { return known }
    do {
      let learned = try LearnedTokens(groups, inputs: inputs, stateBudget: stateBudget, on: backend) {
        try checkStop()
        progress("learned", $0, of: $1, unit: "layers")
      }
      let measurable = learned.measurable
      func all(_ weights: [Double]) -> [Double] {
        var all = equal
        for (group, weight) in zip(measurable, weights) { all[group] = weight }
        return all
      }
      var done = 0
      let found = try SampleBalance.find(groups: measurable.count) { weights in
        let lost = try decisions.lost(counting: all(weights)) ?? rehearse(all(weights), learned, walk)
        done += LayerAlignment.folds.count
        progress("balance", done, of: rehearsals, unit: "rehearsals")
        return measurable.map { lost[$0] }
      }
      try decisions.keep(balance: all(found))
      return all(found)
    } catch let failure as Failure where failure.category == .badData {
      // A half of the samples may be too few, and logits matter to no merge that is not asked what it has lost.
      throw Failure(
        failure.category, operation: failure.operation, subject: failure.subject, expected: failure.expected,
        got: failure.got, advice: "\(failure.advice) Without rehearsals, by --balance equal, it may not matter.")
    }
  }

  /// Merges with some weights on each half of the samples, and asks about the other.
  private func rehearse(_ weights: [Double], _ learned: LearnedTokens, _ walk: Walk) throws -> [Double] {
    let folds = try LayerAlignment.folds.map { fold in
      let rehearsal = try solver(balance: weights, for: .rehearsal(fold: fold, learned))
      try walk { layer, resident in _ = try rehearsal.align(layer, resident: resident) }
      return rehearsal.lost
    }
    let lost = groups.indices.map { group in folds.reduce(0) { $0 + $1[group] } / Double(folds.count) }
    try decisions.keep(lost: lost, counting: weights)
    return lost
  }

  /// Solves and writes the maps, and fuses all else.
  ///
  /// - Parameters:
  ///   - balance: How much every group counts.
  ///   - fusion: Takes what is written.
  ///   - walk: Walks the layers, once.
  /// - Returns: The layers, with how well their maps were solved for.
  /// - Throws: `Failure` or `DeviceError`.
  func fuse(balance: [Double], with fusion: ParameterFusion, _ walk: Walk) throws -> [LayerWeights] {
    let solver = try solver(balance: balance, for: .output(fusion, decisions))
    var layers: [LayerWeights] = []
    try walk { layer, resident in
      var solved = layer
      solved.alignment = try solver.align(layer, resident: resident)
      layers.append(solved)
      let names = Set(solved.alignment.map(\.tensor))
      let rest = plan.tensors(of: layer.layer).filter { !names.contains($0.layout.name) }
      try fusion.fuse(rest, weights: [layer.layer: layer.weights], resident: resident)
    }
    return layers
  }

  private func solver(balance: [Double], for purpose: LayerAlignment.Purpose) throws(DeviceError) -> LayerAlignment {
    try LayerAlignment(
      alignment, inputs: inputs, plan: plan, groups: groups, balance: balance, purpose: purpose,
      checkStop: checkStop, on: backend)
  }
}
