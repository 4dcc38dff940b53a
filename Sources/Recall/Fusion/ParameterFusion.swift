import Checkpoint
import Compute
import Diagnostics
import Synchronization

/// Fuses parameters and writes them: `θ^l = Σ_i w_i^l θ_i^l`.
///
/// Tensors that are on the device already are fused there, one piece being written while the next is computed; all others
/// are streamed through a ring of pieces. Both ways give the same bytes, because every element stands alone.
public final class ParameterFusion {
  private let plan: FusionPlan
  private let digests: [ModelDigester]
  private let output: FusionOutput
  private let ring: PieceRing
  private let waits: StageWaits
  private let backend: any ComputeBackend
  /// The ring's memory, taken when first needed and kept.
  private var slots: [SlotBuffers] = []
  private let residentPieces: ResidentPieces

  /// Prepares fusion into an output.
  ///
  /// - Parameters:
  ///   - plan: What is made of what.
  ///   - digests: What the bytes read add to, one for each input of the plan.
  ///   - writer: The output.
  ///   - allowsNonFinite: Whether infinities and NaNs are let through.
  ///   - ring: How pieces are cut and how many are on their way at once.
  ///   - backend: The device.
  ///   - waits: Told what took how long.
  ///   - progress: Told the bytes written so far with every piece.
  public init(
    _ plan: FusionPlan, digests: [ModelDigester], writer: CheckpointWriter, allowsNonFinite: Bool, ring: PieceRing,
    on backend: any ComputeBackend, waits: StageWaits, progress: @escaping @Sendable (Int) -> Void
  ) {
    self.plan = plan
    self.digests = digests
    self.ring = ring
    self.backend = backend
    self.waits = waits
    output = FusionOutput(plan, digests: digests, writer: writer, allowsNonFinite: allowsNonFinite, progress: progress)
    residentPieces = ResidentPieces(plan, output: output, waits: waits, on: backend)
  }

  /// Fuses tensors of one layer or of many.
  ///
  /// - Parameters:
  ///   - tensors: Planned tensors whose rule is `fused`.
  ///   - weights: The weights of each of their layers, one per model in canonical order.
  ///   - resident: The tensors of each input that are on the device; may be empty.
  /// - Throws: `Failure` that names model and tensor when a value is not finite, or when reading or writing fails;
  ///   `DeviceError`.
  public func fuse(_ tensors: [PlannedTensor], weights: [Layer: [Double]], resident: [ResidentTensors] = []) throws {
    var streamed: [PlannedTensor] = []
    for tensor in tensors where try output.awaits(tensor) {
      let inputs = zip(tensor.sources, resident).compactMap { source, resident in resident[source.name] }
      if inputs.count == plan.models.count {
        try residentPieces.fuse(tensor, inputs: inputs, weights: floats(weights, of: tensor))
      } else {
        streamed.append(tensor)
      }
    }
    try stream(streamed) { tensor throws(Failure) in .sum(try floats(weights, of: tensor)) }
  }

  /// Fuses tensors by rules of their own.
  ///
  /// - Parameters:
  ///   - tensors: Planned tensors whose rule is `fused`.
  ///   - rules: How each of them is fused.
  /// - Throws: As for weights, and what looking at the tensors throws.
  func fuse(_ tensors: [PlannedTensor], by rules: any FusionRules) throws {
    let awaited = try tensors.filter { tensor throws(Failure) in try output.awaits(tensor) }
    let survey = TensorSurvey(plan, ring: ring, slots: try reserved(), waits: waits, on: backend)
    // A tensor that was looked at is fused right after, while what was read of it is at hand.
    for tensors in rules.surveys ? awaited.map({ [$0] }) : [awaited] {
      try stream(tensors) { tensor in try rules.rule(for: tensor, survey) }
    }
  }

  /// Writes a tensor that was computed as a whole, in the type of the output; one that is finished stays as it is.
  ///
  /// - Parameters:
  ///   - tensor: The tensor.
  ///   - values: Its elements on the device.
  ///   - nonFinite: How many values of each model and, last, of the result are not finite.
  /// - Throws: As `fuse` does, also for earlier pieces.
  func write(_ tensor: PlannedTensor, _ values: Matrix, nonFinite: [Int]) throws {
    if try output.awaits(tensor) { try residentPieces.write(tensor, values, nonFinite: nonFinite) }
  }

  /// A tensor as an earlier run has written it, on the device; `nil` when it still has to be written.
  ///
  /// - Throws: `Failure` when it cannot be read, or is not what was written; `DeviceError`.
  func written(_ tensor: PlannedTensor, rows: Int, columns: Int) throws -> Matrix? {
    guard try !output.awaits(tensor) else { return nil }
    let host = try backend.allocateHost(byteCount: tensor.byteCount)
    try output.read(tensor, into: host)
    return try Matrix(
      backend.upload(host), rows: rows, columns: columns,
      elementType: ElementType(stored: tensor.layout.type, of: tensor.layout.name))
  }

  /// The ring's memory.
  private func reserved() throws(DeviceError) -> [SlotBuffers] {
    if slots.isEmpty {
      slots = try (0..<ring.slots).map { _ throws(DeviceError) in
        try SlotBuffers(
          inputByteCount: ring.inputByteCount, outputByteCount: ring.outputByteCount, models: plan.models.count,
          on: backend)
      }
    }
    return slots
  }

