import Checkpoint
import Compute
import Diagnostics
import JSON

/// A tensor of the output and what it is made of.
public struct PlannedTensor: Sendable {
  /// Name, stored type and shape in the output.
  public let layout: TensorLayout
  /// Whether it is fused or copied.
  public let rule: TensorRule
  /// The tensor of each model that it is fused from, in the canonical order; of the reference alone when it is copied.
  public let sources: [TensorRecord]

  /// Whether the tensor is fused.
  public var isFused: Bool { if case .fused = rule { true } else { false } }
}

/// The base among the inputs of a fusion, and how far from it the result is taken: `base + scale · (Σ wᵢ θᵢ − base)`.
public struct FusionOrigin: Sendable, Equatable {
  /// The place of the base among the inputs of every sum.
  let input: Int
  /// λ, what the fused change is multiplied by.
  let scale: Double
}

/// Every tensor of the output, decided before the first byte is written.
public struct FusionPlan: Sendable {
  /// What every sum runs over: the models in canonical order, and behind them the base, where it takes part and is none of
  /// them.
  public let models: [ModelDirectory]
  /// The base among them; `nil` where none takes part.
  let origin: FusionOrigin?
  /// Which of the models, or which other model, gives shard layout, element types and copied tensors.
  public let reference: ModelDirectory
  /// The output's files and tensors.
  public let shards: [ShardLayout]
  /// All tensors, in the order of the reference's files.
  public let tensors: [PlannedTensor]

  /// Plans a fusion with weights of their own for every layer, of models whose configurations agree.
  ///
  /// - Parameters:
  ///   - models: The models in canonical order, and the base behind them where it takes part and is none of them.
  ///   - origin: The base among them, and the scale of the fused change; `nil` where no base takes part.
  ///   - reference: The model that gives layout and element types.
  ///   - elementType: The type of every fused tensor; `nil` for that of the reference, tensor by tensor.
  /// - Throws: `Failure` of category `badData` that names a tensor that some model lacks or has in another shape.
  public init(
    models: [Model], origin: FusionOrigin? = nil, reference: Model, elementType: ElementType?
  ) throws(Failure) {
    try self.init(
      models.map(\.directory), origin: origin, reference: reference.directory,
      assignment: LayerAssignment(reference.configuration), elementType: elementType)
  }

  /// Plans a fusion of models that need not be understood.
  ///
  /// - Parameters:
  ///   - models: As for the other plan.
  ///   - origin: As for the other plan.
  ///   - reference: As for the other plan.
  ///   - assignment: The layers of the tensors, where they have weights of their own; `nil` for the same weights for all.
  ///   - elementType: As for the other plan.
  /// - Throws: `Failure` as the other plan does, and for tensors that have no weighted mean: quantised ones, and integers in
  ///   which the models differ.
  public init(
    models: [ModelDirectory], origin: FusionOrigin? = nil, reference: ModelDirectory,
    assignment: LayerAssignment? = nil, elementType: ElementType?
  ) throws(Failure) {
    try self.init(models, origin: origin, reference: reference, assignment: assignment, elementType: elementType)
    for model in models { try FusionPlan.checkCopies(copied, of: reference, in: model) }
  }

  private init(
    _ models: [ModelDirectory], origin: FusionOrigin?, reference: ModelDirectory, assignment: LayerAssignment?,
    elementType: ElementType?
  ) throws(Failure) {
    var shards: [ShardLayout] = []
    var tensors: [PlannedTensor] = []
    for shard in reference.checkpoint.layout {
      let planned = try shard.tensors.map { tensor throws(Failure) in
        try FusionPlan.plan(
          tensor, models: models, reference: reference, assignment: assignment, elementType: elementType)
      }
      shards.append(ShardLayout(fileName: shard.fileName, tensors: planned.map(\.layout)))
      tensors += planned
    }
    self.models = models
    self.origin = origin
    self.reference = reference
    self.shards = shards
    self.tensors = tensors
    try FusionPlan.checkNothingIsLost(models: models, tensors: tensors)
  }

  /// The base's place among the inputs.
  ///
  /// - Throws: `Failure` of category `internalError` for a plan without one.
  func base() throws(Failure) -> Int {
    if let origin { return origin.input }
    throw Failure(
      .internalError, operation: "plan the fusion", subject: "the base", expected: "one among the inputs", got: "none")
  }

  /// What every input counts in a sum: `S · wᵢ`, and `1 − S` more for the base, where one takes part.
  ///
  /// - Parameter weights: The weight of every model, or of every input.
  /// - Returns: One coefficient for each input.
  func coefficients(_ weights: [Double]) -> [Double] {
    guard let origin else { return weights }
    var coefficients = weights.map { $0 * origin.scale }
    coefficients += [Double](repeating: 0, count: models.count - weights.count)
    coefficients[origin.input] += 1 - origin.scale
    return coefficients
  }

