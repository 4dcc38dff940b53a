import Checkpoint
import Compute
import Diagnostics
import Foundation

/// Solves the linear maps of a merge layer by layer, shallow to deep, and writes them; what is no map is fused as ever.
///
/// It follows a `LayerWalk`, whose tensors it uses: the maps of a block are solved in the order of the pass, each on what
/// reaches it through the maps before it, as they are written.
final class LayerAlignment {
  /// What is solved for.
  enum Purpose {
    /// To write the maps: takes them, and keeps how well they were solved for.
    case output(ParameterFusion, MergeDecisions)
    /// To find out how much is lost of what was learned, fitted to one half of the samples and asked about the other; nothing
    /// is written.
    case rehearsal(fold: Int, LearnedTokens)
  }

  /// The halves of the samples.
  static let folds = 0..<2

  private let solution: MapSolution
  private let rule: AlignmentRule
  private let inputs: MergeInputs<Model>
  private let plan: FusionPlan
  private let states: AlignedStates
  private let purpose: Purpose
  private let balance: [Double]
  private let changeWeights: [Double]
  private let checkStop: () throws -> Void
  private var embeddingCoefficients: [Float] = []
  private var lostTokens: [Double]
  private let workspace: AlignmentWorkspace
  private let arithmetic: FitArithmetic
  private let configuration: ModelConfiguration
  private let backend: any ComputeBackend

  /// Prepares the alignment.
  ///
  /// - Parameters:
  ///   - alignment: The rule, and the models with the base.
  ///   - inputs: The models.
  ///   - plan: What is made of what.
  ///   - groups: The samples.
  ///   - balance: v, how much every group counts.
  ///   - purpose: What is solved for.
  ///   - checkStop: Throws when the merge is to stop; asked between parts of a layer.
  ///   - backend: The device.
  /// - Throws: `DeviceError` when the device has no memory for it.
  init(
    _ alignment: AlignmentPlan, inputs: MergeInputs<Model>, plan: FusionPlan, groups: [SampleGroup], balance: [Double],
    purpose: Purpose, checkStop: @escaping () throws -> Void, on backend: any ComputeBackend
  ) throws(DeviceError) {
    solution = alignment.solution
    rule = alignment.rule
    self.inputs = inputs
    self.plan = plan
    self.balance = balance
    self.purpose = purpose
    self.checkStop = checkStop
    self.backend = backend
    changeWeights = LayerAlignment.weights(ofModels: inputs.experts.count, groups, balance)
    lostTokens = [Double](repeating: 0, count: groups.count)
    configuration = inputs.reference.model.configuration
    workspace = AlignmentWorkspace(on: backend)
    arithmetic = FitArithmetic(workspace, on: backend)
    let fold: Int? = if case .rehearsal(let fold, _) = purpose { fold } else { nil }
    states = try AlignedStates(
      groups, fold: fold, models: inputs.experts.map(\.model), reference: inputs.reference.model,
      hasMergedPath: solution == .aligned, on: backend)
  }

  /// What every model counts: the mean of its groups, and 1 without any.
  static func weights(ofModels models: Int, _ groups: [SampleGroup], _ balance: [Double]) -> [Double] {
    (0..<models).map { model in
      let own = zip(groups, balance).filter { $0.0.model == model }.map(\.1)
      return own.isEmpty ? 1 : own.reduce(0, +) / Double(own.count)
    }
  }

  /// After a rehearsal has visited the head: how many learned tokens a text of every group has lost, on average.
  var lost: [Double] {
    lostTokens.enumerated().map { group, lost in
      let texts = states.parts.filter { $0.group == group && $0.isMeasured }.reduce(0) { $0 + $1.texts.count }
      return lost / Double(max(texts, 1))
    }
  }

  /// Solves and writes the maps of a layer, and brings the streams behind it.
  ///
  /// - Parameters:
  ///   - decided: The layer that the walk visits, with the weight of every model there.
  ///   - resident: The tensors of the layer of every model and companion.
  /// - Returns: How well each map was solved; their tensors need no fusion any more.
  /// - Throws: `Failure` or `DeviceError`.
  func align(_ decided: LayerWeights, resident: [ResidentTensors]) throws -> [MapAlignment] {
    let coefficients = coefficients(decided.weights)
    switch decided.layer {
    case .embedding:
      let type = try elementType(of: plan.tensor(configuration.stem.embedding))
      embeddingCoefficients = coefficients
      try states.embed(inputs.read.map(\.model)) { rows in try fused(rows, coefficients, type) }
      return []
    case .block(let number): return try align(block: number, coefficients, resident)
    case .head: return try align(head: coefficients, resident)
    case .whole: return []
    }
  }