  private func stream(_ tensors: [PlannedTensor], by rule: (PlannedTensor) throws -> ElementRule) throws {
    guard !tensors.isEmpty else { return }
    var pieces: [Piece] = []
    var rules: [ElementRule] = []
    for tensor in tensors {
      let rule = try rule(tensor)
      let cut = ring.pieces(of: [tensor])
      pieces += cut
      rules += [ElementRule](repeating: rule, count: cut.count)
    }
    let slots = try reserved()
    let work = FusionWork(plan, pieces, rules: rules, slots: slots.count, output: output)
    try PieceStream(plan, pieces: pieces, slots: slots, digests: digests, waits: waits, work: work).run(on: backend)
  }

  /// Copies all tensors that are not fused.
  ///
  /// - Throws: `Failure` when reading or writing fails.
  public func copyTheRest() throws {
    for tensor in plan.copied where try output.awaits(tensor) {
      try plan.reference.checkpoint.forEachPiece(of: tensor.sources[0]) { (bytes, offset) throws(Failure) in
        try output.copy(bytes, of: tensor, at: offset)
      }
      try output.finishCopy(of: tensor)
    }
  }

  /// The weights of a tensor as they enter the sum.
  private func floats(_ weights: [Layer: [Double]], of tensor: PlannedTensor) throws(Failure) -> [Float] {
    if case .fused(let layer) = tensor.rule, let weights = weights[layer] {
      return plan.coefficients(weights).map(Float.init)
    }
    throw Failure(
      .internalError, operation: "fuse", subject: tensor.layout.name, expected: "weights of its layer", got: "none")
  }

  /// Waits until everything is with the writer.
  ///
  /// - Throws: The first failure of a write.
  public func finish() throws { try residentPieces.finish() }
}

/// Where tensors go; their pieces come in order and one at a time.
final class FusionOutput: Sendable {
  private let plan: FusionPlan
  private let digests: [ModelDigester]
  private let writer: CheckpointWriter
  private let allowsNonFinite: Bool
  private let progress: @Sendable (Int) -> Void
  private let counts = Mutex<[Int]>([])

  init(
    _ plan: FusionPlan, digests: [ModelDigester], writer: CheckpointWriter, allowsNonFinite: Bool,
    progress: @escaping @Sendable (Int) -> Void
  ) {
    self.plan = plan
    self.digests = digests
    self.writer = writer
    self.allowsNonFinite = allowsNonFinite
    self.progress = progress
  }

  /// Whether a tensor is still to be written by this process.
  func awaits(_ tensor: PlannedTensor) throws(Failure) -> Bool { try writer.awaits(tensor.layout.name) }

  /// Writes a fused piece.
  ///
  /// - Parameters:
  ///   - piece: The piece that follows the one written before.
  ///   - buffers: What holds its bytes.
  ///   - nonFinite: How many of its values are not finite, in each input and, last, in the result.
  /// - Throws: `Failure` when the disk does not take it, or at the end of a tensor that has values that are not finite,
  ///   unless that is allowed.
  func write(_ piece: Piece, from buffers: SlotBuffers, nonFinite: [Int]) throws(Failure) {
    let bytes = piece.outputBytes
    try buffers.output.withBytes(in: 0..<bytes.count) { span throws(Failure) in
      try copy(span, of: piece.tensor, at: bytes.lowerBound)
    }
    try count(nonFinite, of: piece.tensor, isFirst: piece.isFirst, isLast: piece.isLast)
  }

  /// Writes bytes as they are.
  func copy(_ bytes: RawSpan, of tensor: PlannedTensor, at offset: Int) throws(Failure) {
    try writer.write(tensor.layout.name, at: offset, bytes: bytes)
    progress(bytes.byteCount)
  }

  /// Reads a finished tensor back.
  func read(_ tensor: PlannedTensor, into host: HostBuffer) throws(Failure) {
    try host.withMutableBytes(in: 0..<host.byteCount) { bytes throws(Failure) in
      try writer.read(tensor.layout.name, into: &bytes)
    }
  }

  /// Declares a tensor finished that was copied.
  func finishCopy(of tensor: PlannedTensor) throws(Failure) {
    try writer.finish(tensor.layout.name, inputs: [], nonFinite: 0)
  }

  /// The input, or the output behind the inputs, that is at fault: the base first, whose values are in every change from it.
  private func firstNonFinite(_ counts: [Int]) -> Int? {
    if let base = plan.origin?.input, counts[base] > 0 { return base }
    return counts.firstIndex { $0 > 0 }
  }

  private func count(_ nonFinite: [Int], of tensor: PlannedTensor, isFirst: Bool, isLast: Bool) throws(Failure) {
    let counts = counts.withLock { counts in
      counts = isFirst ? nonFinite : zip(counts, nonFinite).map(+)
      return counts
    }
    guard isLast else { return }
    guard !allowsNonFinite, let index = firstNonFinite(counts) else {
      let inputs = zip(digests, tensor.sources).map { $0.digest(of: $1) }
      return try writer.finish(tensor.layout.name, inputs: inputs, nonFinite: counts.last ?? 0)
    }
    let isInput = index < plan.models.count
    throw Failure(
      .badData, operation: "fuse",
      subject: "\(isInput ? plan.models[index].path : writer.output), tensor \(tensor.layout.name)",
      expected: "finite values", got: "\(counts[index]) that are NaN or infinite",
      advice: isInput
        ? "Download or train the model again, or let such values through with --allow-non-finite."
        : "The values do not fit \(tensor.layout.type.rawValue); choose a wider type with --dtype.")
  }
}