  /// The tensors that the weights of a layer fuse.
  public func tensors(of layer: Layer) -> [PlannedTensor] { tensors.filter { $0.rule == .fused(layer) } }

  /// The tensors that are copied.
  public var copied: [PlannedTensor] {
    tensors.filter { !$0.isFused }
  }

  /// The bytes of all tensors of the output.
  public var outputByteCount: Int {
    tensors.reduce(0) { $0 + ($1.layout.type.byteCount(shape: $1.layout.shape) ?? 0) }
  }

  /// The bytes of all tensors that the output is made of, each counted once.
  public var inputByteCount: Int {
    let adapters = models.reduce(0) { $0 + ($1.adapter?.factorByteCount ?? 0) }
    return adapters + tensors.reduce(0) { $0 + $1.sources.reduce(0) { $0 + $1.byteRange.count } }
  }

  private static func plan(
    _ tensor: TensorLayout, models: [ModelDirectory], reference: ModelDirectory, assignment: LayerAssignment?,
    elementType: ElementType?
  ) throws(Failure) -> PlannedTensor {
    let original = [reference.checkpoint.tensor(named: tensor.name)].compactMap { $0 }
    guard tensor.type.isFloatingPoint else {
      return PlannedTensor(layout: tensor, rule: .copied(.notFloatingPoint), sources: original)
    }
    guard !LayerAssignment.isRotaryTable(tensor.name) else {
      return PlannedTensor(layout: tensor, rule: .copied(.rotaryTable), sources: original)
    }
    guard let layer = assignment.map({ $0.layer(of: tensor.name) }) ?? .whole else {
      throw Failure(
        .badData, operation: "plan the fusion", subject: "tensor \(tensor.name)", expected: "a tensor of some layer",
        got: "one of none")
    }
    let sources = try models.map { model throws(Failure) in
      guard let source = model.source(of: tensor.name), source.shape == tensor.shape else {
        throw Failure(
          .badData, operation: "plan the fusion", subject: "\(model.path), tensor \(tensor.name)",
          expected: "shape \(tensor.shape)",
          got: model.source(of: tensor.name).map { "\($0.shape)" } ?? "no such tensor")
      }
      guard ElementType(source.type) != nil else {
        throw Failure(
          .badData, operation: "plan the fusion", subject: "\(model.path), tensor \(tensor.name)",
          expected: "F64, F32, F16 or BF16", got: source.type.rawValue,
          advice: "Merge the model in its original precision and quantise the result.")
      }
      return source
    }
    let type = elementType?.storedType ?? tensor.type
    return PlannedTensor(
      layout: TensorLayout(name: tensor.name, type: type, shape: tensor.shape), rule: .fused(layer), sources: sources)
  }

  /// Every floating point tensor of every model takes part; only what is copied anyway may be missing from the reference.
  private static func checkNothingIsLost(models: [ModelDirectory], tensors: [PlannedTensor]) throws(Failure) {
    let planned = Set(tensors.map { ExactString($0.layout.name) })
    for model in models {
      for tensor in model.checkpoint.tensors
      where tensor.type.isFloatingPoint && !LayerAssignment.isRotaryTable(tensor.name)
        && !planned.contains(ExactString(tensor.name))
        && !model.isTiedHead(tensor.name)
      {
        throw Failure(
          .badData, operation: "plan the fusion", subject: "\(model.path), tensor \(tensor.name)",
          expected: "a tensor that all models have", got: "one that the reference model lacks")
      }
    }
  }

  /// Integers are copied, so all models have to agree on them; where they do not, they are quantised weights or belong to
  /// models of different kinds.
  private static func checkCopies(
    _ tensors: [PlannedTensor], of reference: ModelDirectory, in model: ModelDirectory
  ) throws(Failure) {
    for planned in tensors where planned.rule == .copied(.notFloatingPoint) && model !== reference {
      let tensor = planned.sources[0]
      guard let other = model.checkpoint.tensor(named: tensor.name) else { continue }
      guard other.type == tensor.type, other.shape == tensor.shape,
        try reference.checkpoint.digest(of: tensor) == model.checkpoint.digest(of: other)
      else {
        throw Failure(
          .badData, operation: "plan the fusion", subject: "\(model.path), tensor \(tensor.name)",
          expected: "the same \(tensor.type.rawValue) values as in \(reference.path)", got: "others",
          advice: "Integers have no weighted mean; quantised models have to be merged in their original precision.")
      }
    }
  }
}