  private func coefficients(_ weights: [Double]) -> [Float] {
    let used = plan.coefficients(weights).map(Float.init)
    // A base that takes no part in sums is read all the same, for the changes of weights.
    return used + [Float](repeating: 0, count: inputs.read.count - used.count)
  }

  // MARK: A block

  /// Solves the maps of a block stage by stage, each with what the stages before it make of the samples.
  private func align(
    block number: Int, _ coefficients: [Float], _ resident: [ResidentTensors]
  ) throws -> [MapAlignment] {
    let block = configuration.blocks[number]
    let experts = try resident.map { try LayerTensors($0, norms: block.norms, on: backend) }
    var merged = try fused(block.tensorsBesideMaps, of: experts, coefficients)
    var alignments: [MapAlignment] = []
    for stage in block.stages {
      try checkStop()
      let tensors = try stage.tensors.map(plan.tensor)
      let sources = try stage.tensors.map { tensor in try experts.map { expert in try expert(tensor) } }
      let known = try LayerTensors(merged, norms: block.norms, on: backend)
      let fit = isFitting ? StageFit(stage, of: block, number: number, experts: experts, merged: known) : nil
      let solved = try solve(tensors, sources: sources, coefficients, rule: rule, fit: fit) {
        body throws(DeviceError) in
        try states.forEachInput(of: stage, block: number, tensors: experts, merged: known, body)
      }
      for (tensor, solved) in zip(stage.tensors, solved) {
        merged[tensor.name] = solved.matrix
        alignments.append(solved.alignment)
      }
      if stage.isAdded {
        let known = try LayerTensors(merged, norms: block.norms, on: backend)
        try states.advance(through: stage, block: number, tensors: experts, merged: known)
      }
    }
    return alignments
  }

  // MARK: The head

  private func align(head coefficients: [Float], _ resident: [ResidentTensors]) throws -> [MapAlignment] {
    let stem = configuration.stem
    let norms = try resident.map { try LayerTensors($0, norms: [stem.finalNorm], on: backend) }
    let mergedNorm = try LayerTensors(
      fused(stem.finalNorm.tensors, of: norms, coefficients), norms: [stem.finalNorm], on: backend)
    if stem.tiesHead {
      guard case .rehearsal = purpose else { return [] }
      let type = try elementType(of: plan.tensor(stem.embedding))
      try measure(head: fused(heads(), embeddingCoefficients, type), norm: mergedNorm)
      return []
    }
    // Samples only say something of tokens that a model learned to predict, and nobody knows which those are.
    var rule = rule
    if solution == .aligned, rule.share < 1 { rule.share = 0 }
    let solved = try solve([plan.tensor(stem.head)], sources: [heads()], coefficients, rule: rule) {
      body throws(DeviceError) in
      guard rule.share > 0 else { return }
      try states.forEachHeadInput(norms: norms, mergedNorm: mergedNorm, body)
    }
    if let head = solved.first?.matrix { try measure(head: head, norm: mergedNorm) }
    return solved.map(\.alignment)
  }

  private func heads() throws -> [Matrix] {
    try inputs.read.map { input in
      try DeviceTensors(input.model.directory, on: backend).load(
        configuration.stem.head.name, recording: input.digester)
    }
  }

  /// In a rehearsal, asks the merged model about the samples that it was not fitted to.
  private func measure(head: Matrix, norm: LayerTensors) throws {
    guard case .rehearsal(_, let learned) = purpose else { return }
    for part in states.parts where part.isMeasured {
      let scores = try states.scores(of: part, head: head, norm: norm, model: "a merge that is tried")
      for (text, scores) in zip(part.texts, scores) {
        lostTokens[part.group] += learned.lost(
          of: part.group, text: text, probabilities: scores.map { exp($0.logProbability) })
      }
    }
  }

  // MARK: Maps

  private typealias InputBody = (AlignedStates.Part, AlignedStates.MapInputs) throws(DeviceError) -> Void

