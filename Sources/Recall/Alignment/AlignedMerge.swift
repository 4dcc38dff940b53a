import Compute

/// The part of a merge that solves for its linear maps: first what every group of samples has to count, then the maps.
struct AlignedMerge {
  /// Walks the layers of all models, weighed, shallow to deep.
  typealias Walk = (_ visit: (LayerWeights, [ResidentTensors]) throws -> Void) throws -> Void

  let alignment: AlignmentPlan
  let inputs: MergeModels
  let plan: FusionPlan
  /// The samples that maps are fitted to.
  let groups: [SampleGroup]
  let decisions: MergeDecisions
  /// How many bytes a residual stream may take.
  let stateBudget: Int
  let backend: any ComputeBackend
  let progress: MergeProgress

  /// Finds how much every group of samples has to count, or takes what an earlier run found.
  ///
  /// - Parameter walk: Walks the layers, once for every rehearsal.
  /// - Returns: A weight for each group.
  /// - Throws: `Failure` or `DeviceError`.
  func balance(_ walk: Walk) throws -> [Double] {
    let equal = [Double](repeating: 1, count: groups.count)
    let rehearsals = alignment.rehearsals(anchor: inputs.anchor)
    guard rehearsals > 0, groups.count > 1 else { return equal }
    if let known = decisions.balance(of: groups.count) { return known }
    let learned = try LearnedTokens(groups, inputs: inputs, stateBudget: stateBudget, on: backend)
    var done = 0
    let found = try SampleBalance.find(groups: groups.count) { weights in
      let folds = try LayerAlignment.folds.map { fold in
        let rehearsal = try solver(balance: weights, for: .rehearsal(fold: fold, learned))
        try walk { layer, resident in _ = try rehearsal.align(layer, resident: resident) }
        done += 1
        progress("balance", done, of: rehearsals, unit: "rehearsals")
        return rehearsal.lost
      }
      return groups.indices.map { group in folds.reduce(0) { $0 + $1[group] } / Double(folds.count) }
    }
    try decisions.keep(balance: found)
    return found
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
      alignment, inputs: inputs, plan: plan, groups: groups, balance: balance, purpose: purpose, on: backend)
  }
}
