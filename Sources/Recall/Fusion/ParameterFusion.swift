import Checkpoint
import Compute
import Diagnostics
import Synchronization

/// Fuses parameters and writes them: `θ^l = Σ_i w_i^l θ_i^l`.
///
/// Tensors that are on the device already are fused there; all others are streamed in pieces, the next piece being read and
/// the last one written while this one is computed. Both ways give the same bytes, because every element stands alone.
public final class ParameterFusion {
  /// The elements of one piece: a few MiB, large enough for any disk, small enough for caches and budgets.
  static let pieceElements = 1 << 21

  private struct Piece: Sendable {
    let tensor: PlannedTensor
    let elements: Range<Int>
  }

  private let plan: FusionPlan
  private let digests: [ModelDigester]
  private let writer: CheckpointWriter
  private let allowsNonFinite: Bool
  private let backend: any ComputeBackend
  private let behind: WriteBehind
  private let outputPiece: DeviceBuffer
  private let progress: @Sendable (Int) -> Void

  /// How many values of the result were not finite, where that is allowed.
  public private(set) var nonFiniteResults = 0

  /// Prepares fusion into an output.
  ///
  /// - Parameters:
  ///   - plan: What is made of what.
  ///   - digests: What the bytes read add to, one for each model.
  ///   - writer: The output.
  ///   - allowsNonFinite: Whether infinities and NaNs are let through.
  ///   - backend: The device.
  ///   - progress: Told the bytes written so far with every piece.
  /// - Throws: `DeviceError` when there is no memory for the pieces.
  public init(
    _ plan: FusionPlan, digests: [ModelDigester], writer: CheckpointWriter, allowsNonFinite: Bool,
    on backend: any ComputeBackend, progress: @escaping @Sendable (Int) -> Void
  ) throws(DeviceError) {
    self.plan = plan
    self.digests = digests
    self.writer = writer
    self.allowsNonFinite = allowsNonFinite
    self.backend = backend
    self.progress = progress
    let byteCount = ParameterFusion.pieceElements * ElementType.float64.byteCount
    behind = WriteBehind(
      buffers: try (0..<2).map { _ throws(DeviceError) in try backend.allocateHost(byteCount: byteCount) })
    outputPiece = try backend.allocate(byteCount: byteCount)
  }

  /// The host memory that streaming takes for a number of models.
  public static func hostByteCount(models: Int) -> Int {
    let piece = pieceElements * ElementType.float64.byteCount
    return 3 * piece + 2 * models * pieceElements * ElementType.float32.byteCount
  }

  /// Fuses tensors of one layer or of many.
  ///
  /// - Parameters:
  ///   - tensors: Planned tensors whose rule is `fused`.
  ///   - weights: The weights of each of their layers, one per model in canonical order.
  ///   - resident: The tensors of each model that are on the device; may be empty.
  /// - Throws: `Failure` that names model and tensor when a value is not finite, or when reading or writing fails;
  ///   `DeviceError`.
  public func fuse(_ tensors: [PlannedTensor], weights: [Layer: [Double]], resident: [ResidentTensors] = []) throws {
    var streamed: [PlannedTensor] = []
    for tensor in tensors {
      let inputs = zip(tensor.sources, resident).compactMap { source, resident in resident[source.name] }
      if inputs.count == plan.models.count {
        try fuse(tensor, inputs: inputs, weights: weights)
      } else {
        streamed.append(tensor)
      }
    }
    try stream(streamed, weights: weights)
  }

  /// Copies all tensors that are not fused.
  ///
  /// - Throws: `Failure` when reading or writing fails.
  public func copyTheRest() throws {
    for tensor in plan.copied {
      for bytes in ParameterFusion.ranges(of: tensor.sources[0].byteRange.count) {
        let buffer = try behind.buffer()
        try buffer.withMutableBytes(in: 0..<bytes.count) { destination throws(Failure) in
          try plan.reference.checkpoint.read(tensor.sources[0], bytes: bytes, into: &destination)
        }
        write(buffer, byteCount: bytes.count, of: tensor, at: bytes.lowerBound)
      }
    }
  }

  /// Waits until everything is with the writer.
  ///
  /// - Throws: The first failure of a write.
  public func finish() throws(Failure) { try behind.finish() }

  // MARK: Resident tensors

  private func fuse(_ tensor: PlannedTensor, inputs: [Matrix], weights: [Layer: [Double]]) throws {
    let counts = try freshCounts()
    for elements in ParameterFusion.ranges(of: tensor.sources[0].elementCount) {
      let pieces = try inputs.map { input throws(DeviceError) in
        try Matrix(
          input.buffer, byteOffset: input.byteOffset + elements.lowerBound * input.elementType.byteCount, rows: 1,
          columns: elements.count, elementType: input.elementType)
      }
      try fuse(pieces, of: tensor, elements: elements, weights: weights, counts: counts)
    }
    try check(counts, of: tensor)
  }

  // MARK: Streamed tensors