  /// Solves the maps that share their inputs, or reads back those that an earlier run has written.
  private func solve(
    _ tensors: [PlannedTensor], sources: [[Matrix]], _ coefficients: [Float], rule: AlignmentRule,
    fit: StageFit? = nil, forEachInput: (_ body: InputBody) throws(DeviceError) -> Void
  ) throws -> [(matrix: Matrix, alignment: MapAlignment)] {
    let maps = zip(tensors, sources).map { tensor, sources in
      JointMap(
        tensor: tensor, sources: sources, models: inputs.experts.count, base: inputs.base?.place, fusion: coefficients)
    }
    let known = try maps.map { map in try earlier(map) }
    // Of two maps that are fitted together, one that is known helps nothing to find the other.
    let pair = fit != nil && known.prefix(2).contains { $0 == nil } ? 0..<2 : 0..<0
    let isAwaited = known.indices.map { known[$0] == nil || pair.contains($0) }
    let system = MapSystem(maps, rule: rule, balance: changeWeights, workspace: workspace, on: backend)
    let fitted = pair.isEmpty ? nil : FitSamples(tokens: states.fittedTokens, width: maps[0].inputs, arithmetic)
    if isAwaited.contains(true) { try gather(forEachInput, into: system, fitted) }
    var alignments = try maps.indices.map { number in
      isAwaited[number] ? try system.solve(number, keepsFactor: pair.contains(number)) : known[number]?.alignment
    }
    if let fit, let fitted {
      let found = try fit.run(
        system, fitted, states, evaluations: rule.fitSteps, arithmetic, checkStop: checkStop)
      for number in pair { alignments[number]?.fit = found }
    }
    return try maps.indices.map { number in
      if let known = known[number] { return known }
      guard let alignment = alignments[number] else { throw missing(maps[number].tensor.layout.name) }
      let map = maps[number]
      let out = try backend.allocate(rows: map.outputs, columns: map.inputs, elementType(of: map.tensor))
      let nonFinite = try system.form(number, into: out)
      guard case .output(let fusion, let decisions) = purpose else {
        return (try out.asWeights(on: backend), alignment)
      }
      try decisions.keep(alignment)
      // The base takes part in no sum that could say whose values they are.
      let counts = Array(nonFinite.prefix(plan.models.count)) + nonFinite.suffix(1)
      try fusion.write(map.tensor, out, nonFinite: counts)
      return (try out.asWeights(on: backend), alignment)
    }
  }

  /// Whether maps whose outputs meet are fitted together.
  private var isFitting: Bool { solution == .aligned && rule.fits && states.fittedTokens > 0 }

  /// Takes all samples into a system.
  private func gather(
    _ inputs: (_ body: InputBody) throws(DeviceError) -> Void, into system: MapSystem, _ fitted: FitSamples?
  ) throws(DeviceError) {
    switch solution {
    case .aligned:
      try inputs { part, given throws(DeviceError) in
        try system.add(given, of: part.model, weight: Float(balance[part.group]))
        try fitted?.add(given, of: part.model, weight: balance[part.group])
      }
    case .regressionMean:
      let mean = RegressionMean(system)
      try inputs { part, given throws(DeviceError) in
        let samples = states.parts.reduce(0) { $0 + ($1.model == part.model ? $1.texts.count : 0) }
        try mean.add(given.own, of: part.model, samples: samples)
      }
      try mean.finishExpert()
    }
  }

  /// A map that an earlier run has solved and written.
  private func earlier(_ map: JointMap) throws -> (matrix: Matrix, alignment: MapAlignment)? {
    guard case .output(let fusion, let decisions) = purpose,
      let alignment = decisions.alignment(of: map.tensor.layout.name),
      let written = try fusion.written(map.tensor, rows: map.outputs, columns: map.inputs)
    else { return nil }
    return (try written.asWeights(on: backend), alignment)
  }

  private func elementType(of tensor: PlannedTensor) throws(Failure) -> ElementType {
    try ElementType(stored: tensor.layout.type, of: tensor.layout.name)
  }

  /// Tensors of the merged model that are no maps, as they are written.
  private func fused(
    _ tensors: [TensorSpec], of experts: [LayerTensors], _ coefficients: [Float]
  ) throws -> ResidentTensors {
    var merged: ResidentTensors = [:]
    for tensor in tensors {
      let sources = try experts.map { try $0(tensor) }
      merged[tensor.name] = try fused(sources, coefficients, elementType(of: plan.tensor(tensor)))
    }
    return merged
  }

  /// A weighted sum of tensors, as it is written.
  private func fused(_ sources: [Matrix], _ coefficients: [Float], _ type: ElementType) throws -> Matrix {
    let out = try backend.allocate(rows: sources[0].rows, columns: sources[0].columns, type)
    let used = coefficients.indices.filter { coefficients[$0] != 0 || $0 < inputs.experts.count }
    try backend.weightedSum(used.map { sources[$0] }, weights: used.map { coefficients[$0] }, into: out)
    return try out.asWeights(on: backend)
  }

  private func missing(_ name: String) -> Failure {
    Failure(.internalError, operation: "align the layers", subject: name, expected: "a tensor", got: "none")
  }
}

extension FusionPlan {
  /// What is planned for a tensor of a layer.
  fileprivate func tensor(_ spec: TensorSpec) throws(Failure) -> PlannedTensor {
    if let tensor = tensors.first(where: { $0.layout.name == spec.name }) { return tensor }
    throw Failure(
      .internalError, operation: "align the layers", subject: spec.name, expected: "a planned tensor", got: "none")
  }
}
