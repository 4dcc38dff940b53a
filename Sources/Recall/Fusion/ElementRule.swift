import Compute

/// How the elements of one tensor follow from those of the inputs.
public enum ElementRule: Sendable {
  /// A sum with one coefficient for each input.
  case sum([Float])
  /// The base and what is kept of every model's change from it.
  case changes(ChangeRule)
}

/// What is kept of the models' changes from the base, and how that is added to it.
public struct ChangeRule: Sendable {
  /// Which elements of each model's change are kept; the models come first among the inputs.
  let selections: [ElementSelection]
  /// What the change of each model is multiplied by.
  let factors: [Float]
  /// What the sum of each set of models that agree on the sign is multiplied by, by the sets' bits; `nil` where all changes are
  /// added, whatever their signs.
  let agreement: [Float]?
  /// What the sum of all changes is multiplied by where signs do not matter.
  let scale: Float
}

/// How the tensors of a merge are made where that is more than the same sum for all of them.
public protocol FusionRules: Sendable {
  /// Whether tensors are looked at before they are fused, which costs further reads of them.
  var surveys: Bool { get }
  /// What a lane keeps beside its pieces.
  var scratch: LaneScratch { get }

  /// The rule of one tensor.
  ///
  /// - Parameters:
  ///   - tensor: The tensor.
  ///   - survey: Looks at it.
  /// - Returns: The rule, the same on every device and however the tensor is cut.
  /// - Throws: `Failure` or `DeviceError` when looking at it fails.
  func rule(for tensor: PlannedTensor, _ survey: TensorSurvey) throws -> ElementRule
}

/// The memory that a lane takes beside the pieces that it gets and gives.
public struct LaneScratch: Sendable, Equatable {
  /// The bytes for each element of a piece.
  let bytesPerElement: Int
  /// The bytes that do not depend on the piece.
  let fixed: Int

  /// Nothing, as for sums.
  static let none = LaneScratch(bytesPerElement: 0, fixed: 0)

  /// The bytes for pieces of so many elements.
  func byteCount(elements: Int) -> Int { bytesPerElement * elements + fixed }
}