  private func stream(_ tensors: [PlannedTensor], weights: [Layer: [Double]]) throws {
    let pieces = tensors.flatMap { tensor in
      ParameterFusion.ranges(of: tensor.sources[0].elementCount).map { Piece(tensor: tensor, elements: $0) }
    }
    guard !pieces.isEmpty else { return }
    let widest = tensors.flatMap { $0.sources.map { $0.type.bitWidth / 8 } }.max() ?? 8
    let largest = pieces.map(\.elements.count).max() ?? 0
    let slot = (largest * widest + 63) / 64 * 64
    let buffers = try (0..<2).map { _ throws(DeviceError) in
      try backend.allocateHost(byteCount: plan.models.count * slot)
    }
    let running = Mutex([Digester](repeating: Digester(), count: plan.models.count))
    let ahead = ReadAhead(pieces, buffers: buffers) { [plan, digests] (piece, buffer) throws(Failure) in
      for (index, source) in piece.tensor.sources.enumerated() {
        let size = source.type.bitWidth / 8
        let bytes = piece.elements.lowerBound * size..<piece.elements.upperBound * size
        let place = index * slot..<index * slot + bytes.count
        try buffer.withMutableBytes(in: place) { destination throws(Failure) in
          try plan.models[index].checkpoint.read(source, bytes: bytes, into: &destination)
        }
        // Pieces of a tensor come in order, so its digest grows with them.
        running.withLock { running in
          if bytes.lowerBound == 0 { running[index] = Digester() }
          buffer.withBytes(in: place) { running[index].update($0) }
          if bytes.upperBound == source.byteRange.count { digests[index].record(source, running[index].digest) }
        }
      }
    }
    defer { ahead.cancel() }
    var counts = try freshCounts()
    for piece in pieces {
      if piece.elements.lowerBound == 0 { counts = try freshCounts() }
      let filled = try ahead.next()
      let device = try backend.upload(filled.buffer)
      let inputs = try piece.tensor.sources.enumerated().map { index, source throws(Failure) in
        try ParameterFusion.view(of: source, in: device, at: index * slot, elements: piece.elements.count)
      }
      try fuse(inputs, of: piece.tensor, elements: piece.elements, weights: weights, counts: counts)
      ahead.giveBack(filled.buffer)
      if piece.elements.upperBound == piece.tensor.sources[0].elementCount { try check(counts, of: piece.tensor) }
    }
  }

  private static func view(
    of source: TensorRecord, in buffer: DeviceBuffer, at offset: Int, elements: Int
  ) throws(Failure) -> Matrix {
    guard let type = ElementType(source.type),
      let matrix = try? Matrix(buffer, byteOffset: offset, rows: 1, columns: elements, elementType: type)
    else {
      throw Failure(
        .internalError, operation: "fuse", subject: source.name,
        expected: "a floating point tensor that fits its buffer",
        got: source.type.rawValue)
    }
    return matrix
  }

  // MARK: One piece

  /// Computes one piece, waits for it and hands it to the writing thread.
  private func fuse(
    _ inputs: [Matrix], of tensor: PlannedTensor, elements: Range<Int>, weights: [Layer: [Double]], counts: Matrix
  ) throws {
    guard case .fused(let layer) = tensor.rule, let layerWeights = weights[layer],
      let type = ElementType(tensor.layout.type)
    else {
      throw Failure(
        .internalError, operation: "fuse", subject: tensor.layout.name, expected: "weights of its layer", got: "none")
    }
    let out = try Matrix(outputPiece, rows: 1, columns: elements.count, elementType: type)
    try backend.weightedSum(inputs, weights: layerWeights.map(Float.init), into: out, nonFinite: counts)
    let buffer = try behind.buffer()
    try backend.download(out, into: buffer)
    write(buffer, byteCount: out.byteCount, of: tensor, at: elements.lowerBound * type.byteCount)
  }

  private func write(_ buffer: HostBuffer, byteCount: Int, of tensor: PlannedTensor, at offset: Int) {
    behind.write(buffer) { [writer, progress] buffer throws(Failure) in
      try buffer.withBytes(in: 0..<byteCount) { bytes throws(Failure) in
        try writer.write(tensor.layout.name, at: offset, bytes: bytes)
      }
      progress(byteCount)
    }
  }

  private func freshCounts() throws(DeviceError) -> Matrix {
    try backend.upload([Int32](repeating: 0, count: plan.models.count + 1), columns: plan.models.count + 1)
  }

  /// Stops at the first tensor with a value that is not finite, unless that is allowed.
  private func check(_ counts: Matrix, of tensor: PlannedTensor) throws {
    let counts = try backend.downloadIntegers(counts)
    nonFiniteResults += Int(counts.last ?? 0)
    guard !allowsNonFinite, let index = counts.firstIndex(where: { $0 > 0 }) else { return }
    let isInput = index < plan.models.count
    throw Failure(
      .badData, operation: "fuse",
      subject: "\(isInput ? plan.models[index].path : writer.output), tensor \(tensor.layout.name)",
      expected: "finite values", got: "\(counts[index]) that are NaN or infinite",
      advice: isInput
        ? "Download or train the model again, or let such values through with --allow-non-finite."
        : "The values do not fit \(tensor.layout.type.rawValue); choose a wider type with --dtype.")
  }

  private static func ranges(of count: Int) -> [Range<Int>] {
    stride(from: 0, to: max(count, 1), by: pieceElements).map { $0..<min($0 + pieceElements, count) }
  }
}
