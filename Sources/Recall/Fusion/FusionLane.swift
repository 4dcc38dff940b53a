import Checkpoint
import Compute
import Diagnostics

/// Fuses pieces and writes them.
struct FusionWork: PieceWork {
  private let plan: FusionPlan
  private let pieces: [Piece]
  private let rules: [ElementRule]
  private let output: FusionOutput
  private let counters: [NonFiniteCounter]

  /// Prepares the fusion of pieces.
  ///
  /// - Parameters:
  ///   - plan: What is made of what.
  ///   - pieces: What to fuse.
  ///   - rules: How, for each piece.
  ///   - slots: How many pieces are on their way at once.
  ///   - output: Where fused pieces go.
  init(_ plan: FusionPlan, _ pieces: [Piece], rules: [ElementRule], slots: Int, output: FusionOutput) {
    self.plan = plan
    self.pieces = pieces
    self.rules = rules
    self.output = output
    counters = (0..<slots).map { _ in NonFiniteCounter() }
  }

  func lane(of buffers: SlotBuffers, on backend: any ComputeBackend) throws -> FusionLane {
    try FusionLane(plan, pieces, rules: rules, buffers: buffers, on: backend)
  }

  func finish(_ number: Int, slot: Int, _ buffers: SlotBuffers) throws {
    try output.write(pieces[number], from: buffers, nonFinite: counters[slot].growth(in: buffers))
  }
}

/// Fuses one piece at a time from host memory into host memory.
final class FusionLane: PieceLane {
  private let pieces: [Piece]
  private let rules: [ElementRule]
  private let base: Int?
  private let backend: any ComputeBackend
  private let inputs: LaneInputs
  private let buffers: SlotBuffers
  private let output: DeviceBuffer
  private let counts: Matrix
  /// The table of `ChangeRule.agreement`, which is the same for all pieces.
  private var agreement: Matrix?

  /// Prepares a lane over the buffers of a slot.
  ///
  /// - Throws: `DeviceError` when the device has no memory for its output.
  init(
    _ plan: FusionPlan, _ pieces: [Piece], rules: [ElementRule], buffers: SlotBuffers, on backend: any ComputeBackend
  ) throws(DeviceError) {
    self.pieces = pieces
    self.rules = rules
    self.buffers = buffers
    self.backend = backend
    base = plan.origin?.input
    inputs = try LaneInputs(plan.models, buffers: buffers, on: backend)
    output = try backend.upload(buffers.output)
    let counters = plan.models.count + 1
    counts = try backend.upload([Int32](repeating: 0, count: counters), columns: counters)
  }

  /// Enqueues the fusion of a piece.
  ///
  /// - Parameter number: The number of the piece.
  /// - Returns: The transfers that bring the fused elements, and the counts of non-finite values, into the slot's buffers.
  /// - Throws: `Failure` for factors of adapters that cannot be read; `DeviceError`.
  func take(_ number: Int) throws -> [Transfer] {
    let piece = pieces[number]
    let inputs = try inputs.matrices(of: piece)
    let out = try piece.output(in: output)
    switch rules[number] {
    case .sum(let coefficients):
      try backend.weightedSum(inputs, weights: coefficients, into: out, nonFinite: counts)
    case .changes(let rule): try add(rule, inputs, of: piece, into: out)
    }
    return [
      try backend.enqueueDownload(out, into: buffers.output), try backend.enqueueDownload(counts, into: buffers.counts),
    ]
  }

  private func add(_ rule: ChangeRule, _ inputs: [Matrix], of piece: Piece, into out: Matrix) throws {
    guard let base, base == rule.selections.count else {
      throw Failure(
        .internalError, operation: "fuse", subject: piece.tensor.layout.name, expected: "a base behind the models",
        got: "\(base ?? -1)")
    }
    let changes = try self.inputs.scratch(rows: rule.selections.count, columns: out.columns)
    let rows = try rule.selections.indices.map { model throws(DeviceError) in
      let row = try changes.rows(model..<model + 1)
      try backend.sparseChange(
        of: inputs[model], from: inputs[base], first: piece.elements.lowerBound, keeping: rule.selections[model],
        factor: rule.factors[model], into: row)
      return row
    }
    guard let table = rule.agreement else {
      let coefficients = rows.map { _ in rule.scale } + [1]
      return try backend.weightedSum(rows + [inputs[base]], weights: coefficients, into: out, nonFinite: counts)
    }
    let factors = try agreement ?? backend.upload(table, columns: table.count)
    agreement = factors
    try backend.sumAgreeing(changes, base: inputs[base], factors: factors, into: out, nonFinite: counts)
  }
}

extension Piece {
  /// The fused elements, at the start of a buffer.
  func output(in buffer: DeviceBuffer) throws -> Matrix {
    let type = try ElementType(stored: tensor.layout.type, of: tensor.layout.name)
    return try Matrix(buffer, rows: 1, columns: elements.count, elementType: type)
  }
}
